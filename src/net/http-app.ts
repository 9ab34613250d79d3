import { getRequestListener, type Http2Bindings, type HttpBindings } from '@hono/node-server'
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response'
import { Hono } from 'hono'
import { HTTPException } from 'hono/http-exception'
import { createLog, explain } from '../core/log.ts'
import { plainAddress } from './address.ts'
import type { HttpRequest, HttpResponse, HttpServing } from './http.ts'
import { joinedHeaders, readBody } from './http-exchange.ts'

type Bindings = HttpBindings | Http2Bindings
export type Listener = (incoming: Bindings['incoming'], outgoing: Bindings['outgoing']) => void

interface AppServing extends HttpServing {
  readonly bodyBytesMax: number
  /** A request that is not whole by then is broken off. */
  readonly lateMs: number
}

/** Node's requests to a handler of ours and back. The one file that knows the framework, loaded by the first request. */
export function appListener(serving: AppServing): Listener {
  const { log } = serving
  const app = new Hono<{ Bindings: Bindings }>()
  app.all('*', async ({ env: { incoming, outgoing } }) => {
    const response = await serving.handler(await readRequest(incoming, serving))
    if (!outgoing.destroyed) send(outgoing, response, incoming.method === 'HEAD')
    return RESPONSE_ALREADY_SENT
  })
  app.onError((error) => {
    if (error instanceof HTTPException) return error.getResponse()
    ;(log ?? createLog('error')).error(explain(error), 'a request failed by a bug of ours')
    return new Response('internal error\n', { status: 500 })
  })
  const listener = getRequestListener((request, bindings) => app.fetch(request, bindings), {
    overrideGlobalObjects: false,
  })
  return (incoming, outgoing) => void listener(incoming, outgoing)
}

async function readRequest(incoming: Bindings['incoming'], { bodyBytesMax, lateMs }: AppServing): Promise<HttpRequest> {
  // Node bounds the time of an HTTP/1.1 request by itself, that of an HTTP/2 stream it does not.
  const late = setTimeout(() => incoming.destroy(new Error('too slow')), lateMs)
  // A client that goes away while it sends is its own affair: nobody reads the answer.
  const body = await readBody(incoming, bodyBytesMax)
    .catch((cause: unknown) => {
      throw new HTTPException(400, { cause })
    })
    .finally(() => clearTimeout(late))
  if (!body) throw new HTTPException(413, { message: `the body is larger than ${bodyBytesMax} bytes\n` })
  const [path = '/', ...query] = (incoming.url ?? '/').split('?')
  return {
    method: incoming.method ?? 'GET',
    path,
    query: new URLSearchParams(query.join('?')),
    headers: joinedHeaders(incoming.headers),
    body,
    remoteAddress: plainAddress(incoming.socket.remoteAddress ?? ''),
  }
}

// Written past the framework, which would join several Link or Set-Cookie values into one line.
function send(outgoing: Bindings['outgoing'], { status, headers, body }: HttpResponse, isHead: boolean): void {
  const bytes = Buffer.from(body)
  outgoing.statusCode = status
  for (const [name, value] of Object.entries(headers)) outgoing.setHeader(name, value)
  // To HEAD the length is that of a GET's body (RFC 9110 §8.6), so none is told where the handler made no body.
  if ((!isHead || bytes.length > 0) && status !== 204 && status !== 304)
    outgoing.setHeader('content-length', String(bytes.length))
  if (isHead) outgoing.end()
  else outgoing.end(bytes)
}
