import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type IncomingHttpHeaders,
} from 'node:http2'
import type { Socket } from 'node:net'
import { Fault } from '../../core/fault.ts'
import type { PreparedAnswer } from '../../dns/answer.ts'
import { MessageView } from '../../dns/view.ts'
import { endpointText } from '../../net/bind.ts'
import type { Answer, Upstream } from '../resolve/resolver.ts'
import { Alarm } from './alarm.ts'
import type { EndpointSource } from './endpoints.ts'
import { deadlineFault, type Question } from './question.ts'
import type { Proof } from './trust.ts'
import { type Connection, type ConnectionEvents, WarmUpstream } from './warm.ts'
import { FORM, matchReply, upstreamQuestion, wholeAnswerTo } from './wire.ts'

const MESSAGE_BYTES_MAX = 65_535
/** Streams open on one connection, should the server allow more (RFC 9113 §5.1.2). */
const OPEN_QUESTIONS_MAX = 1_000
const PING_MS_MAX = 1_000
const IDLE_MS = 20_000
/** RFC 8484 §4.1: id 0 lets HTTP caches share answers. */
const DOH_ID = 0
const MEDIA_TYPE = 'application/dns-message'

export interface DohUpstreamOptions {
  readonly id: string
  readonly endpoints: EndpointSource
  readonly tls: Proof
  readonly port: number
  /** Path of the URL, without the `{?dns}` of its template: POST expands with no variables. */
  readonly path: string
}

/** DNS over HTTPS as a client (RFC 8484): POST over a warm HTTP/2 connection. Redirects are refused by not following them. */
export function dohUpstream({ id, endpoints, tls, port, path }: DohUpstreamOptions): Upstream {
  const origin = new URL(`https://${endpointText({ host: tls.name, port })}`)
  const headers = {
    [constants.HTTP2_HEADER_METHOD]: 'POST',
    // Node leaves out the brackets of an IPv6 address.
    [constants.HTTP2_HEADER_AUTHORITY]: origin.host,
    [constants.HTTP2_HEADER_PATH]: path,
    [constants.HTTP2_HEADER_ACCEPT]: MEDIA_TYPE,
    [constants.HTTP2_HEADER_CONTENT_TYPE]: MEDIA_TYPE,
  }
  const peer = { id, origin, headers }
  return new WarmUpstream(
    { id, endpoints, tls: { ...tls, alpn: 'h2' } },
    (socket, events) => new DohConnection(peer, socket, events),
  )
}

interface Peer {
  readonly id: string
  readonly origin: URL
  readonly headers: Readonly<Record<string, string>>
}

type ReplyHeaders = IncomingHttpHeaders & { readonly ':status'?: number | undefined }

class DohConnection implements Connection {
  readonly #peer: Peer
  readonly #events: ConnectionEvents
  readonly #session: ClientHttp2Session
  readonly #open = new Map<ClientHttp2Stream, Question>()
  readonly #alarm = new Alarm((nowMs) => this.#sweep(nowMs))
  #isRetired = false
  #isOver = false
  #isProving = false

  constructor(peer: Peer, socket: Socket, events: ConnectionEvents) {
    this.#peer = peer
    this.#events = events
    const session = connect(peer.origin, { createConnection: () => socket, settings: { enablePush: false } })
    this.#session = session
    session.on('error', (error) => this.#lose(error))
    session.on('goaway', () => this.retire())
    session.on('close', () => this.#lose())
    session.setTimeout(IDLE_MS, () => {
      if (this.#open.size === 0) this.retire()
    })
    session.unref()
  }

  get usable(): boolean {
    const isGone = this.#isRetired || this.#session.closed || this.#session.destroyed
    return !isGone && this.#open.size < OPEN_QUESTIONS_MAX
  }

  ask(question: Question): void {
    const { id, headers } = this.#peer
    const sent = upstreamQuestion(question.query.view, DOH_ID, FORM.EDNS | FORM.PADDED)
    const stream = this.#session.request({ ...headers, [constants.HTTP2_HEADER_CONTENT_LENGTH]: sent.length })
    question.sends++
    this.#open.set(stream, question)
    this.#alarm.at(question.query.deadlineMs)
    const chunks: Buffer[] = []
    let length = 0
    let reply: ReplyHeaders = {}
    stream.on('response', (received) => (reply = received))
    stream.on('data', (chunk: Buffer) => {
      length += chunk.length
      if (length <= MESSAGE_BYTES_MAX) return void chunks.push(chunk)
      this.#done(stream)?.fail(new Fault('UPSTREAM_BROKEN', `${id} sent more than a DNS message`))
      stream.close(constants.NGHTTP2_CANCEL)
    })
    stream.on('error', () => {}) // `close` follows
    stream.on('close', () => {
      const isWhole = stream.rstCode === constants.NGHTTP2_NO_ERROR && reply[':status'] !== undefined
      // The end of the whole connection is told by its own event, which asks what is open again.
      if (!isWhole && (this.#session.closed || this.#session.destroyed)) return this.#lose()
      const asked = this.#done(stream)
      if (!asked) return
      if (!isWhole) return asked.fail(new Fault('UPSTREAM_UNREACHABLE', `${id} broke off`))
      try {
        asked.settle(answerIn(Buffer.concat(chunks), reply, asked, id))
      } catch (error) {
        asked.fail(error)
      }
    })
    stream.end(sent)
  }

  retire(): void {
    if (!this.#isRetired) {
      this.#isRetired = true
      this.#events.retired()
    }
    if (this.#open.size > 0 || this.#isOver) return
    this.#isOver = true
    this.#session.close()
    this.#events.lost([])
  }

  abandon(): Question[] {
    const unanswered = [...this.#open.values()]
    this.#open.clear()
    this.#isRetired = true
    this.#isOver = true
    this.#alarm.rest()
    this.#session.destroy()
    return unanswered
  }

  /** Undefined: it has had its outcome. */
  #done(stream: ClientHttp2Stream): Question | undefined {
    const question = this.#open.get(stream)
    this.#open.delete(stream)
    if (this.#open.size === 0) {
      this.#alarm.rest()
      if (this.#isRetired) this.retire()
    }
    return question
  }

  #sweep(nowMs: number): number {
    let nextMs = Number.POSITIVE_INFINITY
    const late: ClientHttp2Stream[] = []
    for (const [stream, { query }] of this.#open) {
      if (query.deadlineMs > nowMs) nextMs = Math.min(nextMs, query.deadlineMs)
      else late.push(stream)
    }
    if (late.length > 0) this.#proveAlive()
    for (const stream of late) {
      this.#done(stream)?.fail(deadlineFault(this.#peer.id))
      stream.close(constants.NGHTTP2_CANCEL)
    }
    return nextMs
  }

  /** A link that is gone without a word leaves even a ping unanswered; the next question then gets a new connection. */
  #proveAlive(): void {
    if (this.#isProving || this.#isOver || this.#session.closed || this.#session.destroyed) return
    this.#isProving = true
    const timer = setTimeout(() => this.#lose(), PING_MS_MAX)
    timer.unref()
    this.#session.ping(() => {
      this.#isProving = false
      clearTimeout(timer)
    })
  }

  #lose(cause?: unknown): void {
    if (this.#isOver) return
    this.#events.lost(this.abandon(), cause)
  }
}

/** Throws UPSTREAM_BROKEN for anything but the answer to this question. */
function answerIn(body: Buffer, headers: ReplyHeaders, { query }: Question, id: string): Answer {
  const status = headers[':status']
  if (status !== 200) throw new Fault('UPSTREAM_BROKEN', `${id} answered with HTTP status ${status}`, { status })
  const type = headers['content-type'] ?? 'no content type'
  if (type.split(';', 1)[0]!.trim().toLowerCase() !== MEDIA_TYPE)
    throw new Fault('UPSTREAM_BROKEN', `${id} answered with ${type}`)
  const reply = MessageView.over(body)
  if (reply?.id !== DOH_ID || matchReply(reply, query.view, false) !== 'ours')
    throw new Fault('UPSTREAM_BROKEN', `${id} answered another question`)
  const answer = wholeAnswerTo(query, body, id, 'authenticated')
  const ageS = /^\d+$/.test(headers.age ?? '') ? Number(headers.age) : 0
  return ageS > 0 && answer.prepared ? { ...answer, prepared: aged(answer.prepared, ageS) } : answer
}

/** An HTTP cache on the way held the answer for `ageS` seconds (RFC 8484 §5.1). The bytes are ours: nobody else has seen them. */
function aged(prepared: PreparedAnswer, ageS: number): PreparedAnswer {
  const younger = (ttlS: number): number => Math.max(0, ttlS - ageS)
  const bytes = new DataView(prepared.wire.buffer, prepared.wire.byteOffset, prepared.wire.byteLength)
  for (const offset of prepared.ttlOffsets) bytes.setUint32(offset, younger(bytes.getUint32(offset)))
  const { minTtlS, negativeTtlS } = prepared
  return {
    ...prepared,
    minTtlS: younger(minTtlS),
    ...(negativeTtlS === undefined ? {} : { negativeTtlS: younger(negativeTtlS) }),
  }
}
