import { buildReply, truncatedReply } from '../../dns/answer.ts'
import { EDNS_OPTION, RCODE } from '../../dns/codes.ts'
import {
  appendOpt,
  type EdnsView,
  type ExtendedError,
  hasOption,
  keepaliveOption,
  type OptFields,
  optBytes,
  RESPONSE_PADDING_BLOCK,
} from '../../dns/edns.ts'
import type { Answer, Query, Transport } from '../resolve/resolver.ts'
import { UDP_BYTES_MAX } from '../upstream/wire.ts'

/** No DNS message is longer. */
export const MESSAGE_BYTES_MAX = 65_535
/** What an answer without OPT may measure on UDP (RFC 1035 §4.2.1). */
const CLASSIC_UDP_BYTES_MAX = 512
/** An idle connection is kept this long for a client that asked for keepalive (RFC 7828). */
export const KEEPALIVE_MS = 30_000

/**
 * Writes what goes on the wire to `target` from `at` and returns its length, at most MESSAGE_BYTES_MAX: the answer, our
 * own OPT when the query had one (RFC 6891 §6.1.1), padding on encrypted transports when it was asked for (RFC 7830 §4).
 * When that is too long, the extended errors go first (RFC 8914 §3), then the records.
 */
export function writeReply(target: Uint8Array, at: number, query: Query, answer: Answer): number {
  const { view, client } = query
  // A signature covers everything but the id, which is the asker's already (RFC 5625 §4.5).
  if (answer.verbatim) return writeWhole(target, at, answer.wire, undefined)
  const { edns } = view
  const limit = bytesMaxOf(client.transport, edns)
  const opt = edns && optFor(edns, client.transport, answer.extendedErrors)
  if (lengthOf(answer.wire, opt) <= limit) return writeWhole(target, at, answer.wire, opt)
  const bareOpt = edns && optFor(edns, client.transport, undefined)
  if (lengthOf(answer.wire, bareOpt) <= limit) return writeWhole(target, at, answer.wire, bareOpt)
  return writeWhole(target, at, withoutRecords(query, answer), bareOpt)
}

function bytesMaxOf(transport: Transport, edns: EdnsView | undefined): number {
  if (transport !== 'udp') return MESSAGE_BYTES_MAX
  return edns ? Math.min(edns.udpSize, UDP_BYTES_MAX) : CLASSIC_UDP_BYTES_MAX
}

/** TC sends the client to TCP; where it is there already, nothing is left to try (RFC 7766 §5). */
function withoutRecords({ view, client }: Query, { wire }: Answer): Uint8Array {
  return client.transport === 'udp' ? truncatedReply(view, wire) : buildReply(view, { rcode: RCODE.SERVFAIL })
}

function optFor(edns: EdnsView, transport: Transport, extendedErrors: readonly ExtendedError[] | undefined): OptFields {
  const encrypted = transport === 'dot' || transport === 'doh'
  const stream = transport === 'tcp' || transport === 'dot'
  return {
    udpSize: UDP_BYTES_MAX,
    dnssecOk: edns.dnssecOk,
    ...(extendedErrors ? { extendedErrors } : {}),
    ...(stream && hasOption(edns, EDNS_OPTION.TCP_KEEPALIVE) ? { options: [keepaliveOption(KEEPALIVE_MS)] } : {}),
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
