import { EDNS_OPTION, TYPE } from './codes.ts'
import { type EdnsView, type ExtendedError, findOption, keepaliveMs, readEdns, readExtendedErrors } from './edns.ts'
import { walkRecords } from './records.ts'
import { MessageView } from './view.ts'
import { HEADER_BYTES, putUint16, putUint32, uint32 } from './wire.ts'

/** An upstream's answer, checked once and made ready to be given many times: a copy, an id, the TTLs. */
export interface PreparedAnswer {
  /** Own copy without OPT: RA set, AA and Z clear, every TTL within `TTL_S_MAX`. */
  readonly wire: Uint8Array
  readonly questionEnd: number
  /** Where the TTLs of all records are. */
  readonly ttlOffsets: readonly number[]
  /** All twelve bits (RFC 6891 §6.1.3). */
  readonly rcode: number
  readonly answerCount: number
  /** The smallest TTL of answer and authority; 0 when both are empty. */
  readonly minTtlS: number
  /** min(SOA TTL, SOA MINIMUM), RFC 2308 §5; absent without an SOA, which then must not be cached. */
  readonly negativeTtlS?: number
  readonly truncated: boolean
  readonly extendedErrors: readonly ExtendedError[]
  /** The idle time a server announced for this connection (RFC 7828 §3.1). */
  readonly keepaliveMs?: number
}

/** A week. Larger TTLs, the top bit included, are larger than anyone means (RFC 8767 §4). */
export const TTL_S_MAX = 604_800

const NO_OPTIONS: Pick<PreparedAnswer, 'extendedErrors'> = { extendedErrors: [] }
/** Serial, refresh, retry, expire and minimum, after two names of at least one octet each (RFC 1035 §3.3.13). */
const SOA_BYTES_MIN = 22

/**
 * Undefined when the bytes are no whole response to one question. `channel` says whether AD may be believed: only an
 * authenticated upstream's word counts (RFC 6840 §5.8).
 */
export function prepareAnswer(
  response: Uint8Array,
  channel: 'authenticated' | 'unauthenticated' = 'unauthenticated',
): PreparedAnswer | undefined {
  const view = MessageView.over(response)
  if (!view || view.questionCount !== 1 || !view.isResponse) return undefined
  const records = walkRecords(view)
  const ttlOffsets: number[] = []
  let end = view.questionEnd
  let kept = 0
  let opt: number | undefined
  let minTtlS = Number.POSITIVE_INFINITY
  let negativeTtlS: number | undefined
  while (records.next()) {
    // OPT ends what we keep: it is hop-by-hop, and additional data behind it is optional.
    if (records.section === 'additional' && records.type === TYPE.OPT) opt ??= records.nameStart
    if (opt !== undefined) continue
    ttlOffsets.push(records.ttlOffset)
    end = records.end
    if (records.section === 'additional') {
      kept++
      continue
    }
    const ttlS = cappedTtl(records.ttl)
    minTtlS = Math.min(minTtlS, ttlS)
    if (records.type !== TYPE.SOA || records.section !== 'authority' || records.rdataLength < SOA_BYTES_MIN) continue
    negativeTtlS = Math.min(ttlS, cappedTtl(uint32(response, records.end - 4)))
  }
  if (records.malformed) return undefined
  const edns = opt === undefined ? undefined : readEdns(response, opt)
  if (opt !== undefined && !edns) return undefined

  const wire = new Uint8Array(end)
  wire.set(response.subarray(0, end))
  wire[2] = wire[2]! & ~0x04
  wire[3] = 0x80 | (wire[3]! & (channel === 'authenticated' ? 0x3f : 0x1f))
  putUint16(wire, 10, kept)
  for (const offset of ttlOffsets) putUint32(wire, offset, cappedTtl(uint32(wire, offset)))
  return {
    wire,
    questionEnd: view.questionEnd,
    ttlOffsets,
    rcode: ((edns?.extendedRcode ?? 0) << 4) | view.rcode,
    answerCount: view.answerCount,
    minTtlS: Number.isFinite(minTtlS) ? minTtlS : 0,
    ...(negativeTtlS === undefined ? {} : { negativeTtlS }),
    truncated: view.truncated,
    ...(edns && edns.optionsEnd > edns.optionsOffset ? readOptions(edns) : NO_OPTIONS),
  }
}

function readOptions(edns: EdnsView): Pick<PreparedAnswer, 'extendedErrors' | 'keepaliveMs'> {
  const announced = findOption(edns, EDNS_OPTION.TCP_KEEPALIVE)
  const timeoutMs = announced && keepaliveMs(announced)
  const extendedErrors = readExtendedErrors(edns)
  return timeoutMs === undefined ? { extendedErrors } : { extendedErrors, keepaliveMs: timeoutMs }
}

/**
 * Writes the answer at `at` for this query and returns the offset after it: one copy, then the query's id, RD, CD and
 * question (letter case included), and TTLs less their age. With `staleTtlS` every TTL is that instead (RFC 8767 §4).
 * The query must be the same question the answer was prepared for.
 */
export function writeAnswer(
  prepared: PreparedAnswer,
  target: Uint8Array,
  at: number,
  query: MessageView,
  ageS: number,
  staleTtlS?: number,
): number {
  const { wire, ttlOffsets, questionEnd } = prepared
  const length = wire.length
  if (query.questionEnd !== questionEnd) throw new RangeError('the prepared answer belongs to another question')
  if (at + length > target.length) throw new RangeError('no room for the answer')
  target.set(wire, at)
  putAsked(target, at, query)
  for (let index = 0; index < ttlOffsets.length; index++) ageTtl(target, at + ttlOffsets[index]!, ageS, staleTtlS)
  return at + length
}

/** Makes the answer that stands at `at` this asker's: id, RD, CD, AD only for who asked for it, the question as asked. */
export function putAsked(target: Uint8Array, at: number, query: MessageView): void {
  const { wire: asked, questionEnd } = query
  target[at] = asked[0]!
  target[at + 1] = asked[1]!
  target[at + 2] = (target[at + 2]! & ~0x01) | (asked[2]! & 0x01)
  let bits = (target[at + 3]! & ~0x10) | (asked[3]! & 0x10)
  // AD goes to those who asked for it, by AD or by DO (RFC 6840 §5.7, §5.8).
  if ((bits & 0x20) !== 0 && (asked[3]! & 0x20) === 0 && !query.dnssecOk) bits &= ~0x20
  target[at + 3] = bits
  for (let from = HEADER_BYTES; from < questionEnd; from++) target[at + from] = asked[from]!
}

/** Takes `ageS` from the TTL at `at`, not below zero, or puts `staleTtlS` in its place. */
export function ageTtl(target: Uint8Array, at: number, ageS: number, staleTtlS: number | undefined): void {
  putUint32(target, at, staleTtlS ?? Math.max(0, uint32(target, at) - ageS))
}

export interface ReplyFields {
  /** The four bits of the header. */
  readonly rcode: number
  readonly authoritative?: boolean
  readonly truncated?: boolean
}

/** An answer without records: the question byte for byte, RA set, RD and CD as asked. No OPT: the listener writes it. */
export function buildReply(query: MessageView, fields: ReplyFields): Uint8Array {
  const reply = new Uint8Array(query.questionEnd)
  writeReply(reply, 0, query, fields)
  return reply
}

/** The safe form of an answer too large for UDP: TC and no records at all, so no partial set (RFC 2181 §9). */
export function truncatedReply(query: MessageView, answer: Uint8Array): Uint8Array {
  const reply = buildReply(query, { rcode: answer[3]! & 0x0f, truncated: true })
  reply[2] = reply[2]! | (answer[2]! & 0x04)
  reply[3] = reply[3]! | (answer[3]! & 0x20)
  return reply
}

/** As buildReply, in place; returns the offset after it. */
export function writeReply(target: Uint8Array, at: number, query: MessageView, fields: ReplyFields): number {
  const { wire, questionEnd } = query
  if (at + questionEnd > target.length) throw new RangeError('no room for the reply')
  for (let from = 0; from < questionEnd; from++) target[at + from] = wire[from]!
  target[at + 2] = 0x80 | (wire[2]! & 0x79) | (fields.authoritative ? 0x04 : 0) | (fields.truncated ? 0x02 : 0)
  target[at + 3] = 0x80 | (wire[3]! & 0x10) | (fields.rcode & 0x0f)
  putUint16(target, at + 4, query.hasQuestion ? 1 : 0)
  target.fill(0, at + 6, at + HEADER_BYTES)
  return at + questionEnd
}

function cappedTtl(ttl: number): number {
  return ttl > TTL_S_MAX ? TTL_S_MAX : ttl
}
