import { TYPE } from './codes.ts'
import { DNSSEC_OK, type EdnsView, isOptAt, readEdns } from './edns.ts'
import { lowerOctet, readName, skipPlainName } from './name.ts'
import { RecordWalker } from './records.ts'
import { HEADER_BYTES, uint16 } from './wire.ts'

/** Reads one DNS message in place: every getter is an offset into `wire`, nothing is copied. */
export class MessageView {
  readonly wire: Uint8Array
  /** Offset after the first question: after the header when there is none. */
  readonly questionEnd: number
  #key = ''
  /** What walking the records found out; the walk happens once, when first asked for. */
  #end = NOT_WALKED
  #optStart = NO_OPT
  #edns: EdnsView | undefined
  #signed = false

  private constructor(wire: Uint8Array, questionEnd: number) {
    this.wire = wire
    this.questionEnd = questionEnd
  }

  /** Undefined: not even FORMERR is owed, or there is no question to echo in it. */
  static over(wire: Uint8Array): MessageView | undefined {
    if (wire.length < HEADER_BYTES) return undefined
    if (uint16(wire, 4) === 0) return new MessageView(wire, HEADER_BYTES)
    // Nothing stands before the first question that a pointer in it could lead to.
    const nameEnd = skipPlainName(wire, HEADER_BYTES)
    if (nameEnd < 0 || nameEnd + 4 > wire.length) return undefined
    return new MessageView(wire, nameEnd + 4)
  }

  get id(): number {
    return uint16(this.wire, 0)
  }
  get flags(): number {
    return uint16(this.wire, 2)
  }
  get isResponse(): boolean {
    return (this.wire[2]! & 0x80) !== 0
  }
  get opcode(): number {
    return (this.wire[2]! >> 3) & 0x0f
  }
  get authoritative(): boolean {
    return (this.wire[2]! & 0x04) !== 0
  }
  get truncated(): boolean {
    return (this.wire[2]! & 0x02) !== 0
  }
  get recursionDesired(): boolean {
    return (this.wire[2]! & 0x01) !== 0
  }
  get recursionAvailable(): boolean {
    return (this.wire[3]! & 0x80) !== 0
  }
  get authenticData(): boolean {
    return (this.wire[3]! & 0x20) !== 0
  }
  get checkingDisabled(): boolean {
    return (this.wire[3]! & 0x10) !== 0
  }
  /** The four bits of the header; `edns.extendedRcode` holds the other eight. */
  get rcode(): number {
    return this.wire[3]! & 0x0f
  }
  get questionCount(): number {
    return uint16(this.wire, 4)
  }
  get answerCount(): number {
    return uint16(this.wire, 6)
  }
  get authorityCount(): number {
    return uint16(this.wire, 8)
  }
  get additionalCount(): number {
    return uint16(this.wire, 10)
  }
  get hasQuestion(): boolean {
    return this.questionEnd > HEADER_BYTES
  }
  /** Zero, which no question asks for, when there is no question; so is the class. */
  get questionType(): number {
    return this.hasQuestion ? uint16(this.wire, this.questionEnd - 4) : 0
  }
  get questionClass(): number {
    return this.hasQuestion ? uint16(this.wire, this.questionEnd - 2) : 0
  }
  /** Presentation text in the asker's letter case; empty when there is no question. */
  get questionName(): string {
    return this.hasQuestion ? (readName(this.wire, HEADER_BYTES) ?? '') : ''
  }
  /** Name, type and class as sent. */
  get question(): Uint8Array {
    return this.wire.subarray(HEADER_BYTES, this.questionEnd)
  }
  /** The same for every letter case of the same question: a key for caches and for joining equal queries. */
  get questionKey(): string {
    if (this.#key === '') this.#key = keyOf(this.wire, this.questionEnd)
    return this.#key
  }

  /** Letter case aside (RFC 4343). Both must hold a question. */
  sameQuestion(other: MessageView): boolean {
    const end = this.questionEnd
    if (end !== other.questionEnd || !this.hasQuestion) return false
    const nameEnd = end - 4
    for (let at = HEADER_BYTES; at < nameEnd; at++) {
      if (lowerOctet(this.wire[at]!) !== lowerOctet(other.wire[at]!)) return false
    }
    return this.questionType === other.questionType && this.questionClass === other.questionClass
  }

  /** Letter case included, for upstreams asked with mixed case. */
  sameQuestionExactly(other: MessageView): boolean {
    const end = this.questionEnd
    if (end !== other.questionEnd || !this.hasQuestion) return false
    for (let at = HEADER_BYTES; at < end; at++) if (this.wire[at] !== other.wire[at]) return false
    return true
  }

  /** Offset after the last counted record; -1 when a record or the OPT is malformed, or there are two OPT (RFC 6891 §6.1.1). */
  get messageEnd(): number {
    if (this.#end === NOT_WALKED) this.#walk()
    return this.#end
  }
  /** Undefined when there is no OPT record, or `messageEnd` is -1. */
  get edns(): EdnsView | undefined {
    return this.hasEdns ? (this.#edns ??= readEdns(this.wire, this.#optStart)) : undefined
  }
  /** The DO bit (RFC 3225 §3), without making an EdnsView. */
  get dnssecOk(): boolean {
    if (this.messageEnd < 0 || this.#optStart === NO_OPT) return false
    return (uint16(this.wire, this.#optStart + 7) & DNSSEC_OK) !== 0
  }
  /** Has an OPT record, again without making an EdnsView. */
  get hasEdns(): boolean {
    return this.messageEnd >= 0 && this.#optStart !== NO_OPT
  }
  /** Ends with TSIG or SIG(0): nothing but the id may be changed on the way (RFC 5625 §4.5). */
  get signed(): boolean {
    return this.messageEnd >= 0 && this.#signed
  }

  #walk(): void {
    const { wire, questionEnd } = this
    // Nearly every query: one question, and nothing else or a lone OPT record.
    if (uint16(wire, 4) <= 1 && uint16(wire, 6) === 0 && uint16(wire, 8) === 0 && uint16(wire, 10) <= 1) {
      if (uint16(wire, 10) === 0) {
        this.#end = questionEnd
        return
      }
      if (isOptAt(wire, questionEnd)) {
        this.#optStart = questionEnd
        this.#end = questionEnd + 11 + uint16(wire, questionEnd + 9)
        return
      }
    }
    this.#walkAll()
  }

  #walkAll(): void {
    const records = new RecordWalker(this.wire, this.questionEnd)
    this.#end = MALFORMED
    while (records.next()) {
      if (records.section !== 'additional') continue
      this.#signed = records.type === TYPE.TSIG || isTransactionSignature(records)
      if (records.type !== TYPE.OPT) continue
      if (this.#optStart !== NO_OPT || !isOptAt(this.wire, records.nameStart)) return
      this.#optStart = records.nameStart
    }
    if (!records.malformed) this.#end = records.end
  }
}

/** SIG(0): a SIG record that covers no type (RFC 2931 §3). */
function isTransactionSignature(records: RecordWalker): boolean {
  return records.type === TYPE.SIG && records.rdataLength >= 2 && uint16(records.wire, records.rdataStart) === 0
}

const NOT_WALKED = -2
const MALFORMED = -1
const NO_OPT = -1

/** Lower-cases name, type and class into one latin1 string. The length is bounded by the name's 255 octets. */
function keyOf(wire: Uint8Array, questionEnd: number): string {
  const nameEnd = questionEnd - 4
  let at = HEADER_BYTES
  for (; at < nameEnd; at++) {
    const octet = wire[at]!
    scratch[at] = octet >= 0x41 && octet <= 0x5a ? octet | 0x20 : octet
  }
  for (; at < questionEnd; at++) scratch[at] = wire[at]!
  return scratch.toString('latin1', HEADER_BYTES, questionEnd)
}
/** Header, the longest name, type and class. */
const scratch = Buffer.alloc(HEADER_BYTES + 255 + 4)
