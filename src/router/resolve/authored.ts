import { buildReply } from '../../dns/answer.ts'
import { RCODE, TYPE } from '../../dns/codes.ts'
import type { MessageView } from '../../dns/view.ts'
import { HEADER_BYTES, putUint16, putUint32 } from '../../dns/wire.ts'

/**
 * Answers given in the place of somebody else's, by the protections. Their owner is always the question's name, so each is
 * the echoed question and one record of known shape. Not authoritative: the name is not ours.
 */

/** The name is there, but not with this type (RFC 2308 §2.2). The SOA lets it be kept for `ttlS`. */
export function noData(query: MessageView, ttlS: number): Uint8Array {
  return withRecord(buildReply(query, { rcode: RCODE.NOERROR }), 'authority', TYPE.SOA, ttlS, soaRdata(ttlS))
}

/** There is no such name (RFC 2308 §2.1). */
export function noName(query: MessageView, ttlS: number): Uint8Array {
  return withRecord(buildReply(query, { rcode: RCODE.NXDOMAIN }), 'authority', TYPE.SOA, ttlS, soaRdata(ttlS))
}

/** An address where nobody is, for clients that take "no such name" for a broken network; NODATA for other types. */
export function zeroAddress(query: MessageView, ttlS: number): Uint8Array {
  const { questionType } = query
  if (questionType !== TYPE.A && questionType !== TYPE.AAAA) return noData(query, ttlS)
  const reply = buildReply(query, { rcode: RCODE.NOERROR })
  return withRecord(reply, 'answer', questionType, ttlS, new Uint8Array(questionType === TYPE.A ? 4 : 16))
}

const COUNT_OFFSET = { answer: 6, authority: 8 } as const
/** The question's name (RFC 1035 §4.1.4). */
const POINTER_TO_QUESTION = 0xc000 | HEADER_BYTES
const CLASS_IN = 1
/** Pointer, type, class, TTL and RDLENGTH. */
const FIXED_BYTES = 12

function withRecord(
  reply: Uint8Array,
  section: keyof typeof COUNT_OFFSET,
  type: number,
  ttlS: number,
  rdata: Uint8Array,
): Uint8Array {
  const wire = new Uint8Array(reply.length + FIXED_BYTES + rdata.length)
  wire.set(reply)
  putUint16(wire, COUNT_OFFSET[section], 1)
  let at = putUint16(wire, reply.length, POINTER_TO_QUESTION)
  at = putUint16(wire, at, type)
  at = putUint16(wire, at, CLASS_IN)
  at = putUint32(wire, at, ttlS)
  at = putUint16(wire, at, rdata.length)
  wire.set(rdata, at)
  return wire
}

/** With the content of RFC 6303 §3; its MINIMUM is how long the answer may be kept (RFC 2308 §5). */
function soaRdata(ttlS: number): Uint8Array {
  const rdata = new Uint8Array(2 + MAILBOX.length + 5 * 4)
  let at = putUint16(rdata, 0, POINTER_TO_QUESTION)
  rdata.set(MAILBOX, at)
  at += MAILBOX.length
  for (const value of [1, 3600, 1200, 604_800, ttlS]) at = putUint32(rdata, at, value)
  return rdata
}
/** nobody.invalid */
const MAILBOX = Uint8Array.from([6, ...Buffer.from('nobody'), 7, ...Buffer.from('invalid'), 0])
