import { skipName } from './name.ts'
import { HEADER_BYTES, uint16, uint32 } from './wire.ts'

export type Section = 'answer' | 'authority' | 'additional'

/**
 * Steps over the resource records of one message: `while (records.next())`, then read the fields. The walker is the
 * cursor itself, so a record costs no allocation. At most as many steps as records fit in the message.
 */
export class RecordWalker {
  readonly wire: Uint8Array
  /** Set once the walk met something that is no record; `next` then stays false. */
  malformed = false
  nameStart = 0
  type = 0
  /** Also the UDP size of an OPT record. */
  class = 0
  /** As sent, unsigned; what a top bit means is the reader's business. */
  ttl = 0
  ttlOffset = 0
  rdataStart = 0
  rdataLength = 0
  /** Offset after this record; before the first and after the last one, where the records start and end. */
  end: number
  #answersLeft: number
  #authoritiesLeft: number
  #additionalsLeft: number
  #section: Section = 'answer'

  /** `questionEnd` is where the first question ends, as MessageView gives it. */
  constructor(wire: Uint8Array, questionEnd: number) {
    this.wire = wire
    this.end = questionEnd
    this.#answersLeft = uint16(wire, 6)
    this.#authoritiesLeft = uint16(wire, 8)
    this.#additionalsLeft = uint16(wire, 10)
    // More questions than one are refused in queries (RFC 9619) but may be walked over.
    for (let more = uint16(wire, 4) - 1; more > 0 && !this.malformed; more--) {
      const nameEnd = skipName(wire, this.end)
      if (nameEnd < 0 || nameEnd + 4 > wire.length) this.malformed = true
      else this.end = nameEnd + 4
    }
  }

  get section(): Section {
    return this.#section
  }

  /** False after the last record, or at the first thing that is no record. */
  next(): boolean {
    if (this.malformed || !this.#enterSection()) return false
    const { wire } = this
    const nameEnd = skipName(wire, this.end)
    if (nameEnd < 0 || nameEnd + FIXED_BYTES > wire.length) return this.#stop()
    const rdataLength = uint16(wire, nameEnd + 8)
    if (nameEnd + FIXED_BYTES + rdataLength > wire.length) return this.#stop()
    this.nameStart = this.end
    this.type = uint16(wire, nameEnd)
    this.class = uint16(wire, nameEnd + 2)
    this.ttlOffset = nameEnd + 4
    this.ttl = uint32(wire, nameEnd + 4)
    this.rdataStart = nameEnd + FIXED_BYTES
    this.rdataLength = rdataLength
    this.end = this.rdataStart + rdataLength
    return true
  }

  #enterSection(): boolean {
    if (this.#answersLeft > 0) {
      this.#answersLeft--
      return true
    }
    if (this.#authoritiesLeft > 0) {
      this.#authoritiesLeft--
      this.#section = 'authority'
      return true
    }
    if (this.#additionalsLeft > 0) {
      this.#additionalsLeft--
      this.#section = 'additional'
      return true
    }
    return false
  }

  #stop(): false {
    this.malformed = true
    return false
  }
}
/** Type, class, TTL and RDLENGTH (RFC 1035 §4.1.3). */
const FIXED_BYTES = 10

/** The records of a message whose first question ends at `view.questionEnd`. */
export function walkRecords(view: { readonly wire: Uint8Array; readonly questionEnd: number }): RecordWalker {
  return new RecordWalker(view.wire, view.questionEnd)
}

/** Where the counted records end, or -1 when one of them is malformed. */
export function messageEnd(wire: Uint8Array): number {
  if (wire.length < HEADER_BYTES) return -1
  let questionEnd = HEADER_BYTES
  if (uint16(wire, 4) > 0) {
    const nameEnd = skipName(wire, HEADER_BYTES)
    if (nameEnd < 0 || nameEnd + 4 > wire.length) return -1
    questionEnd = nameEnd + 4
  }
  const records = new RecordWalker(wire, questionEnd)
  while (records.next());
  return records.malformed ? -1 : records.end
}
