import type { Clock } from '../../core/clock.ts'
import { examineQuery } from '../../dns/query.ts'
import type { Client, Outcome, Query, Resolver } from '../resolve/resolver.ts'
import { DOH_MEDIA_TYPE, type DohRequest, type DohVerdict, judgeBody, judgeRequest } from './doh-request.ts'
import { ANSWER_MS_MAX } from './listener.ts'
import { MESSAGE_BYTES_MAX, writeReply } from './reply.ts'

/** Questions of one listener waiting for an upstream. A home asks tens at a time; over it clients are told to come back. */
const OPEN_QUERIES_MAX = 4_096
/** Longer than the burst that filled the queue, or emptied the client's rate. */
const RETRY_AFTER_S = 2
const TEXT = 'text/plain'

/** The HTTP side of one answer, for either HTTP version. */
export interface DohReply {
  readonly status: number
  /** Lower-case names, without content-length. */
  readonly headers: Readonly<Record<string, string>>
  /** Valid until the next call of the service: it may lie in a buffer that is used again. A promised reply owns its body. */
  readonly body: Uint8Array
}

/** DNS over HTTPS (RFC 8484) without HTTP: request in, reply out. A hit is no promise. */
export interface DohService {
  /** Undefined: the body of the request is wanted, `finish` takes it. */
  begin(request: DohRequest, client: Client): DohReply | Promise<DohReply> | undefined
  finish(body: Uint8Array, client: Client): DohReply | Promise<DohReply>
}

/** The resolver never fails (last-resort.ts). */
export function dohService(
  resolver: Resolver,
  clock: Clock,
  signal: AbortSignal,
  answersDiffer: () => boolean = () => false,
): DohService {
  const scratch = Buffer.allocUnsafeSlow(MESSAGE_BYTES_MAX)
  let open = 0

  const toReply = (query: Query, outcome: Outcome): DohReply => {
    if (outcome.kind === 'drop') return REPLY_OF_DROP[outcome.reason]
    const length = writeReply(scratch, 0, query, outcome)
    return dnsReply(scratch.subarray(0, length), outcome.freshS, answersDiffer())
  }
  /** Two answers may be ready in one turn, before either is sent. */
  const toOwnReply = (query: Query, outcome: Outcome): DohReply => {
    const { status, headers, body } = toReply(query, outcome)
    return { status, headers, body: Buffer.from(body) }
  }

  const answer = (verdict: DohVerdict, client: Client): DohReply | Promise<DohReply> | undefined => {
    if (verdict.kind === 'body-wanted') return undefined
    if (verdict.kind === 'refused') return textReply(verdict.status, verdict.text, verdict.headers)
    const examined = examineQuery(verdict.wire)
    if (examined.kind === 'drop') return NOT_A_QUERY
    if (examined.kind === 'error') return dnsReply(examined.reply, undefined)
    const query = { view: examined.view, client, deadlineMs: clock.monotonicMs() + ANSWER_MS_MAX }
    if (open >= OPEN_QUERIES_MAX) return OVERLOADED
    const outcome = resolver.resolve(query, signal)
    if (!(outcome instanceof Promise)) return toReply(query, outcome)
    open++
    return outcome.then((settled) => {
      open--
      return toOwnReply(query, settled)
    })
  }

  return {
    begin: (request, client) => answer(judgeRequest(request), client),
    finish: (body, client) => answer(judgeBody(body), client)!,
  }
}

/**
 * max-age is the shortest TTL of the answer (RFC 8484 §5.1); failures are no one's to keep. An answer that another client
 * would not get is kept by its own alone (RFC 9111 §5.2.2.7).
 */
function dnsReply(body: Uint8Array, freshS: number | undefined, isPersonal = false): DohReply {
  const control = freshS === undefined ? 'no-store' : `${isPersonal ? 'private, ' : ''}max-age=${freshS}`
  return { status: 200, headers: { 'content-type': DOH_MEDIA_TYPE, 'cache-control': control }, body }
}

function textReply(status: number, text: string, headers?: Readonly<Record<string, string>>): DohReply {
  return { status, headers: { 'content-type': TEXT, ...headers }, body: Buffer.from(text) }
}

const RETRY = { 'retry-after': String(RETRY_AFTER_S) }
const NOT_A_QUERY = textReply(400, 'this is not a DNS query')
const OVERLOADED = textReply(503, 'too many questions are open', RETRY)
const REPLY_OF_DROP: Readonly<Record<Extract<Outcome, { kind: 'drop' }>['reason'], DohReply>> = {
  'not-allowed': textReply(403, 'not for you'),
  'rate-limit': textReply(429, 'too many questions', RETRY),
  malformed: NOT_A_QUERY,
}
