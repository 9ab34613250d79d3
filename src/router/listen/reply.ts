import assert from 'node:assert'
import { buildReply, truncatedReply } from '../../dns/answer.ts'
import { EDNS_OPTION, RCODE } from '../../dns/codes.ts'
import {
  appendOpt,
  type EdnsOption,
  type EdnsView,
  type ExtendedError,
  hasOption,
  keepaliveOption,
  type OptFields,
  optBytes,
  RESPONSE_PADDING_BLOCK,
} from '../../dns/edns.ts'
import { walkRecords } from '../../dns/records.ts'
import { MessageView } from '../../dns/view.ts'
import { putUint16 } from '../../dns/wire.ts'
import type { Answer, Query, Transport } from '../resolve/resolver.ts'
import { UDP_BYTES_MAX } from '../upstream/wire.ts'
import type { ServerCookies } from './cookies.ts'

/** No DNS message is longer. */
export const MESSAGE_BYTES_MAX = 65_535
/** What an answer without OPT may measure on UDP (RFC 1035 §4.2.1). */
const CLASSIC_UDP_BYTES_MAX = 512
/** An idle connection is kept this long for a client that asked for keepalive (RFC 7828). */
export const KEEPALIVE_MS = 30_000

/**
 * Writes what goes on the wire to `target` from `at` and returns its length, at most MESSAGE_BYTES_MAX: the answer, our
 * own OPT when the query had one (RFC 6891 §6.1.1), padding on encrypted transports when it was asked for (RFC 7830 §4),
 * a cookie for a cookie.
 */
export function writeReply(
  target: Uint8Array,
  at: number,
  query: Query,
  answer: Answer,
  cookies?: ServerCookies,
): number {
  const { edns } = query.view
  const limit = bytesMaxOf(query.client.transport, edns)
  // A signature covers everything but the id, which is the asker's already (RFC 5625 §4.5).
  if ((!edns || answer.verbatim) && answer.wire.length <= limit) return writeWhole(target, at, answer.wire, undefined)
  const cookie = edns && cookieFor(query, edns, cookies)
  const opt = edns && optFor(edns, query, answer.extendedErrors, cookie)
  if (lengthOf(answer.wire, opt) <= limit) return writeWhole(target, at, answer.wire, opt)
  return writeShortened(target, at, query, answer, limit, cookie)
}

/**
 * What does not fit goes in this order: the text of the extended errors, their codes (RFC 8914 §3), the additional section,
 * which is optional and needs no TC (RFC 2181 §9), all records.
 */
function writeShortened(
  target: Uint8Array,
  at: number,
  query: Query,
  answer: Answer,
  limit: number,
  cookie: EdnsOption | undefined,
): number {
  const { edns } = query.view
  const codes = answer.extendedErrors?.map(({ code }) => ({ code }))
  const opts = edns ? [optFor(edns, query, codes, cookie), optFor(edns, query, undefined, cookie)] : [undefined]
  for (const wire of [answer.wire, withoutAdditional(answer.wire), withoutRecords(query, answer)])
    for (const opt of opts) if (lengthOf(wire, opt) <= limit) return writeWhole(target, at, wire, opt)
  assert.fail('a question and our OPT record fit into 512 octets')
}

function bytesMaxOf(transport: Transport, edns: EdnsView | undefined): number {
  if (transport !== 'udp') return MESSAGE_BYTES_MAX
  return edns ? Math.min(edns.udpSize, UDP_BYTES_MAX) : CLASSIC_UDP_BYTES_MAX
}

/** The same bytes when there is nothing to leave out, or when a signature covers it (RFC 8945 §5.1). */
function withoutAdditional(wire: Uint8Array): Uint8Array {
  const view = MessageView.over(wire)
  if (!view || view.additionalCount === 0 || view.signed) return wire
  const records = walkRecords(view)
  let end = view.questionEnd
  while (records.next() && records.section !== 'additional') end = records.end
  const shorter = wire.slice(0, end)
  putUint16(shorter, 10, 0)
  return shorter
}

/** TC sends the client to TCP; where it is there already, nothing is left to try (RFC 7766 §5). */
function withoutRecords({ view, client }: Query, { wire }: Answer): Uint8Array {
  return client.transport === 'udp' ? truncatedReply(view, wire) : buildReply(view, { rcode: RCODE.SERVFAIL })
}

/** Whoever speaks TLS has proved its address, and has no use for a cookie. */
function cookieFor({ client }: Query, edns: EdnsView, cookies: ServerCookies | undefined): EdnsOption | undefined {
  if (!cookies || (client.transport !== 'udp' && client.transport !== 'tcp')) return undefined
  return cookies.answerTo(edns, client.address)?.option
}

function optFor(
  edns: EdnsView,
  { client: { transport } }: Query,
  extendedErrors: readonly ExtendedError[] | undefined,
  cookie: EdnsOption | undefined,
): OptFields {
  const encrypted = transport === 'dot' || transport === 'doh'
  const stream = transport === 'tcp' || transport === 'dot'
  const keepalive = stream && hasOption(edns, EDNS_OPTION.TCP_KEEPALIVE) ? keepaliveOption(KEEPALIVE_MS) : undefined
  return {
    udpSize: UDP_BYTES_MAX,
    dnssecOk: edns.dnssecOk,
    ...(extendedErrors ? { extendedErrors } : {}),
    ...(cookie || keepalive ? { options: [cookie, keepalive].filter((option) => option !== undefined) } : {}),
    ...(encrypted && hasOption(edns, EDNS_OPTION.PADDING) ? { padTo: RESPONSE_PADDING_BLOCK } : {}),
  }
}

function lengthOf(wire: Uint8Array, opt: OptFields | undefined): number {
  return opt ? wire.length + optBytes(opt, wire.length) : wire.length
}

function writeWhole(target: Uint8Array, at: number, wire: Uint8Array, opt: OptFields | undefined): number {
  target.set(wire, at)
  const end = at + wire.length
  return (opt ? appendOpt(target, at, end, opt) : end) - at
}
