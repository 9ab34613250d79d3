/** A search that finds nothing then looks at eight neighbouring slots on average, in a cache line or two. */
const FULL_SHARE = 3 / 4
const SLOTS_FIRST = 1024
const SLOT_BYTES = 8

/**
 * Where the answer to a question stands: an open hash table of pairs of numbers with linear probing. It doubles when it
 * is three quarters full; over `bytesMax` it takes no more.
 */
export class SlotTable {
  /** Hash and place by turns. A place of 0 is a free slot. */
  slots: Int32Array
  mask: number
  #used = 0
  readonly #slotsMax: number

  constructor(bytesMax: number) {
    this.#slotsMax = 2 ** Math.max(4, Math.floor(Math.log2(bytesMax / SLOT_BYTES)))
    const count = Math.min(SLOTS_FIRST, this.#slotsMax)
    this.slots = new Int32Array(2 * count)
    this.mask = count - 1
  }

  get bytes(): number {
    return this.slots.byteLength
  }
  get used(): number {
    return this.#used
  }
  /** True: `add` must not be called before something was removed. */
  get isFull(): boolean {
    return this.#used + 1 > (this.mask + 1) * FULL_SHARE && this.mask + 1 >= this.#slotsMax
  }

  add(hash: number, place: number): void {
    if (this.#used + 1 > (this.mask + 1) * FULL_SHARE) this.#grow()
    this.#put(hash, place)
    this.#used++
  }

  /** `from` must be there. */
  move(hash: number, from: number, to: number): void {
    this.slots[2 * this.#slotOf(hash, from) + 1] = to
  }

  /** `place` must be there. What was pushed behind it by probing moves up, so that no search stops short. */
  remove(hash: number, place: number): void {
    const { slots, mask } = this
    let hole = this.#slotOf(hash, place)
    for (let slot = (hole + 1) & mask; slots[2 * slot + 1] !== 0; slot = (slot + 1) & mask) {
      const home = slots[2 * slot]! & mask
      // It may fill the hole unless its own place lies between the hole and where it is now.
      if (((slot - home) & mask) < ((slot - hole) & mask)) continue
      slots[2 * hole] = slots[2 * slot]!
      slots[2 * hole + 1] = slots[2 * slot + 1]!
      hole = slot
    }
    slots[2 * hole + 1] = 0
    this.#used--
  }

  #slotOf(hash: number, place: number): number {
    let slot = hash & this.mask
    while (this.slots[2 * slot + 1] !== place) slot = (slot + 1) & this.mask
    return slot
  }

  #put(hash: number, place: number): void {
    let slot = hash & this.mask
    while (this.slots[2 * slot + 1] !== 0) slot = (slot + 1) & this.mask
    this.slots[2 * slot] = hash
    this.slots[2 * slot + 1] = place
  }

  #grow(): void {
    const old = this.slots
    const count = 2 * (this.mask + 1)
    this.slots = new Int32Array(2 * count)
    this.mask = count - 1
    for (let at = 0; at < old.length; at += 2) if (old[at + 1] !== 0) this.#put(old[at]!, old[at + 1]!)
  }
}
