import { createPrivateKey, randomBytes, X509Certificate } from 'node:crypto'
import { chmod, mkdir, rename, rm } from 'node:fs/promises'
import { createServer, Server as Http1Server, Agent as HttpAgent, request as requestHttp } from 'node:http'
import {
  createSecureServer,
  type Http2SecureServer,
  type SecureServerOptions,
  type ServerHttp2Session,
} from 'node:http2'
import { Agent as HttpsAgent, request as requestHttps } from 'node:https'
import { connect, type Socket } from 'node:net'
import { Fault } from '../core/fault.ts'
import type { Log } from '../core/log.ts'
import { plainAddress } from './address.ts'
import { type Endpoint, listenOn } from './bind.ts'
import { appListener, type Listener } from './http-app.ts'
import { codeOf, exchange, reasonOfFailure, type TransportResponse } from './http-exchange.ts'
import { ConnectionLimit } from './limit.ts'

/** HTTP for the APIs and pages, both ends; DoH has its own. Handlers see bytes, never a framework. */

export interface HttpRequest {
  readonly method: string
  /** As received, still percent-encoded, without the query. */
  readonly path: string
  readonly query: URLSearchParams
  /** Lower-case names; a header that came several times is joined with commas. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
  /** Empty on a unix socket. */
  readonly remoteAddress: string
  /** Of a client with a certificate, see `clientCa`. */
  readonly clientName?: string
}

export interface HttpResponse {
  readonly status: number
  /** A list becomes one line for each value. */
  readonly headers: Readonly<Record<string, string | readonly string[]>>
  readonly body: string | Uint8Array
}

export interface HttpServing {
  handler(request: HttpRequest): Promise<HttpResponse>
  readonly bodyBytesMax?: number
  /** Where bugs of the handler are reported: standard error unless given. */
  readonly log?: Log
}

/** PEM, the chain leaf first. */
export interface HttpCertificate {
  readonly key: string
  readonly cert: string
}

export interface HttpServer {
  readonly address: string
  readonly port: number
  /** New connections get it, open ones live on. Throws and keeps the old one when the key does not fit. */
  setCertificate(certificate: HttpCertificate): void
  /** Lets requests under way end, for a short while. */
  close(): Promise<void>
}

/** The largest body of ours, a CSR with a hundred names in a JWS, is a hundredth of this. */
const BODY_BYTES_MAX = 1024 * 1024
const HEADER_BYTES_MAX = 16 * 1024
/** A slow phone sends its headers in one second; whoever needs longer holds the place of another. */
const HEADERS_MS_MAX = 10_000
const REQUEST_MS_MAX = 30_000
const IDLE_MS_MAX = 15_000
/** How often Node looks for connections over these bounds. */
const BOUNDS_CHECK_MS = 2_000
const CONNECTIONS_MAX = 2048
const CONNECTIONS_PER_CLIENT_MAX = 256
/** RFC 9113 §6.5.2 recommends at least 100. */
const STREAMS_MAX = 128
const HEADER_LINES_MAX = 100
/** Longer than any of our handlers takes. */
const SESSION_IDLE_MS_MAX = 60_000
const CLOSE_GRACE_MS = 2_000
const IDLE_CHECK_MS = 20

/** HTTP/1.1, and HTTP/2 beside it when there is a certificate. */
export async function serveHttp(
  options: HttpServing &
    Endpoint & {
      readonly tls?: HttpCertificate
      /** PEM roots: clients are asked for a certificate, and one that leads there gives its holder a name. */
      readonly clientCa?: readonly string[]
    },
): Promise<HttpServer> {
  const { tls, clientCa } = options
  const listener = listenerOf(options)
  const clients = clientCa ? { ca: [...clientCa], requestCert: true, rejectUnauthorized: false } : {}
  const server = tls ? secureServer(listener, { ...contextOf(tls), ...clients }) : plainServer(listener)
  const close = track(server)
  const { host, port } = await listenOn(server, options)
  return {
    address: host,
    port,
    setCertificate(certificate) {
      if (!('setSecureContext' in server)) throw new TypeError('a server without TLS has no certificate')
      server.setSecureContext({ ...contextOf(certificate), ...clients, ticketKeys: server.getTicketKeys() })
    },
    close,
  }
}

/** On a unix socket that only this user can open. A socket file that a dead process left behind is replaced. */
export async function serveHttpOnSocket(
  options: HttpServing & { readonly path: string },
): Promise<{ close(): Promise<void> }> {
  const { path } = options
  if (await isServed(path)) throw new Fault('PORT_IN_USE', `another process answers on ${path}`, { address: path })
  const server = plainServer(listenerOf(options))
  const close = track(server)
  // Bound where nobody else may look, and moved into place once its mode is right.
  const hidden = `${path}.${randomBytes(3).toString('hex')}`
  try {
    await mkdir(hidden, { mode: 0o700 })
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject).listen(`${hidden}/s`, resolve)
    })
    await chmod(`${hidden}/s`, 0o600)
    await rename(`${hidden}/s`, path)
  } catch (error) {
    await close()
    throw new Fault('STATE_UNWRITABLE', `no socket can be made at ${path}`, { path }, error)
  } finally {
    await rm(hidden, { recursive: true, force: true }).catch(() => {})
  }
  return {
    async close() {
      await rm(path, { force: true })
      await close()
    },
  }
}

function isServed(path: string): Promise<boolean> {
  return new Promise((answer) => {
    const client = connect(path, () => {
      client.destroy()
      answer(true)
    })
    client.once('error', () => answer(false))
  })
}

function listenerOf(serving: HttpServing): Listener {
  return appListener({
    ...serving,
    bodyBytesMax: serving.bodyBytesMax ?? BODY_BYTES_MAX,
    lateMs: REQUEST_MS_MAX + BOUNDS_CHECK_MS,
  })
}

const BOUNDS = {
  headersTimeout: HEADERS_MS_MAX,
  requestTimeout: REQUEST_MS_MAX,
  keepAliveTimeout: IDLE_MS_MAX,
  connectionsCheckingInterval: BOUNDS_CHECK_MS,
}

function plainServer(listener: Listener): Http1Server {
  return createServer({ ...BOUNDS, maxHeaderSize: HEADER_BYTES_MAX }, listener)
}

function secureServer(listener: Listener, context: SecureServerOptions): Http2SecureServer {
  const options = {
    ...context,
    allowHTTP1: true,
    handshakeTimeout: HEADERS_MS_MAX,
    maxHeaderListPairs: HEADER_LINES_MAX,
    settings: { maxConcurrentStreams: STREAMS_MAX, maxHeaderListSize: HEADER_BYTES_MAX },
  }
  // For its HTTP/1.1 connections the server takes its bounds as properties only.
  return Object.assign(createSecureServer(options, listener), BOUNDS).setTimeout(SESSION_IDLE_MS_MAX)
}

/** OpenSSL accepts an RSA certificate with an EC key without a word, so this is checked here. */
function contextOf({ key, cert }: HttpCertificate): { key: string; cert: string; minVersion: 'TLSv1.2' } {
  if (!new X509Certificate(cert).checkPrivateKey(createPrivateKey(key)))
    throw new Fault('CERT_KEY_MISMATCH', 'the certificate of the API does not belong to its key')
  return { key, cert, minVersion: 'TLSv1.2' }
}

/** Both kinds have it for their HTTP/1.1 connections, though the types say so of one only. */
type Closable = (Http1Server | Http2SecureServer) & { closeIdleConnections?(): void }

/** Bounds the connections; the function ends them all. */
function track(server: Closable): () => Promise<void> {
  const limit = new ConnectionLimit(CONNECTIONS_MAX, CONNECTIONS_PER_CLIENT_MAX)
  const sockets = new Set<Socket>()
  const sessions = new Set<ServerHttp2Session>()
  server.on('connection', (socket: Socket) => {
    const leave = limit.admit(plainAddress(socket.remoteAddress ?? ''))
    if (!leave) return socket.destroy()
    sockets.add(socket)
    return socket.once('close', () => {
      leave()
      sockets.delete(socket)
    })
  })
  server.on('session', (session: ServerHttp2Session) => {
    sessions.add(session)
    session.once('close', () => sessions.delete(session))
  })
  return async () => {
    const closed = new Promise<void>((resolve) => {
      server.close(() => resolve())
    })
    for (const session of sessions) session.close()
    // Again and again, because a connection becomes idle only when its request has been answered.
    const idle = setInterval(() => server.closeIdleConnections?.(), IDLE_CHECK_MS)
    const late = setTimeout(() => sockets.forEach((socket) => socket.destroy()), CLOSE_GRACE_MS)
    await closed
    clearInterval(idle)
    clearTimeout(late)
  }
}

// The client.

export interface TransportRequest {
  readonly method: string
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array
  readonly signal?: AbortSignal
}

export interface TransportOptions {
  /** PEM. Replaces the roots of the system. */
  readonly ca?: readonly string[]
  /** From the first packet to the last byte of the body. */
  readonly timeoutMs?: number
  readonly bodyBytesMax?: number
  readonly userAgent: string
  /** Plain http too: only for loopback and tests. */
  readonly allowHttp?: boolean
}

export interface HttpTransport {
  (request: TransportRequest): Promise<TransportResponse>
  close(): void
}

const TIMEOUT_MS = 15_000
const SOCKETS_PER_HOST_MAX = 8
const SOCKETS_MAX = 64
/** Shorter than common servers wait (5 s), so that we seldom write to a connection that is being closed. */
const FREE_SOCKET_MS_MAX = 4_000

/**
 * One trust store, bounded in time and size, no redirects followed. Throws HTTP_UNREACHABLE, or the signal's reason.
 * Deliberate: no retry here. Only the caller knows whether a request may be repeated.
 */
export function createHttpTransport(options: TransportOptions): HttpTransport {
  const { ca, userAgent, allowHttp = false, timeoutMs = TIMEOUT_MS, bodyBytesMax = BODY_BYTES_MAX } = options
  const pooling = {
    keepAlive: true,
    maxSockets: SOCKETS_PER_HOST_MAX,
    maxTotalSockets: SOCKETS_MAX,
    maxFreeSockets: SOCKETS_PER_HOST_MAX,
    timeout: FREE_SOCKET_MS_MAX,
  }
  const https = new HttpsAgent({ ...pooling, minVersion: 'TLSv1.2', ...(ca ? { ca: [...ca] } : {}) })
  const http = new HttpAgent(pooling)
  const transport = async ({ method, url, headers, body, signal }: TransportRequest): Promise<TransportResponse> => {
    const target = URL.canParse(url) ? new URL(url) : undefined
    const isPlain = target?.protocol === 'http:' && allowHttp
    if (!target || !(isPlain || target.protocol === 'https:'))
      throw new Fault('HTTP_UNREACHABLE', `${url} is not an ${allowHttp ? 'http or ' : ''}https URL`, { url })
    const common = { method, headers: { 'user-agent': userAgent, ...headers }, maxHeaderSize: HEADER_BYTES_MAX }
    try {
      return await exchange(
        isPlain ? requestHttp(target, { ...common, agent: http }) : requestHttps(target, { ...common, agent: https }),
        { body, signal, timeoutMs, bodyBytesMax },
      )
    } catch (error) {
      signal?.throwIfAborted()
      const reason = reasonOfFailure(error)
      const what = `${method} ${target.origin}${target.pathname}: ${target.host}: ${reason}`
      throw new Fault(
        'HTTP_UNREACHABLE',
        what,
        { url: target.origin + target.pathname, host: target.host, reason },
        error,
      )
    }
  }
  return Object.assign(transport, {
    close() {
      https.destroy()
      http.destroy()
    },
  })
}

/** Asks the server on a unix socket. Throws NOT_RUNNING when there is none. */
export async function requestOverSocket(
  path: string,
  request: {
    readonly method: string
    readonly path: string
    readonly headers?: Readonly<Record<string, string>>
    readonly body?: Uint8Array
    readonly signal?: AbortSignal
    readonly timeoutMs?: number
  },
): Promise<TransportResponse> {
  const { method, headers, body, signal, timeoutMs = TIMEOUT_MS } = request
  try {
    return await exchange(
      requestHttp({
        socketPath: path,
        method,
        path: request.path,
        headers: { host: 'localhost', ...headers },
        agent: false,
      }),
      { body, signal, timeoutMs, bodyBytesMax: ADMIN_BODY_BYTES_MAX },
    )
  } catch (error) {
    signal?.throwIfAborted()
    const reason = codeOf(error) === 'EACCES' ? 'may be opened only by the user the daemon runs as' : 'is not answered'
    throw new Fault('NOT_RUNNING', `${path} ${reason}`, { path }, error)
  }
}
/** Lists of a hundred thousand devices. */
const ADMIN_BODY_BYTES_MAX = 64 * 1024 * 1024
