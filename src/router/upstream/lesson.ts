/** Something learnt about how a server speaks. It is forgotten after a time, because servers are replaced. */
export class Lesson {
  readonly #keepMs: number
  #untilMs = 0

  constructor(keepMs: number) {
    this.#keepMs = keepMs
  }

  get holds(): boolean {
    return this.#untilMs > 0 && performance.now() < this.#untilMs
  }

  learn(): void {
    this.#untilMs = performance.now() + this.#keepMs
  }

  forget(): void {
    this.#untilMs = 0
  }
}
