import { randomInt } from 'node:crypto'
import { Fault } from '../../core/fault.ts'
import { prepareAnswer } from '../../dns/answer.ts'
import { rcodeName } from '../../dns/codes.ts'
import { QUERY_PADDING_BLOCK, writeOpt } from '../../dns/edns.ts'
import { MessageView } from '../../dns/view.ts'
import type { Answer } from '../resolve/resolver.ts'

/** Largest UDP answer we ask for and give: no fragments on any ordinary link (DNS flag day 2020). */
export const UDP_BYTES_MAX = 1232

const HEADER_BYTES = 12
const HEADER_RCODE_MAX = 15
const OPT_BYTES_MAX = 11 + 4 + QUERY_PADDING_BLOCK
const FLAG_RD = 0x0100
const FLAG_AD = 0x0020
const FLAG_CD = 0x0010

/** A random id from the system's generator (RFC 5452 §9.2). */
export function randomId(): number {
  return randomInt(0x1_0000)
}

/**
 * Our own question to an upstream: the client's question byte for byte with our id and our OPT. Client subnet, cookies
 * and every other hop-by-hop option of the client stay here. AD asks for the upstream's verdict (RFC 6840 §5.7).
 */
export function upstreamQuery(view: MessageView, id: number, padding: 'pad' | 'no-padding'): Uint8Array {
  const { question } = view
  const wire = new Uint8Array(HEADER_BYTES + question.length + OPT_BYTES_MAX)
  const flags = FLAG_RD | FLAG_AD | (view.checkingDisabled ? FLAG_CD : 0)
  wire.set([id >> 8, id & 0xff, flags >> 8, flags & 0xff, 0, 1, 0, 0, 0, 0, 0, 1])
  wire.set(question, HEADER_BYTES)
  const end = writeOpt(wire, HEADER_BYTES + question.length, {
    udpSize: UDP_BYTES_MAX,
    dnssecOk: view.dnssecOk,
    ...(padding === 'pad' ? { padTo: QUERY_PADDING_BLOCK } : {}),
  })
  return wire.subarray(0, end)
}

/** True when the bytes answer this question with this id (RFC 5452 §9.1; the source was checked by the socket). */
export function isReplyTo(reply: MessageView | undefined, asked: MessageView, id: number): reply is MessageView {
  return (
    reply !== undefined && reply.isResponse && reply.id === id && reply.questionCount === 1 && reply.sameQuestion(asked)
  )
}

/** What the chain gets to see of an upstream's reply: checked whole, without its OPT. */
export function answerOf(wire: Uint8Array, from: string, channel: 'authenticated' | 'unauthenticated'): Answer {
  const prepared = prepareAnswer(wire, channel)
  if (!prepared)
    throw new Fault('UPSTREAM_BROKEN', `${from} sent a reply that is not a DNS message`, { upstream: from })
  // Without its OPT it would read as another, milder rcode.
  if (prepared.rcode > HEADER_RCODE_MAX)
    throw new Fault('UPSTREAM_BROKEN', `${from} refused our OPT record with ${rcodeName(prepared.rcode)}`, {
      upstream: from,
    })
  return {
    kind: 'answer',
    wire: prepared.wire,
    from,
    prepared,
    ...(prepared.extendedErrors.length > 0 ? { extendedErrors: prepared.extendedErrors } : {}),
  }
}
