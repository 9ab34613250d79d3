import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import { createLog, explain } from '../core/log.ts'
import { plainAddress } from './address.ts'
import { clientNameOf } from './client-certificate.ts'
import type { HttpRequest, HttpResponse, HttpServing } from './http.ts'
import { joinedHeaders, readBody } from './http-exchange.ts'

type Incoming = IncomingMessage | Http2ServerRequest
type Outgoing = ServerResponse | Http2ServerResponse
export type Listener = (incoming: Incoming, outgoing: Outgoing) => void

interface AppServing extends HttpServing {
  readonly bodyBytesMax: number
  /** A request that is not whole by then is broken off. */
  readonly lateMs: number
}

/** Node's requests to a handler of ours and back. */
export function appListener(serving: AppServing): Listener {
  return (incoming, outgoing) => void answer(incoming, outgoing, serving)
}

async function answer(incoming: Incoming, outgoing: Outgoing, serving: AppServing): Promise<void> {
  let response: HttpResponse
  try {
    const body = hasBody(incoming) ? await bodyOf(incoming, serving) : NO_BODY
    response = body instanceof Uint8Array ? await serving.handler(requestOf(incoming, body)) : body
  } catch (error) {
    ;(serving.log ?? createLog('error')).error(explain(error), 'a request failed by a bug of ours')
    response = { status: 500, headers: {}, body: 'internal error\n' }
  }
  if (!outgoing.destroyed) send(outgoing, response, incoming.method === 'HEAD')
}

const NO_BODY = new Uint8Array()

/** RFC 9112 §6.3. An HTTP/2 stream that has ended with its headers says so, others may have one. */
function hasBody(incoming: Incoming): boolean {
  const { headers } = incoming
  if (headers['content-length'] === '0') return false
  if (headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined) return true
  return incoming.httpVersionMajor === 2 && !('stream' in incoming && incoming.stream.endAfterHeaders)
}

/** The body, or what is answered in its place. */
async function bodyOf(incoming: Incoming, { bodyBytesMax, lateMs }: AppServing): Promise<Uint8Array | HttpResponse> {
  // Node bounds the time of an HTTP/1.1 request by itself, that of an HTTP/2 stream it does not.
  const late = setTimeout(() => incoming.destroy(new Error('too slow')), lateMs)
  try {
    const body = await readBody(incoming, bodyBytesMax)
    if (body) return body
    // What is left is thrown away as it comes, so that the client gets as far as reading our answer. In HTTP/2 the window
    // of the stream stays shut instead.
    if (incoming.httpVersionMajor === 1) incoming.resume()
    return { status: 413, headers: {}, body: `the body is larger than ${bodyBytesMax} bytes\n` }
  } catch {
    // A client that goes away while it sends is its own affair: nobody reads the answer.
    return { status: 400, headers: {}, body: '' }
  } finally {
    clearTimeout(late)
  }
}

function requestOf(incoming: Incoming, body: Uint8Array): HttpRequest {
  const [path = '/', ...query] = (incoming.url ?? '/').split('?')
  const clientName = clientNameOf(incoming.socket)
  return {
    method: incoming.method ?? 'GET',
    path,
    query: new URLSearchParams(query.join('?')),
    headers: joinedHeaders(incoming.headers),
    body,
    remoteAddress: plainAddress(incoming.socket.remoteAddress ?? ''),
    ...(clientName === undefined ? {} : { clientName }),
  }
}

function send(outgoing: Outgoing, { status, headers, body }: HttpResponse, isHead: boolean): void {
  const length = typeof body === 'string' ? Buffer.byteLength(body) : body.length
  outgoing.statusCode = status
  for (const name in headers) outgoing.setHeader(name, headers[name]!)
  // To HEAD the length is that of a GET's body (RFC 9110 §8.6), so none is told where the handler made no body.
  if ((!isHead || length > 0) && status !== 204 && status !== 304) outgoing.setHeader('content-length', String(length))
  // As one piece: text leaves together with the head.
  if (isHead || length === 0) outgoing.end()
  else outgoing.end(body)
}
