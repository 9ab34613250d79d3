import { constants, createServer, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2'
import type { Client } from '../resolve/resolver.ts'
import { type DohProtocol, HEADER_LIST_BYTES_MAX, IDLE_MS, readBody } from './doh-protocol.ts'
import type { DohReply, DohService } from './doh-service.ts'
import { ANSWER_MS_MAX } from './listener.ts'

/** RFC 9113 §6.5.2 recommends at least 100. */
const STREAMS_MAX = 128
/** From one sign of life of a request to the next. Longer than any answer takes. */
const BODY_MS_MAX = 2 * ANSWER_MS_MAX
const SESSION_MB_MAX = 8

/** HTTP/2 as Node speaks it (nghttp2). */
export function dohOverNodeHttp2(service: DohService): DohProtocol {
  const sessions = new Set<ServerHttp2Session>()
  const server = createServer({
    settings: { maxConcurrentStreams: STREAMS_MAX, maxHeaderListSize: HEADER_LIST_BYTES_MAX, enablePush: false },
    maxSessionMemory: SESSION_MB_MAX,
  })
  server.on('session', (session) => {
    sessions.add(session)
    session.on('close', () => sessions.delete(session))
    session.on('error', () => session.destroy())
    session.setTimeout(IDLE_MS, () => session.close())
  })
  server.on('sessionError', () => {})
  return {
    take(socket, client) {
      // Emitted within the next line: the session is that of this socket.
      server.once('session', (session) =>
        session.on('stream', (stream, headers) => {
          const contentType = headers['content-type']
          const { ':method': method = '', ':path': path = '', accept } = headers
          serveStream(stream, { method, path, contentType, accept }, service, client)
        }),
      )
      server.emit('connection', socket)
    },
    finish() {
      for (const session of sessions) session.close() // GOAWAY; open streams are answered
    },
  }
}

function serveStream(
  stream: ServerHttp2Stream,
  request: Parameters<DohService['begin']>[0],
  service: DohService,
  client: Client,
): void {
  stream.on('error', () => stream.close(constants.NGHTTP2_CANCEL))
  const isHead = request.method === 'HEAD'
  const send = ({ status, headers, body }: DohReply): void => {
    if (stream.destroyed || stream.closed || stream.headersSent) return
    stream.respond({ ':status': status, ...headers, 'content-length': body.length }, { endStream: isHead })
    if (isHead) return
    if (status === 200) stream.end(Buffer.from(body))
    // What is left of a refused body is not waited for (RFC 9113 §8.1).
    else stream.end(Buffer.from(body), () => stream.close(constants.NGHTTP2_NO_ERROR))
  }
  const answer = (reply: DohReply | Promise<DohReply>): void => {
    if (reply instanceof Promise) void reply.then(send)
    else send(reply)
  }
  const reply = service.begin(request, client)
  if (reply) return answer(reply)
  // A body that never comes would hold the stream, and the stream its connection, for ever.
  stream.setTimeout(BODY_MS_MAX, () => stream.close(constants.NGHTTP2_CANCEL))
  readBody(stream, (body) => answer(service.finish(body, client)))
}
