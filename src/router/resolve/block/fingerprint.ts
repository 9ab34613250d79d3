/**
 * A 64-bit fingerprint of every suffix of a name, taken in one pass from the right: `ads.example.com` gives those of `com`,
 * `example.com` and `ads.example.com`. Two lanes of 32 bits, letter case aside, seeded, so that nobody can write a name
 * that passes for another one. The lanes are signed: V8 keeps such numbers without making objects of them. Two of a million names and a thousand million questions meet with odds of one in 18,000.
 */
export class Fingerprint {
  high = 0
  low = 0
  readonly #seedHigh: number
  readonly #seedLow: number
  /** The lanes before they are finished: more labels may follow. */
  #rollingHigh = 0
  #rollingLow = 0

  constructor(seed: FingerprintSeed) {
    this.#seedHigh = seed.high | 0
    this.#seedLow = seed.low | 0
  }

  /** The fingerprint of the root. */
  start(): void {
    this.#rollingHigh = this.#seedHigh
    this.#rollingLow = this.#seedLow
  }

  /** Adds the next label to the left, as its octets from `start` to `end`, and leaves the suffix's fingerprint in `high` and `low`. */
  addLabel(octets: Uint8Array, start: number, end: number): void {
    let high = this.#rollingHigh
    let low = this.#rollingLow
    for (let at = end - 1; at >= start; at--) {
      let octet = octets[at]!
      if (octet >= 0x41 && octet <= 0x5a) octet |= 0x20
      low = Math.imul(low ^ octet, 0x0100_0193)
      high = Math.imul(((high << 5) | (high >>> 27)) ^ octet, 0x85eb_ca6b)
    }
    low = Math.imul(low ^ LABEL_START, 0x0100_0193)
    high = Math.imul(((high << 5) | (high >>> 27)) ^ LABEL_START, 0x85eb_ca6b)
    this.#rollingHigh = high
    this.#rollingLow = low
    this.low = mixed(low ^ (high >>> 16))
    this.high = mixed(high)
    // Both zero stands for an empty place of the table.
    if ((this.high | this.low) === 0) this.low = 1
  }

  /** Turns the fingerprint of "this and all below" into that of "this name alone". */
  makeExact(): void {
    this.low ^= EXACT
    if ((this.high | this.low) === 0) this.low = 1
  }
}

export interface FingerprintSeed {
  readonly high: number
  readonly low: number
}

/** No octet: a label with a dot in it is not two labels. */
const LABEL_START = 0x100
const EXACT = 0x5bd1_e995

function mixed(lane: number): number {
  let value = Math.imul(lane ^ (lane >>> 16), 0x85eb_ca6b)
  value = Math.imul(value ^ (value >>> 13), 0xc2b2_ae35)
  return value ^ (value >>> 16)
}
