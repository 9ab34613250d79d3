import { ageTtl, type PreparedAnswer, putAsked } from '../../../dns/answer.ts'
import type { ExtendedError } from '../../../dns/edns.ts'
import type { MessageView } from '../../../dns/view.ts'
import { HEADER_BYTES, MESSAGE_BYTES_MAX, uint16 } from '../../../dns/wire.ts'
import { errorsToOctets, octetsToErrors } from './error-octets.ts'
import { FOLDED } from './question-hash.ts'

/** A piece of the cache's memory, seen as octets and as numbers. Records start at multiples of eight. */
export interface Segment {
  readonly octets: Uint8Array
  readonly words: Int32Array
  readonly halves: Uint16Array
  readonly doubles: Float64Array
  /** Its number among the segments of the store. */
  readonly index: number
  /** Octets that hold records. */
  used: number
}

export function newSegment(index: number, bytes: number): Segment {
  const buffer = new ArrayBuffer(bytes)
  return {
    octets: new Uint8Array(buffer),
    words: new Int32Array(buffer),
    halves: new Uint16Array(buffer),
    doubles: new Float64Array(buffer),
    index,
    used: 0,
  }
}

/** Octets an answer is copied into, in words: as fast as a loop gets. */
export class AnswerBuffer {
  readonly octets: Uint8Array
  readonly words: Int32Array

  constructor() {
    const buffer = new ArrayBuffer(MESSAGE_BYTES_MAX + 1)
    this.octets = new Uint8Array(buffer)
    this.words = new Int32Array(buffer)
  }
}

/** What is written down beside the answer itself. */
export interface Particulars {
  readonly hash: number
  /** DO, CD and the number of the clients' scope: see variants.ts. */
  readonly variant: number
  /** Answers every type of its name, and denies the names below (RFC 8020). */
  readonly isDenial: boolean
  /** On the monotonic clock. */
  readonly storedMs: number
  readonly lifetimeS: number
  /** Number of the upstream it came from. */
  readonly source: number
  readonly extendedErrors: readonly ExtendedError[]
}

/*
 * A record: eleven words, the places of the TTLs (two octets each, filled up to a word), the message with its question in
 * lower case (filled up to a word), the extended errors.
 */
const HASH = 0
const SIZE = 1
// Words 2 and 3: when it was stored, a double.
const LIFETIME = 4
const MESSAGE = 5 // length, and the end of its question in the upper half
const TTLS = 6 // how many, and the variant in the upper half
const KIND = 7 // flags, source, and the length of the errors in the upper half
const HITS = 8
const TRIED = 9
const USED = 10
const FIXED_BYTES = 44

const DEAD = 1
const DENIAL = 2
const USED_SINCE = 4

const NO_SEGMENT = newSegment(0, 0)

/** A cursor over one record in a segment. It costs nothing to move, and is only right until the store is written to. */
export class HeldAnswer {
  segment: Segment = NO_SEGMENT
  at = 0
  #word = 0

  /** To the record at this offset. */
  moveTo(segment: Segment, at: number): this {
    this.segment = segment
    this.at = at
    this.#word = at >> 2
    return this
  }

  get hash(): number {
    return this.#read(HASH)
  }
  /** Octets of the whole record. */
  get size(): number {
    return this.#read(SIZE)
  }
  get storedMs(): number {
    return this.segment.doubles[(this.at >> 3) + 1]!
  }
  set storedMs(ms: number) {
    this.segment.doubles[(this.at >> 3) + 1] = ms
  }
  get lifetimeS(): number {
    return this.#read(LIFETIME)
  }
  get variant(): number {
    return this.#read(TTLS) >>> 16
  }
  get source(): number {
    return (this.#read(KIND) >>> 8) & 0xff
  }
  get hits(): number {
    return this.#read(HITS)
  }
  set hits(count: number) {
    this.segment.words[this.#word + HITS] = count
  }
  /** Second in which a refresh was last tried; 0: none was since the answer was stored. */
  get triedS(): number {
    return this.#read(TRIED)
  }
  set triedS(seconds: number) {
    this.segment.words[this.#word + TRIED] = seconds
  }
  /** Second of the last hit. */
  get usedS(): number {
    return this.#read(USED)
  }
  get isDead(): boolean {
    return (this.#read(KIND) & DEAD) !== 0
  }
  get isDenial(): boolean {
    return (this.#read(KIND) & DENIAL) !== 0
  }
  /** Since it was stored or spared last. */
  get wasUsed(): boolean {
    return (this.#read(KIND) & USED_SINCE) !== 0
  }
  set wasUsed(was: boolean) {
    if (was) this.segment.words[this.#word + KIND]! |= USED_SINCE
    else this.segment.words[this.#word + KIND]! &= ~USED_SINCE
  }
  get questionEnd(): number {
    return this.#read(MESSAGE) >>> 16
  }
  /** In place. */
  get message(): Uint8Array {
    const start = this.#messageStart
    return this.segment.octets.subarray(start, start + (this.#read(MESSAGE) & 0xffff))
  }
  get hasErrors(): boolean {
    return this.#read(KIND) >>> 16 !== 0
  }
  get extendedErrors(): readonly ExtendedError[] {
    const start = this.#messageStart + rounded(this.#read(MESSAGE) & 0xffff, 4)
    return octetsToErrors(this.segment.octets.subarray(start, start + (this.#read(KIND) >>> 16)))
  }

  countHit(nowS: number): void {
    const { words } = this.segment
    words[this.#word + HITS]!++
    words[this.#word + USED] = nowS
    words[this.#word + KIND]! |= USED_SINCE
  }
  kill(): void {
    this.segment.words[this.#word + KIND]! |= DEAD
  }

  /** Whether this is the answer to the question whose name is at `nameStart`; type 0 asks for a denial of the name. */
  isFor(wire: Uint8Array, nameStart: number, nameEnd: number, type: number, variant: number): boolean {
    const { octets } = this.segment
    const end = this.questionEnd
    if (end - HEADER_BYTES - 4 !== nameEnd - nameStart || this.variant !== variant) return false
    if (this.isDenial !== (type === 0)) return false
    const start = this.#messageStart
    if (type !== 0 && uint16(octets, start + end - 4) !== type) return false
    if (uint16(octets, start + end - 2) !== uint16(wire, nameEnd + 2)) return false
    for (let mine = start + HEADER_BYTES, at = nameStart; at < nameEnd; mine++, at++)
      if (octets[mine] !== FOLDED[wire[at]!]) return false
    return true
  }

  /** As writeAnswer of dns/answer.ts, to the start of `target`. Returns the length. */
  write(target: AnswerBuffer, query: MessageView, ageS: number, staleTtlS?: number): number {
    const { words, halves } = this.segment
    const length = this.#read(MESSAGE) & 0xffff
    const copied = target.words
    const from = this.#messageStart >> 2
    const count = (length + 3) >> 2
    for (let index = 0; index < count; index++) copied[index] = words[from + index]!
    putAsked(target.octets, 0, query)
    if (ageS === 0 && staleTtlS === undefined) return length
    const ttls = (this.at + FIXED_BYTES) >> 1
    const ttlCount = this.#read(TTLS) & 0xffff
    for (let index = 0; index < ttlCount; index++) ageTtl(target.octets, halves[ttls + index]!, ageS, staleTtlS)
    return length
  }

  /** Writes a record here, where there are `size` octets for it: at least its `recordBytes`. */
  fill(prepared: PreparedAnswer, particulars: Particulars, size: number): void {
    const { wire, ttlOffsets, questionEnd } = prepared
    const { octets, words, halves } = this.segment
    const word = this.#word
    const errors = errorsToOctets(particulars.extendedErrors)
    words[word + HASH] = particulars.hash
    words[word + SIZE] = size
    this.storedMs = particulars.storedMs
    words[word + LIFETIME] = particulars.lifetimeS
    words[word + MESSAGE] = wire.length | (questionEnd << 16)
    words[word + TTLS] = ttlOffsets.length | (particulars.variant << 16)
    words[word + KIND] = (particulars.isDenial ? DENIAL : 0) | (particulars.source << 8) | (errors.length << 16)
    words[word + HITS] = 0
    words[word + TRIED] = 0
    words[word + USED] = Math.floor(particulars.storedMs / 1000)
    for (let index = 0; index < ttlOffsets.length; index++)
      halves[((this.at + FIXED_BYTES) >> 1) + index] = ttlOffsets[index]!
    const start = this.#messageStart
    octets.set(wire, start)
    for (let at = start + HEADER_BYTES; at < start + questionEnd - 4; at++) octets[at] = FOLDED[octets[at]!]!
    octets.set(errors, start + rounded(wire.length, 4))
  }

  get #messageStart(): number {
    return this.at + FIXED_BYTES + ((2 * (this.#read(TTLS) & 0xffff) + 3) & ~3)
  }
  #read(field: number): number {
    return this.segment.words[this.#word + field]!
  }
}

/** Octets of the record, a multiple of eight. */
export function recordBytes(prepared: PreparedAnswer, extendedErrors: readonly ExtendedError[]): number {
  const ttls = rounded(2 * prepared.ttlOffsets.length, 4)
  const message = rounded(prepared.wire.length, 4)
  return rounded(FIXED_BYTES + ttls + message + errorsToOctets(extendedErrors).length, 8)
}

function rounded(bytes: number, unit: 4 | 8): number {
  return (bytes + unit - 1) & ~(unit - 1)
}
