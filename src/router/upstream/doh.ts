import { type ClientHttp2Session, connect, constants } from 'node:http2'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { Fault } from '../../core/fault.ts'
import type { PreparedAnswer } from '../../dns/answer.ts'
import { MessageView } from '../../dns/view.ts'
import { type Endpoint, endpointText } from '../../net/bind.ts'
import type { Answer, Query, Resolver } from '../resolve/resolver.ts'
import { connectionFault } from './trust.ts'
import { deadlineFault } from './deadline.ts'
import { answerOf, isReplyTo, upstreamQuery } from './wire.ts'

const MESSAGE_BYTES_MAX = 65_535
const CONNECT_MS_MAX = 3_000
const IDLE_MS = 20_000
/** RFC 8484 §4.1: id 0 lets HTTP caches share answers. */
const DOH_ID = 0

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
  let current: Promise<ClientHttp2Session> | undefined
  let turn = 0

  const session = (): Promise<ClientHttp2Session> => {
    const endpoint = options.endpoints[turn % options.endpoints.length]!
    current ??= openSession(options, endpoint, () => (current = undefined)).catch((error: unknown) => {
      current = undefined
      turn++ // the next question tries the next pinned address
      throw error
    })
    return current
  }

  return {
    id: options.id,
    async resolve(query) {
      return await ask(await session(), query, options)
    },
  }
}

function openSession(options: DohUpstreamOptions, endpoint: Endpoint, onClose: () => void): Promise<ClientHttp2Session> {
  return new Promise((resolve, reject) => {
    const failed = (error: Error): void => {
      clearTimeout(timer)
      socket.destroy()
      reject(error instanceof Fault ? error : connectionFault(error, options.id, endpoint))
    }
    const socket: TLSSocket = connectTls({
      ...endpoint,
      servername: options.name,
      ...(options.trust ? { ca: [...options.trust] } : {}),
      ALPNProtocols: ['h2'],
      minVersion: 'TLSv1.2',
      rejectUnauthorized: true,
    })
    const timer = setTimeout(
      () => failed(new Fault('UPSTREAM_TIMEOUT', `no connection to ${options.id} (${endpointText(endpoint)}) in ${CONNECT_MS_MAX} ms`)),
      CONNECT_MS_MAX,
    )
    socket.once('error', failed)
    socket.once('secureConnect', () => {
      if (socket.alpnProtocol !== 'h2') return failed(new Fault('UPSTREAM_BROKEN', `${options.id} does not speak HTTP/2`))
      clearTimeout(timer)
      socket.removeListener('error', failed)
      const session = connect(`https://${options.name}:${endpoint.port}`, { createConnection: () => socket })
      session.on('error', () => session.destroy())
      session.on('goaway', onClose)
      session.on('close', onClose)
      session.setTimeout(IDLE_MS, () => session.close())
      session.unref()
      resolve(session)
    })
  })
}

async function ask(session: ClientHttp2Session, query: Query, options: DohUpstreamOptions): Promise<Answer> {
  const body = upstreamQuery(query.view, DOH_ID, 'pad')
  const { status, age, wire } = await new Promise<{ status: number; age: number; wire: Buffer }>((resolve, reject) => {
    const stream = session.request({
      [constants.HTTP2_HEADER_METHOD]: 'POST',
      [constants.HTTP2_HEADER_PATH]: options.path,
      [constants.HTTP2_HEADER_ACCEPT]: 'application/dns-message',
      [constants.HTTP2_HEADER_CONTENT_TYPE]: 'application/dns-message',
      [constants.HTTP2_HEADER_CONTENT_LENGTH]: body.length,
    })
    const fail = (error: Error): void => {
      clearTimeout(timer)
      stream.close(constants.NGHTTP2_CANCEL)
      reject(error)
    }
    const timer = setTimeout(() => fail(deadlineFault(options.id)), Math.max(0, query.deadlineMs - performance.now()))
    const chunks: Buffer[] = []
    let length = 0
    let status = 0
    let age = 0
    stream.on('response', (headers) => {
      status = headers[':status'] ?? 0
      age = Number(headers.age ?? 0) || 0
    })
    stream.on('data', (chunk: Buffer) => {
      length += chunk.length
      if (length > MESSAGE_BYTES_MAX) return fail(new Fault('UPSTREAM_BROKEN', `${options.id} sent more than a DNS message`))
      chunks.push(chunk)
    })
    stream.on('error', (error) =>
      fail(error instanceof Fault ? error : new Fault('UPSTREAM_UNREACHABLE', `${options.id} broke off`, {}, error)),
    )
    stream.on('end', () => {
      clearTimeout(timer)
      resolve({ status, age, wire: Buffer.concat(chunks) })
    })
    stream.on('close', () => fail(new Fault('UPSTREAM_UNREACHABLE', `${options.id} broke off`)))
    stream.end(body)
  })
  if (status !== 200) throw new Fault('UPSTREAM_BROKEN', `${options.id} answered with HTTP status ${status}`, { status })
  if (!isReplyTo(MessageView.over(wire), query.view, DOH_ID))
    throw new Fault('UPSTREAM_BROKEN', `${options.id} answered another question`)
  const answer = answerOf(wire, options.id, 'authenticated')
  if (age > 0) subtractAge(answer.prepared!, age)
  return answer
}

/** An HTTP cache on the way held the answer for `ageS` seconds (RFC 8484 §5.1). The bytes are ours: nobody else has seen them. */
function subtractAge(prepared: PreparedAnswer, ageS: number): void {
  const bytes = new DataView(prepared.wire.buffer, prepared.wire.byteOffset, prepared.wire.byteLength)
  for (const offset of prepared.ttlOffsets) bytes.setUint32(offset, Math.max(0, bytes.getUint32(offset) - ageS))
}
