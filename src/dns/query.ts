import { OPCODE, RCODE } from './codes.ts'
import { writeOpt } from './edns.ts'
import { MessageView } from './view.ts'
import { HEADER_BYTES, putUint16, uint16 } from './wire.ts'

/** What a listener does with bytes that arrived: resolve them, send the reply, or send nothing. */
export type Examined =
  | { readonly kind: 'query'; readonly view: MessageView }
  | { readonly kind: 'error'; readonly reply: Uint8Array }
  | { readonly kind: 'drop' }

/** The size we announce in the OPT record of an error reply. */
const UDP_SIZE = 1232
const BADVERS_UPPER_BITS = RCODE.BADVERS >> 4
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
  if (view.hasEdns && view.edns!.version > 0) return refuse(wire, view, RCODE.BADVERS)
  return { kind: 'query', view }
}

function refuse(wire: Uint8Array, view: MessageView | undefined, rcode: number): Examined {
  return { kind: 'error', reply: errorReply(wire, view, rcode) }
}

/** Id, opcode, RD and CD come back; the question too when there is exactly one, and an OPT for an OPT (RFC 6891 §6.1.1). */
function errorReply(wire: Uint8Array, view: MessageView | undefined, rcode: number): Uint8Array {
  const echoed = view?.questionCount === 1 ? view : undefined
  const questionEnd = echoed?.questionEnd ?? HEADER_BYTES
  const hasEdns = echoed?.hasEdns === true
  const reply = new Uint8Array(questionEnd + (hasEdns ? OPT_BYTES : 0))
  reply.set(wire.subarray(0, questionEnd))
  reply[2] = 0x80 | (wire[2]! & 0x79)
  reply[3] = 0x80 | (wire[3]! & 0x10) | (rcode & 0x0f)
  putUint16(reply, 4, echoed ? uint16(wire, 4) : 0)
  putUint16(reply, 6, 0)
  putUint16(reply, 8, 0)
  putUint16(reply, 10, hasEdns ? 1 : 0)
  if (hasEdns) {
    const extendedRcode = rcode === RCODE.BADVERS ? BADVERS_UPPER_BITS : 0
    writeOpt(reply, questionEnd, { udpSize: UDP_SIZE, extendedRcode })
  }
  return reply
}
/** An OPT record without options. */
const OPT_BYTES = 11
