import type { Rate } from './limits.ts'

/** A token bucket: how many more frames of a kind a client may send now. Time is passed in; it costs nothing while unused. */
export class Allowance {
  readonly #rate: Rate
  #left: number
  #atMs: number

  constructor(rate: Rate, nowMs: number) {
    this.#rate = rate
    this.#left = rate.burst
    this.#atMs = nowMs
  }

  /** False when there are none left. */
  take(nowMs: number): boolean {
    this.give(((nowMs - this.#atMs) * this.#rate.perSecond) / 1000)
    this.#atMs = nowMs
    if (this.#left < 1) return false
    this.#left--
    return true
  }

  give(count: number): void {
    this.#left = Math.min(this.#rate.burst, this.#left + count)
  }
}
