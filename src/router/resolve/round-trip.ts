/** Shares of a new measurement (RFC 6298 §2): an eighth for the mean, a quarter for the deviation. */
const MEAN_SHARE = 1 / 8
const DEVIATION_SHARE = 1 / 4
/** What was measured counts half after this long without a new measurement, so that a slow upstream is tried again. */
const HALF_LIFE_MS = 300_000

/** How long an upstream takes to answer, smoothed as TCP does it (RFC 6298 §2). */
export class RoundTrip {
  #meanMs: number | undefined
  #deviationMs = 0
  #measuredMs = 0

  add(tookMs: number, nowMs: number): void {
    if (this.#meanMs === undefined) {
      this.#meanMs = tookMs
      this.#deviationMs = tookMs / 2
    } else {
      this.#deviationMs += DEVIATION_SHARE * (Math.abs(this.#meanMs - tookMs) - this.#deviationMs)
      this.#meanMs += MEAN_SHARE * (tookMs - this.#meanMs)
    }
    this.#measuredMs = nowMs
  }

  /** Undefined until there is a measurement. */
  get meanMs(): number | undefined {
    return this.#meanMs
  }

  /** What to order by: mean and deviation, less with age, and nothing for one that was never tried. */
  expectedMs(nowMs: number): number {
    if (this.#meanMs === undefined) return 0
    return (this.#meanMs + this.#deviationMs) * 2 ** ((this.#measuredMs - nowMs) / HALF_LIFE_MS)
  }
}
