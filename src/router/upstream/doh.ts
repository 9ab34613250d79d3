import {
  type ClientHttp2Session,
  connect,
  constants,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from 'node:http2'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { Fault } from '../../core/fault.ts'
import type { PreparedAnswer } from '../../dns/answer.ts'
import { MessageView } from '../../dns/view.ts'
import { type Endpoint, endpointText } from '../../net/bind.ts'
import type { Answer, Query, Resolver } from '../resolve/resolver.ts'
import { deadlineFault } from './deadline.ts'
import { connectionFault, provingName } from './trust.ts'
import { ConnectionLost, type WarmConnection, warmUpstream } from './warm.ts'
import { answerOf, isReplyTo, upstreamQuery } from './wire.ts'

const MESSAGE_BYTES_MAX = 65_535
const CONNECT_MS_MAX = 3_000
const PING_MS_MAX = 1_000
const IDLE_MS = 20_000
/** RFC 8484 §4.1: id 0 lets HTTP caches share answers. */
const DOH_ID = 0
const MEDIA_TYPE = 'application/dns-message'

export interface DohUpstreamOptions {
  readonly id: string
  readonly endpoints: readonly Endpoint[]
  /** The host of the URL: what the certificate must carry. */
  readonly name: string
  /** Path of the URL, without the `{?dns}` of its template: POST expands with no variables. */
  readonly path: string
  readonly trust?: readonly string[]
}

/** DNS over HTTPS as a client (RFC 8484): POST over one warm HTTP/2 connection. Redirects are refused by not following them. */
export function dohUpstream(options: DohUpstreamOptions): Resolver {
  return warmUpstream(options, (endpoint, onClose) => new Connection(options, endpoint, onClose))
}

class Connection implements WarmConnection {
  readonly #options: DohUpstreamOptions
  readonly #origin: URL
  readonly #session: Promise<ClientHttp2Session>
  readonly #onClose: () => void
  #closed = false
  everConnected = false

  constructor(options: DohUpstreamOptions, endpoint: Endpoint, onClose: () => void) {
    this.#options = options
    this.#onClose = onClose
    this.#origin = new URL(`https://${endpointText({ host: options.name, port: endpoint.port })}`)
    this.#session = openSession(options, endpoint, this.#origin)
    this.#session.then(
      (session) => {
        this.everConnected = true
        session.on('goaway', () => this.#close())
        session.on('close', () => this.#close())
      },
      () => this.#close(),
    )
  }

  get usable(): boolean {
    return !this.#closed
  }

  async ask(query: Query): Promise<Answer> {
    const over = new AbortController()
    const tooLate = new Promise<never>((_, fail) =>
      over.signal.addEventListener('abort', () => fail(over.signal.reason)),
    )
    const leftMs = Math.max(0, query.deadlineMs - performance.now())
    const timer = setTimeout(() => {
      over.abort(deadlineFault(this.#options.id))
      void this.#proveAlive()
    }, leftMs)
    try {
      return await Promise.race([this.#answer(query, over.signal), tooLate])
    } finally {
      clearTimeout(timer)
    }
  }

  async #answer(query: Query, signal: AbortSignal): Promise<Answer> {
    const { id, path } = this.#options
    const session = await this.#session
    const request = {
      [constants.HTTP2_HEADER_METHOD]: 'POST',
      // Node leaves out the brackets of an IPv6 address.
      [constants.HTTP2_HEADER_AUTHORITY]: this.#origin.host,
      [constants.HTTP2_HEADER_PATH]: path,
      [constants.HTTP2_HEADER_ACCEPT]: MEDIA_TYPE,
      [constants.HTTP2_HEADER_CONTENT_TYPE]: MEDIA_TYPE,
    }
    const { headers, body } = await exchange(id, session, request, upstreamQuery(query.view, DOH_ID, 'pad'), signal)
    const status = headers[':status']
    if (status !== 200) throw new Fault('UPSTREAM_BROKEN', `${id} answered with HTTP status ${status}`, { status })
    const type = headers['content-type'] ?? 'no content type'
    if (type.split(';', 1)[0]!.trim().toLowerCase() !== MEDIA_TYPE)
      throw new Fault('UPSTREAM_BROKEN', `${id} answered with ${type}`)
    if (!isReplyTo(MessageView.over(body), query.view, DOH_ID))
      throw new Fault('UPSTREAM_BROKEN', `${id} answered another question`)
    const answer = answerOf(body, id, 'authenticated')
    const ageS = /^\d+$/.test(headers.age ?? '') ? Number(headers.age) : 0
    return ageS > 0 && answer.prepared ? { ...answer, prepared: aged(answer.prepared, ageS) } : answer
  }

  /** A link that is gone without a word leaves even a ping unanswered; the next question then gets a new connection. */
  async #proveAlive(): Promise<void> {
    const session = await this.#session.catch(() => undefined)
    if (!session || session.closed || session.destroyed) return
    const timer = setTimeout(() => session.destroy(), PING_MS_MAX)
    session.ping(() => clearTimeout(timer))
  }

  #close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#onClose()
  }
}

function openSession(options: DohUpstreamOptions, endpoint: Endpoint, origin: URL): Promise<ClientHttp2Session> {
  return new Promise((resolve, reject) => {
    const failed = (error: Error): void => {
      clearTimeout(timer)
      socket.destroy()
      reject(error instanceof Fault ? error : connectionFault(error, options.id, endpoint))
    }
    const socket: TLSSocket = connectTls({ ...endpoint, ...provingName(options.name, options.trust, 'h2') })
    const timer = setTimeout(
      () =>
        failed(
          new Fault(
            'UPSTREAM_TIMEOUT',
            `no connection to ${options.id} (${endpointText(endpoint)}) in ${CONNECT_MS_MAX} ms`,
          ),
        ),
      CONNECT_MS_MAX,
    )
    socket.once('error', failed)
    socket.once('secureConnect', () => {
      if (socket.alpnProtocol !== 'h2')
        return failed(new Fault('UPSTREAM_BROKEN', `${options.id} does not speak HTTP/2`))
      clearTimeout(timer)
      socket.removeListener('error', failed)
      const session = connect(origin, { createConnection: () => socket, settings: { enablePush: false } })
      session.on('error', () => session.destroy())
      session.setTimeout(IDLE_MS, () => session.close())
      session.unref()
      resolve(session)
    })
  })
}

interface Reply {
  readonly headers: IncomingHttpHeaders & { readonly ':status'?: number | undefined }
  readonly body: Buffer
}

function exchange(
  id: string,
  session: ClientHttp2Session,
  request: OutgoingHttpHeaders,
  sent: Uint8Array,
  signal: AbortSignal,
): Promise<Reply> {
  return new Promise((settle, fail) => {
    const lost = (cause?: unknown): void => {
      if (session.closed || session.destroyed) fail(new ConnectionLost(`${id} closed the connection`, { cause }))
      else fail(new Fault('UPSTREAM_UNREACHABLE', `${id} broke off`, {}, cause))
    }
    if (session.closed || session.destroyed) return lost()
    const stream = session.request({ ...request, [constants.HTTP2_HEADER_CONTENT_LENGTH]: sent.length }, { signal })
    const chunks: Buffer[] = []
    let length = 0
    let headers: Reply['headers'] = {}
    stream.on('response', (received) => (headers = received))
    stream.on('data', (chunk: Buffer) => {
      length += chunk.length
      if (length <= MESSAGE_BYTES_MAX) return void chunks.push(chunk)
      fail(new Fault('UPSTREAM_BROKEN', `${id} sent more than a DNS message`))
      stream.close(constants.NGHTTP2_CANCEL)
    })
    stream.on('error', lost)
    stream.on('close', () => {
      if (stream.rstCode === constants.NGHTTP2_NO_ERROR && headers[':status'] !== undefined)
        settle({ headers, body: Buffer.concat(chunks) })
      else lost()
    })
    stream.end(sent)
  })
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
