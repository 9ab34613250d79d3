import { Fault } from '../../core/fault.ts'
import { prepareAnswer } from '../../dns/answer.ts'
import { EDNS_OPTION, RCODE, rcodeName } from '../../dns/codes.ts'
import {
  CLIENT_SUBNET_OPT_OUT,
  type EdnsOption,
  findOption,
  type OptFields,
  QUERY_PADDING_BLOCK,
  writeOpt,
} from '../../dns/edns.ts'
import type { MessageView } from '../../dns/view.ts'
import type { Answer, Query } from '../resolve/resolver.ts'

/** Largest UDP answer we ask for and give: no fragments on any ordinary link (DNS flag day 2020). */
export const UDP_BYTES_MAX = 1232

const HEADER_BYTES = 12
const HEADER_RCODE_MAX = 15
const OPT_BYTES_MAX = 11 + 4 + 8 + 4 + QUERY_PADDING_BLOCK
const FLAG_RD = 0x01
const FLAG_AD = 0x20
const FLAG_CD = 0x10

/** What we put around a question. Bits, so that the few OPT records we ever send are made once. */
export const FORM = { EDNS: 1, PADDED: 2, KEEPALIVE: 4 } as const
const DNSSEC_OK = 8
const NO_CLIENT_SUBNET = 16

/** A client asks for keepalive with an empty option (RFC 7828 §3.2.1). */
const KEEPALIVE_WISH: EdnsOption = { code: EDNS_OPTION.TCP_KEEPALIVE, data: new Uint8Array(0) }
const OPT_FIELDS: readonly OptFields[] = Array.from({ length: 32 }, (_, bits) => {
  const options = [
    ...((bits & FORM.KEEPALIVE) !== 0 ? [KEEPALIVE_WISH] : []),
    ...((bits & NO_CLIENT_SUBNET) !== 0 ? [CLIENT_SUBNET_OPT_OUT] : []),
  ]
  return {
    udpSize: UDP_BYTES_MAX,
    dnssecOk: (bits & DNSSEC_OK) !== 0,
    options,
    ...((bits & FORM.PADDED) !== 0 ? { padTo: QUERY_PADDING_BLOCK } : {}),
  }
})

/** Octets that writeQuestion may need. */
export function questionBytesMax(view: MessageView): number {
  return view.signed ? view.wire.length : view.questionEnd + OPT_BYTES_MAX
}

/**
 * Our own question to an upstream: the client's question byte for byte with our id and our OPT. Cookies, the client's
 * subnet and every other hop-by-hop option stay here; only the wish that no subnet be added goes along (RFC 7871
 * §7.1.2). AD asks for the upstream's verdict (RFC 6840 §5.7). A signed message passes with nothing changed but its id
 * (RFC 5625 §4.5). Returns the offset after it.
 */
export function writeQuestion(target: Uint8Array, at: number, view: MessageView, id: number, form: number): number {
  const { wire, questionEnd } = view
  if (view.signed) {
    target.set(wire, at)
    target[at] = id >> 8
    target[at + 1] = id
    return at + wire.length
  }
  target[at] = id >> 8
  target[at + 1] = id
  target[at + 2] = FLAG_RD
  target[at + 3] = view.checkingDisabled ? FLAG_AD | FLAG_CD : FLAG_AD
  target[at + 4] = 0
  target[at + 5] = 1
  for (let offset = 6; offset < HEADER_BYTES; offset++) target[at + offset] = 0
  for (let offset = HEADER_BYTES; offset < questionEnd; offset++) target[at + offset] = wire[offset]!
  const end = at + questionEnd
  if ((form & FORM.EDNS) === 0) return end
  target[at + 11] = 1
  return writeOpt(target, end, OPT_FIELDS[form | (view.hasEdns ? clientBits(view) : 0)]!, at)
}

/** What of the client's own OPT record concerns the upstream. */
function clientBits(view: MessageView): number {
  const edns = view.edns!
  const bits = edns.dnssecOk ? DNSSEC_OK : 0
  if (edns.optionsEnd === edns.optionsOffset) return bits
  const subnet = findOption(edns, EDNS_OPTION.CLIENT_SUBNET)
  // A prefix of no bits is followed by no address (RFC 7871 §6).
  return subnet?.length === 4 && subnet[2] === 0 ? bits | NO_CLIENT_SUBNET : bits
}

/** In its own buffer, for datagrams and HTTP bodies. */
export function upstreamQuestion(view: MessageView, id: number, form: number): Buffer {
  const target = Buffer.allocUnsafe(questionBytesMax(view))
  return target.subarray(0, writeQuestion(target, 0, view, id, form))
}

/**
 * What a message is to a question asked under the same id (RFC 5452 §9.1; the source was checked by the socket). `refused`:
 * a server that knows no OPT record says FORMERR or NOTIMP, often without repeating the question (RFC 6891 §6.2.2, §7).
 */
export function matchReply(reply: MessageView, asked: MessageView, edns: boolean): 'ours' | 'refused' | 'not-ours' {
  if (!reply.isResponse) return 'not-ours'
  const isOurs = reply.questionCount === 1 && reply.sameQuestion(asked)
  if (isRefusal(reply)) {
    if (reply.questionCount === 0) return 'refused'
    if (isOurs && edns && !asked.signed && !reply.hasEdns) return 'refused'
  }
  return isOurs ? 'ours' : 'not-ours'
}

/** FORMERR and NOTIMP: what a server says to a question, or an OPT record, that it cannot read. */
export function isRefusal({ rcode }: MessageView): boolean {
  return rcode === RCODE.FORMERR || rcode === RCODE.NOTIMP
}

/** Whether an upstream's AD may be believed (RFC 6840 §5.8). */
export type Channel = 'authenticated' | 'unauthenticated'

/** The answer to a signed question is given as it came, but for the id: its signature covers everything else. */
export function answerTo({ view }: Query, wire: Uint8Array, from: string, channel: Channel): Answer {
  if (!view.signed) return answerOf(wire, from, channel)
  return { kind: 'answer', wire: withId(wire, view.id), from, verbatim: true }
}

/** As answerTo, over a connection, where there is room for everything: TC there means that the rest is lost. */
export function wholeAnswerTo(query: Query, wire: Uint8Array, from: string, channel: Channel): Answer {
  const answer = answerTo(query, wire, from, channel)
  if (answer.prepared?.truncated === true)
    throw new Fault('UPSTREAM_BROKEN', `${from} cut its answer short although it had room`, { upstream: from })
  return answer
}

/** What the chain gets to see of an upstream's reply: checked whole, without its OPT. Throws UPSTREAM_BROKEN. */
export function answerOf(wire: Uint8Array, from: string, channel: Channel): Answer {
  const prepared = prepareAnswer(wire, channel)
  if (!prepared)
    throw new Fault('UPSTREAM_BROKEN', `${from} sent a reply that is not a DNS message`, { upstream: from })
  // Without its OPT it would read as another, milder rcode.
  if (prepared.rcode > HEADER_RCODE_MAX)
    throw new Fault('UPSTREAM_BROKEN', `${from} refused our OPT record with ${rcodeName(prepared.rcode)}`, {
      upstream: from,
    })
  const { extendedErrors } = prepared
  return extendedErrors.length > 0
    ? { kind: 'answer', wire: prepared.wire, from, prepared, extendedErrors }
    : { kind: 'answer', wire: prepared.wire, from, prepared }
}

function withId(wire: Uint8Array, id: number): Uint8Array {
  const copy = wire.slice()
  copy[0] = id >> 8
  copy[1] = id
  return copy
}
