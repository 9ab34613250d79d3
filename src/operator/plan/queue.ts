/** Numbers in a row, first in, first out: a ring of fixed size, so that fifty million of them make no garbage. */
export class Queue {
  readonly #ring: Float64Array
  #first = 0
  #size = 0

  constructor(sizeMax: number) {
    this.#ring = new Float64Array(sizeMax)
  }

  get size(): number {
    return this.#size
  }

  /** The one whose turn it is. */
  get first(): number {
    return this.#ring[this.#first]!
  }

  add(value: number): void {
    const at = this.#first + this.#size++
    this.#ring[at < this.#ring.length ? at : at - this.#ring.length] = value
  }

  take(): number {
    const value = this.first
    this.#size--
    if (++this.#first === this.#ring.length) this.#first = 0
    return value
  }
}
