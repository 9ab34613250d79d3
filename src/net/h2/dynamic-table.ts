import type { Field } from './field.ts'

/** What an entry counts beside its octets (RFC 7541 §4.1). */
export const ENTRY_OVERHEAD_BYTES = 32

/** The fields a client wants to refer to later, newest first, bounded in bytes (RFC 7541 §2.3.2, §4). */
export class DynamicTable {
  /** A ring: as many places as there can be empty entries. Made when first needed. */
  #ring: (Field | undefined)[] = []
  readonly #places: number
  #newest = 0
  #count = 0
  #bytes = 0
  #bytesMax: number

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
    this.#places = Math.floor(bytesMax / ENTRY_OVERHEAD_BYTES)
  }

  get count(): number {
    return this.#count
  }
  get bytes(): number {
    return this.#bytes
  }

  /** `place` 0 is the newest. */
  at(place: number): Field | undefined {
    return place < this.#count ? this.#ring[(this.#newest + this.#places - place) % this.#places] : undefined
  }

  /** One larger than the table empties it, which is no error (RFC 7541 §4.4). */
  add(field: Field): void {
    const bytes = bytesOf(field)
    this.#evict(this.#bytesMax - bytes)
    if (bytes > this.#bytesMax) return
    this.#newest = (this.#newest + 1) % this.#places
    this.#ring[this.#newest] = field
    this.#count++
    this.#bytes += bytes
  }

  /** The caller has compared it with our setting (RFC 7541 §4.2). */
  resize(bytesMax: number): void {
    this.#bytesMax = bytesMax
    this.#evict(bytesMax)
  }

  /** Oldest first, until at most `bytes` are left. */
  #evict(bytes: number): void {
    while (this.#count > 0 && this.#bytes > bytes) {
      const oldest = (this.#newest + this.#places - this.#count + 1) % this.#places
      this.#bytes -= bytesOf(this.#ring[oldest]!)
      this.#ring[oldest] = undefined
      this.#count--
    }
  }
}

function bytesOf({ name, value }: Field): number {
  return name.length + value.length + ENTRY_OVERHEAD_BYTES
}
