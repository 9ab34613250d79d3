import { type ClientKey, readClientKey } from './client-key.ts'

/** Clients are kept in sets of this many; only the eight of one set are looked at. */
const WAYS = 8
const SETS = 512
/** More than a large home has, by far. What a flood of forged sources can take: 90 KiB. */
export const CLIENTS_MAX = WAYS * SETS

/**
 * A token bucket per client, in typed arrays of fixed size. A bucket is one number, the time at which it will be full
 * again (the virtual scheduling form of the generic cell rate algorithm); a client that is not in the table has a full
 * one. So forgetting a client whose bucket is full loses nothing, and those are forgotten first, then the fullest: a forged
 * source that asks once is full again after one interval and makes room for the next, while the state of a client that is
 * near its limit is the last to go. Nobody is ever refused for want of room.
 */
export class ClientTable {
  readonly #intervalMs: number
  readonly #burstMs: number
  readonly #seed: number
  readonly #highs = new Uint32Array(CLIENTS_MAX)
  readonly #lows = new Uint32Array(CLIENTS_MAX)
  /** The last place is shared by the clients of a set whose eight others all wait for answers. */
  readonly #fullAtMs = new Float64Array(CLIENTS_MAX + 1)
  readonly #open = new Uint16Array(CLIENTS_MAX + 1)
  readonly #key: ClientKey = { high: 0, low: 0 }

  /** `seed` keeps strangers from choosing addresses that fall into one set. */
  constructor(options: { readonly perSecond: number; readonly burst: number; readonly seed: number }) {
    this.#intervalMs = 1000 / options.perSecond
    this.#burstMs = options.burst * this.#intervalMs
    this.#seed = options.seed
  }

  /** The client's place, taken from another one if need be. */
  place(address: string): number {
    const first = this.#setOf(address)
    const known = this.#in(first)
    if (known >= 0) return known
    let victim = CLIENTS_MAX
    for (let at = first; at < first + WAYS; at++) {
      // Its open questions have to be given back to it.
      if (this.#open[at] !== 0) continue
      if (victim === CLIENTS_MAX || this.#fullAtMs[at]! < this.#fullAtMs[victim]!) victim = at
    }
    if (victim === CLIENTS_MAX) return victim
    this.#highs[victim] = this.#key.high
    this.#lows[victim] = this.#key.low
    this.#fullAtMs[victim] = 0
    return victim
  }

  /** Takes one token; false when there is none, and then nothing is taken. */
  spend(place: number, nowMs: number): boolean {
    const fullAtMs = Math.max(this.#fullAtMs[place]!, nowMs) + this.#intervalMs
    if (fullAtMs - nowMs > this.#burstMs) return false
    this.#fullAtMs[place] = fullAtMs
    return true
  }

  /** Questions of the client that wait for an answer. */
  open(place: number): number {
    return this.#open[place]!
  }
  opened(place: number): void {
    this.#open[place]!++
  }
  closed(place: number): void {
    this.#open[place]!--
  }

  /** Whether the client's next question would find a token. Changes nothing. */
  hasToken(address: string, nowMs: number): boolean {
    const place = this.#in(this.#setOf(address))
    return place < 0 || this.#fullAtMs[place]! + this.#intervalMs - nowMs <= this.#burstMs
  }

  /** Leaves the client's key in `#key`. */
  #setOf(address: string): number {
    readClientKey(address, this.#key)
    return setOf(this.#key, this.#seed) * WAYS
  }

  #in(first: number): number {
    const { high, low } = this.#key
    for (let at = first; at < first + WAYS; at++) if (this.#lows[at] === low && this.#highs[at] === high) return at
    return -1
  }
}

function setOf({ high, low }: ClientKey, seed: number): number {
  let mixed = Math.imul(high ^ seed, 0x85eb_ca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 15) ^ low, 0xc2b2_ae35)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0x2c1b_3c6d)
  return (mixed ^ (mixed >>> 16)) & (SETS - 1)
}
