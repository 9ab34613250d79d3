import { createServer as createHttp1Server, type IncomingMessage, type ServerResponse } from 'node:http'
import {
  constants,
  createServer as createHttp2Server,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2'
import { explain } from '../../core/log.ts'
import { examineQuery } from '../../dns/query.ts'
import { plainAddress } from '../../net/address.ts'
import { connectionsOf, type Endpoint, listenOn } from '../../net/bind.ts'
import { ConnectionLimit } from '../../net/limit.ts'
import { createTlsServer, type TlsMaterial } from '../../net/tls.ts'
import type { Client, Outcome, Query, Resolver } from '../resolve/resolver.ts'
import {
  DOH_MEDIA_TYPE,
  type DohRequest,
  type DohVerdict,
  judgeBody,
  judgeRequest,
  MESSAGE_BYTES_MAX,
} from './doh-request.ts'
import { neverFailing } from './last-resort.ts'
import { ANSWER_MS_MAX, type EncryptedListener, type ListenerContext, withinGrace } from './listener.ts'
import { writeReply } from './reply.ts'

const CONNECTIONS_MAX = 2048
const CONNECTIONS_PER_CLIENT_MAX = 512
/** RFC 9113 §6.5.2 recommends at least 100. */
const STREAMS_MAX = 128
const HEADER_LIST_BYTES_MAX = 16_384
/** From one sign of life of a request to the next. Longer than any answer takes. */
const BODY_MS_MAX = 2 * ANSWER_MS_MAX
const IDLE_MS = 60_000
/** How often HTTP/1.1 connections are looked at that take too long over a request. */
const BOUNDS_CHECK_MS = 2_000

interface DohReply {
  readonly status: number
  readonly headers: Record<string, string | number>
  readonly body: Uint8Array | string
}

/** DNS over HTTPS (RFC 8484) on HTTP/2 and HTTP/1.1. */
export function dohListener(at: Endpoint, material: TlsMaterial, context: ListenerContext): EncryptedListener {
  const { clock, log } = context
  const limit = new ConnectionLimit(CONNECTIONS_MAX, CONNECTIONS_PER_CLIENT_MAX)
  const sessions = new Set<ServerHttp2Session>()
  const stopping = new AbortController()
  const scratch = Buffer.alloc(MESSAGE_BYTES_MAX)
  let resolver: Resolver
  let endpoint = at

  const toReply = (query: Query, outcome: Outcome): DohReply => {
    if (outcome.kind === 'drop') return { status: 403, headers: { 'content-type': 'text/plain' }, body: 'not for you' }
    const length = writeReply(scratch, 0, query, outcome)
    return dnsReply(Buffer.from(scratch.subarray(0, length)), outcome.freshS)
  }

  /** A hit is replied to in the turn that read it. */
  const answer = (client: Client, verdict: DohVerdict, send: (reply: DohReply) => void): void => {
    if (verdict.kind === 'refused')
      return send({
        status: verdict.status,
        headers: { 'content-type': 'text/plain', ...verdict.headers },
        body: verdict.text,
      })
    if (verdict.kind === 'body-wanted') return
    const examined = examineQuery(verdict.wire)
    if (examined.kind === 'drop')
      return send({ status: 400, headers: { 'content-type': 'text/plain' }, body: 'this is not a DNS query' })
    if (examined.kind === 'error') return send(dnsReply(examined.reply, undefined))
    const query = { view: examined.view, client, deadlineMs: clock.monotonicMs() + ANSWER_MS_MAX }
    const outcome = resolver.resolve(query, stopping.signal)
    if (!(outcome instanceof Promise)) return send(toReply(query, outcome))
    void outcome.then((settled) => send(toReply(query, settled)))
  }

  const serveStream = (stream: ServerHttp2Stream, request: DohRequest, client: Client): void => {
    stream.on('error', () => stream.close(constants.NGHTTP2_CANCEL))
    const send = ({ status, headers, body }: DohReply): void => {
      if (stream.destroyed || stream.closed || stream.headersSent) return
      stream.respond(
        { ':status': status, ...headers, 'content-length': body.length },
        { endStream: request.method === 'HEAD' },
      )
      if (request.method === 'HEAD') return
      if (status === 200) stream.end(body)
      // What is left of a refused body is not waited for (RFC 9113 §8.1).
      else stream.end(body, () => stream.close(constants.NGHTTP2_NO_ERROR))
    }
    const verdict = judgeRequest(request)
    if (verdict.kind !== 'body-wanted') return answer(client, verdict, send)
    // A body that never comes would hold the stream, and the stream its connection, for ever.
    stream.setTimeout(BODY_MS_MAX, () => stream.close(constants.NGHTTP2_CANCEL))
    readBody(stream, (body) => answer(client, judgeBody(body), send))
  }

  const http2 = createHttp2Server({
    settings: { maxConcurrentStreams: STREAMS_MAX, maxHeaderListSize: HEADER_LIST_BYTES_MAX, enablePush: false },
    maxSessionMemory: 8, // MB
  })
  http2.on('session', (session) => {
    sessions.add(session)
    session.on('close', () => sessions.delete(session))
    session.on('error', () => session.destroy())
    session.setTimeout(IDLE_MS, () => session.close())
    const client: Client = { address: plainAddress(session.socket.remoteAddress ?? ''), transport: 'doh' }
    session.on('stream', (stream, headers) =>
      serveStream(
        stream,
        {
          method: headers[':method'] ?? '',
          path: headers[':path'] ?? '',
          contentType: headers['content-type'],
          accept: headers.accept,
        },
        client,
      ),
    )
  })
  http2.on('sessionError', () => {})

  const http1 = createHttp1Server(
    {
      maxHeaderSize: HEADER_LIST_BYTES_MAX,
      keepAliveTimeout: IDLE_MS,
      requestTimeout: 2 * ANSWER_MS_MAX,
      connectionsCheckingInterval: BOUNDS_CHECK_MS,
    },
    (request: IncomingMessage, response: ServerResponse) => {
      const method = request.method ?? ''
      const send = ({ status, headers, body }: DohReply): void => {
        if (response.headersSent) return
        if (!tls.server.listening) response.setHeader('connection', 'close')
        response.writeHead(status, { ...headers, 'content-length': body.length })
        response.end(method === 'HEAD' ? undefined : body)
      }
      const client: Client = { address: plainAddress(request.socket.remoteAddress ?? ''), transport: 'doh' }
      const { 'content-type': contentType, accept } = request.headers
      const verdict = judgeRequest({ method, path: request.url ?? '', contentType, accept })
      if (verdict.kind !== 'body-wanted') return answer(client, verdict, send)
      readBody(request, (body) => answer(client, judgeBody(body), send))
    },
  )

  // It is handed its connections and never listens, so it would not watch over their bounds by itself.
  http1.emit('listening')

  const tls = createTlsServer({ alpn: ['h2', 'http/1.1'], material }, (socket) => {
    const leave = limit.admit(plainAddress(socket.remoteAddress ?? ''))
    if (!leave) {
      socket.destroy()
      return
    }
    socket.on('close', leave)
    socket.on('error', () => socket.destroy())
    socket.setNoDelay(true)
    const protocol = socket.alpnProtocol === 'h2' ? http2 : http1
    protocol.emit('connection', socket)
  })

  // Those whose handshake is not done yet count too: against the bound, and when we stop.
  const open = connectionsOf(tls.server)
  tls.server.maxConnections = CONNECTIONS_MAX

  return {
    id: 'doh',
    transport: 'doh',
    get endpoint() {
      return endpoint
    },
    get material() {
      return tls.material
    },
    setMaterial: (next) => tls.setMaterial(next),
    async start(chain) {
      resolver = neverFailing(chain, log)
      endpoint = await listenOn(tls.server, at, (error) => log.error(explain(error), 'doh listener failed'))
    },
    async stop(graceMs) {
      const closed = new Promise<void>((resolve) => void tls.server.close(() => resolve()))
      for (const session of sessions) session.close() // GOAWAY; open streams are answered
      http1.close() // idle connections; the others end with their answer
      await withinGrace(closed, graceMs, clock)
      stopping.abort()
      for (const socket of open) socket.destroy()
      await closed
    },
  }
}

/** max-age is the shortest TTL of the answer (RFC 8484 §5.1); failures are no one's to keep. */
function dnsReply(body: Uint8Array, freshS: number | undefined): DohReply {
  return {
    status: 200,
    headers: {
      'content-type': DOH_MEDIA_TYPE,
      'cache-control': freshS === undefined ? 'no-store' : `max-age=${freshS}`,
    },
    body,
  }
}

/** Reads at most one byte more than a message may have: enough to refuse it. */
function readBody(from: ServerHttp2Stream | IncomingMessage, done: (body: Uint8Array) => void): void {
  const chunks: Buffer[] = []
  let length = 0
  from.on('data', (chunk: Buffer) => {
    if (length <= MESSAGE_BYTES_MAX) chunks.push(chunk)
    length += chunk.length
    if (length > MESSAGE_BYTES_MAX && length - chunk.length <= MESSAGE_BYTES_MAX) done(Buffer.concat(chunks))
  })
  from.on('end', () => {
    if (length <= MESSAGE_BYTES_MAX) done(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks))
  })
}
