import type { PreparedAnswer } from '../../../dns/answer.ts'
import { HEADER_BYTES } from '../../../dns/wire.ts'
import { HeldAnswer, newSegment, type Particulars, recordBytes, type Segment } from './held-answer.ts'
import type { QuestionHash } from './question-hash.ts'
import { SlotTable } from './slot-table.ts'

/** The largest message with its record fits, and clearing one out takes well under a millisecond. */
const SEGMENT_BYTES_MAX = 128 * 1024
const SEGMENT_BYTES_MIN = 1024
/** A cache has at least this many, so that clearing one out forgets a small part of it. */
const SEGMENTS_MIN = 8
/** Of the memory; enough for records of 64 octets on average, and no useful one is shorter. */
const TABLE_SHARE = 1 / 8
/** A segment is never left fuller than this, however much of it was used lately: somebody has to go. */
const SPARED_SHARE_MAX = 7 / 8

/** Everything but what the store finds out itself. */
export type NewParticulars = Omit<Particulars, 'hash'>

/**
 * Answers in a ring of memory outside the JavaScript heap, bounded in octets, table included (ADR 5). A new answer goes to
 * the end of the newest segment. When the bound is reached, the oldest segment is cleared out for new ones: what was used
 * since it was stored or last spared is spared once more, the rest is forgotten (least recently used, by second chance).
 */
export class AnswerStore {
  readonly #bytesMax: number
  readonly #segmentBytes: number
  /** How many bits of a place count inside a segment. */
  readonly #unitBits: number
  readonly #hash: QuestionHash
  readonly #isWorthless: (held: HeldAnswer) => boolean
  #table: SlotTable
  #segments: Segment[] = []
  #newest = -1
  #bytes = 0
  #evictions = 0
  readonly #cursor = new HeldAnswer()

  /** `isWorthless` says which answers need not be spared even when they were used. */
  constructor(options: {
    readonly bytesMax: number
    readonly hash: QuestionHash
    readonly isWorthless: (held: HeldAnswer) => boolean
  }) {
    this.#bytesMax = options.bytesMax
    const wished = Math.min(SEGMENT_BYTES_MAX, options.bytesMax / SEGMENTS_MIN)
    this.#unitBits = Math.floor(Math.log2(Math.max(SEGMENT_BYTES_MIN, wished) / 8))
    this.#segmentBytes = 8 << this.#unitBits
    this.#hash = options.hash
    this.#isWorthless = options.isWorthless
    this.#table = new SlotTable(options.bytesMax * TABLE_SHARE)
  }

  get entries(): number {
    return this.#table.used
  }
  /** Octets of the answers held. */
  get bytes(): number {
    return this.#bytes
  }
  /** Octets taken from the system, never more than the bound. */
  get allocatedBytes(): number {
    return this.#segments.length * this.#segmentBytes + this.#table.bytes
  }
  get evictions(): number {
    return this.#evictions
  }

  /** Moves `held` to the answer; false when there is none. Type 0 looks for a denial of the name. */
  find(wire: Uint8Array, nameStart: number, nameEnd: number, type: number, variant: number, held: HeldAnswer): boolean {
    const hash = this.#hash.of(wire, nameStart, nameEnd, type, variant)
    const { slots, mask } = this.#table
    // The table always has free slots, so the search ends.
    for (let slot = hash & mask; slots[2 * slot + 1] !== 0; slot = (slot + 1) & mask) {
      if (slots[2 * slot] !== hash) continue
      if (this.#moveTo(slots[2 * slot + 1]!, held).isFor(wire, nameStart, nameEnd, type, variant)) return true
    }
    return false
  }

  /** In place of what was held for the same question. An answer too large for a segment is not kept. */
  put(prepared: PreparedAnswer, particulars: NewParticulars): void {
    const { wire, questionEnd } = prepared
    const { variant, extendedErrors } = particulars
    const nameEnd = questionEnd - 4
    const type = particulars.isDenial ? 0 : (wire[nameEnd]! << 8) | wire[nameEnd + 1]!
    const hash = this.#hash.of(wire, HEADER_BYTES, nameEnd, type, variant)
    const bytes = recordBytes(prepared, extendedErrors)
    const held = this.#cursor
    if (this.find(wire, HEADER_BYTES, nameEnd, type, variant, held)) {
      if (bytes <= held.size) {
        held.fill(prepared, { ...particulars, hash }, held.size)
        held.wasUsed = true // it stays where it is, and is as new as what is newest
        return
      }
      this.remove(held)
    }
    if (bytes > this.#segmentBytes) return
    const segment = this.#roomFor(bytes)
    const at = segment.used
    held.moveTo(segment, at).fill(prepared, { ...particulars, hash }, bytes)
    segment.used += bytes
    this.#bytes += bytes
    this.#table.add(hash, this.#placeOf(segment, at))
  }

  remove(held: HeldAnswer): void {
    this.#table.remove(held.hash, this.#placeOf(held.segment, held.at))
    held.kill()
    this.#bytes -= held.size
  }

  /** All answers, by one cursor, those of the newest segment first. They may be removed on the way, nothing put. */
  *all(): Generator<HeldAnswer> {
    const held = new HeldAnswer()
    const count = this.#segments.length
    for (let back = 0; back < count; back++) {
      const segment = this.#segments[(this.#newest - back + count) % count]!
      for (let at = 0; at < segment.used; at += held.moveTo(segment, at).size)
        if (!held.moveTo(segment, at).isDead) yield held
    }
  }

  clear(): void {
    this.#segments = []
    this.#newest = -1
    this.#bytes = 0
    this.#table = new SlotTable(this.#bytesMax * TABLE_SHARE)
  }

  /** The newest segment, with so many octets free at its end and a slot in the table. */
  #roomFor(bytes: number): Segment {
    // Ends: a segment is new, or cleared out with room for the answer, and what was spared once is not spared twice.
    for (;;) {
      const segment = this.#segments[this.#newest]
      if (segment && segment.used + bytes <= this.#segmentBytes && !this.#table.isFull) return segment
      if (!this.#mayAllocate()) this.#clearOutOldest(bytes)
      else this.#newest = this.#segments.push(newSegment(this.#segments.length, this.#segmentBytes)) - 1
    }
  }

  /** Leaves room for the table to double, which it does before the segments fill the memory. */
  #mayAllocate(): boolean {
    const segmentsMax = Math.max(1, Math.floor((this.#bytesMax * (1 - TABLE_SHARE)) / this.#segmentBytes))
    return this.#segments.length < segmentsMax && this.#newest === this.#segments.length - 1 && !this.#table.isFull
  }

  /** What is spared moves together at the start of the segment, which becomes the newest. */
  #clearOutOldest(wanted: number): void {
    this.#newest = (this.#newest + 1) % this.#segments.length
    const segment = this.#segments[this.#newest]!
    const spareMax = Math.min(this.#segmentBytes * SPARED_SHARE_MAX, this.#segmentBytes - wanted)
    const held = this.#cursor
    let kept = 0
    for (let at = 0, size = 0; at < segment.used; at += size) {
      size = held.moveTo(segment, at).size
      if (held.isDead) continue
      const from = this.#placeOf(segment, at)
      if (!held.wasUsed || kept + size > spareMax || this.#isWorthless(held)) {
        this.#table.remove(held.hash, from)
        this.#bytes -= size
        this.#evictions++
        continue
      }
      held.wasUsed = false
      this.#table.move(held.hash, from, this.#placeOf(segment, kept))
      segment.octets.copyWithin(kept, at, at + size)
      kept += size
    }
    segment.used = kept
  }

  /** A place counts in units of eight octets, from one. */
  #placeOf(segment: Segment, at: number): number {
    return 1 + ((segment.index << this.#unitBits) | (at >> 3))
  }
  #moveTo(place: number, held: HeldAnswer): HeldAnswer {
    const unit = place - 1
    return held.moveTo(this.#segments[unit >> this.#unitBits]!, (unit & ((1 << this.#unitBits) - 1)) << 3)
  }
}
