import type { Fingerprint } from './fingerprint.ts'

/** Small comes before empty: what is there is found in three steps, and most of what is not there is told by the filter. */
const LOAD_MAX = 0.8
const PLACES_MIN = 16
/** Copied in one go, in a few milliseconds. */
const PLACES_AT_ONCE = 1 << 15

/**
 * Which lists have a name: fingerprints in open addressing with one bit per list, 16 octets a name and no object. It
 * never grows: its maker counts first.
 */
export class NameTable {
  readonly #places: number
  /** High and low lane side by side: one look into memory finds both. */
  readonly #lanes: Int32Array
  readonly #lists: Int32Array
  readonly #namesMax: number
  /** A bit for each fingerprint's upper lane: most names that are not there are told by it, in a tenth of the memory. */
  readonly #filter: Uint8Array
  #names = 0

  constructor(namesMax: number) {
    this.#namesMax = namesMax
    this.#places = Math.max(PLACES_MIN, Math.ceil(namesMax / LOAD_MAX))
    this.#lanes = new Int32Array(2 * this.#places)
    this.#lists = new Int32Array(this.#places)
    this.#filter = new Uint8Array(Math.max(PLACES_MIN, namesMax))
  }

  /** Different names. */
  get names(): number {
    return this.#names
  }
  get bytes(): number {
    return this.#lanes.byteLength + this.#lists.byteLength + this.#filter.byteLength
  }

  /** False when there are more names than were announced. */
  add({ high, low }: Pick<Fingerprint, 'high' | 'low'>, listBits: number): boolean {
    const place = this.#placeOf(high, low)
    if (this.#lists[place] === 0) {
      if (this.#names >= this.#namesMax) return false
      this.#names++
      this.#lanes[2 * place] = high
      this.#lanes[2 * place + 1] = low
      this.#filter[this.#filterByte(high)]! |= 1 << (high & 7)
    }
    this.#lists[place]! |= listBits
    return true
  }

  /** The bits of the lists that have it; 0 for none. */
  find({ high, low }: Pick<Fingerprint, 'high' | 'low'>): number {
    if ((this.#filter[this.#filterByte(high)]! & (1 << (high & 7))) === 0) return 0
    return this.#lists[this.#placeOf(high, low)]!
  }

  #filterByte(high: number): number {
    return Math.floor(((high >>> 0) / 2 ** 32) * this.#filter.length)
  }

  /** `take` gets all names that one of the lists has. The thread is let go now and then: there may be millions. */
  async copy(listBits: number, take: (fingerprint: Pick<Fingerprint, 'high' | 'low'>) => void): Promise<void> {
    const found = { high: 0, low: 0 }
    for (let place = 0; place < this.#places; place++) {
      if (place % PLACES_AT_ONCE === PLACES_AT_ONCE - 1) await new Promise<void>((go) => void setImmediate(go))
      if ((this.#lists[place]! & listBits) === 0) continue
      found.high = this.#lanes[2 * place]!
      found.low = this.#lanes[2 * place + 1]!
      take(found)
    }
  }

  /** Where it is, or the empty place where it would be. There are always empty places, so the search ends. */
  #placeOf(high: number, low: number): number {
    const lanes = this.#lanes
    const places = this.#places
    let place = Math.floor(((low >>> 0) / 2 ** 32) * places)
    for (;;) {
      const lowThere = lanes[2 * place + 1]!
      const highThere = lanes[2 * place]!
      if (lowThere === low && highThere === high) return place
      // No fingerprint is all zeros.
      if ((lowThere | highThere) === 0) return place
      place = place + 1 === places ? 0 : place + 1
    }
  }
}
