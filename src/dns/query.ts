import { EDNS_OPTION, OPCODE, RCODE } from './codes.ts'
import { isCookieLength } from './cookie.ts'
import { type EdnsOption, type EdnsView, hasOption, type OptFields, optBytes, optionLength, writeOpt } from './edns.ts'
import { MessageView } from './view.ts'
import { HEADER_BYTES, putUint16 } from './wire.ts'

/** What a listener does with bytes that arrived: resolve them, send the reply, or send nothing. */
export type Examined =
  | { readonly kind: 'query'; readonly view: MessageView }
  | { readonly kind: 'error'; readonly reply: Uint8Array }
  | { readonly kind: 'drop' }

/** The size we announce in the OPT record of an error reply. */
const UDP_SIZE = 1232
const DROP: Examined = { kind: 'drop' }

/**
 * Judges a query before anything is done for it. Flags, types and classes nobody has heard of are no errors
 * (RFC 5625 §4.1, §4.3); records in the answer and authority sections are walked over and ignored.
 */
export function examineQuery(wire: Uint8Array): Examined {
  // A response is never answered: two servers that did so would talk for ever.
  if (wire.length < HEADER_BYTES || (wire[2]! & 0x80) !== 0) return DROP
  const view = MessageView.over(wire)
  if (((wire[2]! >> 3) & 0x0f) !== OPCODE.QUERY) return refuse(wire, view, RCODE.NOTIMP)
  // Exactly one question (RFC 9619 §4), and nothing behind the counted records.
  if (!view || view.questionCount !== 1 || view.messageEnd !== wire.length) return refuse(wire, view, RCODE.FORMERR)
  const { edns } = view
  if (!edns) return { kind: 'query', view }
  if (edns.version > 0) return refuse(wire, view, RCODE.BADVERS)
  return isCookieWellFormed(edns) ? { kind: 'query', view } : refuse(wire, view, RCODE.FORMERR)
}

/** No COOKIE option, or one of a length it may have (RFC 7873 §5.2.2). */
function isCookieWellFormed(edns: EdnsView): boolean {
  const length = optionLength(edns, EDNS_OPTION.COOKIE)
  return length < 0 || isCookieLength(length)
}

/**
 * The OPT record of a query that asks for nothing but a server cookie: no question, no records, a COOKIE option
 * (RFC 7873 §5.4). `examineQuery` calls it an error; a listener that hands out cookies answers it with `cookieReply`.
 */
export function asksForCookie(wire: Uint8Array): EdnsView | undefined {
  const view = wire.length < HEADER_BYTES ? undefined : MessageView.over(wire)
  if (!view || view.isResponse || view.opcode !== OPCODE.QUERY || view.questionCount > 0) return undefined
  if (view.answerCount > 0 || view.authorityCount > 0 || view.messageEnd !== wire.length) return undefined
  const { edns } = view
  if (!edns || edns.version > 0 || !hasOption(edns, EDNS_OPTION.COOKIE) || !isCookieWellFormed(edns)) return undefined
  return edns
}

/** The reply to `asksForCookie`: no question, the cookie, and BADCOOKIE when the one sent along was bad. */
export function cookieReply({ wire, dnssecOk }: EdnsView, cookie: EdnsOption, verdict: 'good' | 'bad'): Uint8Array {
  const rcode = verdict === 'good' ? RCODE.NOERROR : RCODE.BADCOOKIE
  return replyWith(wire, HEADER_BYTES, rcode, { udpSize: UDP_SIZE, dnssecOk, options: [cookie] })
}

function refuse(wire: Uint8Array, view: MessageView | undefined, rcode: number): Examined {
  return { kind: 'error', reply: errorReply(wire, view, rcode) }
}

/** The question comes back when there is exactly one, and then an OPT for an OPT (RFC 6891 §6.1.1). */
function errorReply(wire: Uint8Array, view: MessageView | undefined, rcode: number): Uint8Array {
  if (view?.questionCount !== 1) return replyWith(wire, HEADER_BYTES, rcode, undefined)
  const { edns } = view
  // DO is copied (RFC 3225 §3); no option of the query is.
  return replyWith(wire, view.questionEnd, rcode, edns && { udpSize: UDP_SIZE, dnssecOk: edns.dnssecOk })
}

/** Id, opcode, RD, CD and question come back; the upper bits of the rcode go into the OPT record (RFC 6891 §6.1.3). */
function replyWith(wire: Uint8Array, questionEnd: number, rcode: number, opt: OptFields | undefined): Uint8Array {
  const reply = new Uint8Array(questionEnd + (opt ? optBytes(opt, questionEnd) : 0))
  reply.set(wire.subarray(0, questionEnd))
  reply[2] = 0x80 | (wire[2]! & 0x79)
  reply[3] = 0x80 | (wire[3]! & 0x10) | (rcode & 0x0f)
  putUint16(reply, 4, questionEnd > HEADER_BYTES ? 1 : 0)
  putUint16(reply, 6, 0)
  putUint16(reply, 8, 0)
  putUint16(reply, 10, opt ? 1 : 0)
  if (opt) writeOpt(reply, questionEnd, { ...opt, extendedRcode: rcode >> 4 })
  return reply
}
