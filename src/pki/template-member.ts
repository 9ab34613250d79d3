/**
 * One value of a JSON template and where it stands. What is wrong is noted once, and reading goes on with a stand-in, so
 * that the author of the template sees every problem at the first try.
 */
export class Member {
  readonly #value: unknown
  readonly #path: string
  readonly #problems: string[]
  #isGood = true
  /** False when there are no parts to look at: nothing is said about those then. */
  #hasParts = true

  private constructor(value: unknown, path: string, problems: string[]) {
    this.#value = value
    this.#path = path
    this.#problems = problems
  }

  /** Problems are added to the list that is given. */
  static root(value: unknown, problems: string[]): Member {
    return new Member(value, '', problems)
  }

  get isGood(): boolean {
    return this.#isGood
  }

  /** Only the first complaint about a value counts: the others tend to follow from it. */
  complain(rule: string): void {
    if (this.#isGood) this.#problems.push(`${this.#path || 'the template'} ${rule}`)
    this.#isGood = false
  }

  /** Refuses every other member. */
  allow(names: readonly string[]): void {
    const unknown = Object.keys(this.#members()).filter((name) => !names.includes(name))
    if (unknown.length > 0) this.complain(`must not hold ${unknown.map((name) => JSON.stringify(name)).join(', ')}`)
  }

  required(name: string): Member {
    const members = this.#members()
    const member = this.#child(members[name], `.${name}`)
    if (!Object.hasOwn(members, name)) member.complain('is missing')
    return member
  }

  optional(name: string): Member | undefined {
    const members = this.#members()
    return Object.hasOwn(members, name) ? this.#child(members[name], `.${name}`) : undefined
  }

  list<T>(parse: (item: Member) => T): T[] {
    const items: unknown[] = Array.isArray(this.#value) ? this.#value : []
    if (items.length === 0 || items.length > ENTRIES_MAX) this.complain(`must be a list of 1 to ${ENTRIES_MAX} entries`)
    return items.slice(0, ENTRIES_MAX).map((item, index) => parse(this.#child(item, `[${index}]`)))
  }

  textThat(fits: (text: string) => boolean, rule: string): string {
    const text = typeof this.#value === 'string' && this.#value.length <= TEXT_LENGTH_MAX ? this.#value : ''
    if (!fits(text)) this.complain(`must ${rule}`)
    return text
  }

  oneOf<T extends string>(choices: readonly T[]): T {
    const choice = choices.find((each) => each === this.#value)
    if (choice === undefined) this.complain(`must be one of ${choices.join(', ')}`)
    return choice ?? choices[0]!
  }

  integer(min: number, max: number): number {
    const number = typeof this.#value === 'number' ? this.#value : Number.NaN
    if (Number.isInteger(number) && number >= min && number <= max) return number
    this.complain(`must be an integer from ${min} to ${max}`)
    return min
  }

  #members(): Record<string, unknown> {
    if (isObject(this.#value)) return this.#value
    this.complain('must be an object')
    this.#hasParts = false
    return {}
  }

  #child(value: unknown, step: string): Member {
    const child = new Member(value, `${this.#path}${step}`.replace(/^\./, ''), this.#problems)
    child.#isGood = this.#hasParts
    return child
  }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** More entries than a certificate of 100 names could use, few enough to check in no time. */
const ENTRIES_MAX = 100
const TEXT_LENGTH_MAX = 1000
