const NOBODY = -1

/** Numbers that become due at ticks: a ring of lists in typed arrays, so that fifty million events make no garbage. */
export class Wheel {
  readonly #heads: Int32Array
  readonly #next: Int32Array

  /** `ticksMax`: how far ahead something may be due. */
  constructor(members: number, ticksMax: number) {
    this.#heads = new Int32Array(ticksMax + 1).fill(NOBODY)
    this.#next = new Int32Array(members)
  }

  add(member: number, tick: number): void {
    const at = tick % this.#heads.length
    this.#next[member] = this.#heads[at]!
    this.#heads[at] = member
  }

  /** Empties this tick. `each` may add to later ones. */
  take(tick: number, each: (member: number) => void): void {
    const at = tick % this.#heads.length
    let member = this.#heads[at]!
    this.#heads[at] = NOBODY
    while (member !== NOBODY) {
      const next = this.#next[member]!
      each(member)
      member = next
    }
  }
}
