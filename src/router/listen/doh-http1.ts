import { createServer } from 'node:http'
import type { TLSSocket } from 'node:tls'
import type { Client } from '../resolve/resolver.ts'
import { type DohProtocol, HEADER_LIST_BYTES_MAX, IDLE_MS, readBody } from './doh-protocol.ts'
import type { DohReply, DohService } from './doh-service.ts'
import { ANSWER_MS_MAX } from './listener.ts'

/** How often connections are looked at that take too long over a request. */
const BOUNDS_CHECK_MS = 2_000

/** HTTP/1.1 as Node speaks it. */
export function dohOverHttp1(service: DohService): DohProtocol {
  const clients = new WeakMap<TLSSocket, Client>()
  let finishing = false
  const server = createServer(
    {
      maxHeaderSize: HEADER_LIST_BYTES_MAX,
      keepAliveTimeout: IDLE_MS,
      requestTimeout: 2 * ANSWER_MS_MAX,
      connectionsCheckingInterval: BOUNDS_CHECK_MS,
    },
    (request, response) => {
      const { method = '', url = '', headers } = request
      const client = clients.get(request.socket as TLSSocket)!
      const send = ({ status, headers: own, body }: DohReply): void => {
        if (response.headersSent) return
        if (finishing) response.setHeader('connection', 'close')
        response.writeHead(status, { ...own, 'content-length': body.length })
        response.end(method === 'HEAD' ? undefined : Buffer.from(body))
      }
      const answer = (reply: DohReply | Promise<DohReply>): void => {
        if (reply instanceof Promise) void reply.then(send)
        else send(reply)
      }
      const reply = service.begin(
        { method, path: url, contentType: headers['content-type'], accept: headers.accept },
        client,
      )
      if (reply) answer(reply)
      else readBody(request, (body) => answer(service.finish(body, client)))
    },
  )
  // It is handed its connections and never listens, so it would not watch over their bounds by itself.
  server.emit('listening')
  return {
    take(socket, client) {
      clients.set(socket, client)
      server.emit('connection', socket)
    },
    finish() {
      finishing = true
      server.close() // idle connections; the others end with their answer
    },
  }
}
