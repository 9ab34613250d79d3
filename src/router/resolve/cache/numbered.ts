/**
 * Gives texts numbers from zero, so that an entry needs two octets for one and not a pointer. The texts are those of the
 * settings (scopes, upstreams), so few; the bound is there so that a layer that invents them cannot fill the memory.
 */
export class Numbered {
  readonly #numbers = new Map<string, number>()
  readonly #texts: string[] = []
  readonly #max: number

  constructor(max: number) {
    this.#max = max
  }
  /** Undefined when there are too many. */
  numberOf(text: string): number | undefined {
    const known = this.#numbers.get(text)
    if (known !== undefined || this.#texts.length >= this.#max) return known
    this.#numbers.set(text, this.#texts.length)
    return this.#texts.push(text) - 1
  }
  textOf(number: number): string {
    return this.#texts[number] ?? ''
  }
}
