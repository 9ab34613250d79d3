import { once } from 'node:events'
import { createServer as createHttp2Server } from 'node:http2'
import { connect, createServer } from 'node:net'
import { onTestFinished } from 'vitest'
import { systemClock } from '../../src/core/clock.ts'
import type { Endpoint } from '../../src/net/bind.ts'
import { listenOn } from '../../src/net/bind.ts'
import { ERROR } from '../../src/net/h2/error.ts'
import { FLAG, FRAME } from '../../src/net/h2/frame.ts'
import type { Handler } from '../../src/net/h2/handler.ts'
import { Http2Server } from '../../src/net/h2/server.ts'
import { type Frame, framesOf, ping } from './http2-wire.ts'
import { closeAfterTest, LOOPBACK, within } from './sockets.ts'

export const LARGE_BYTES = 100_000

/** `/` is answered at once, a POST when its body is there; `/slow` is never answered, `/large` with more than a window. */
export function testHandler(more: Partial<Handler> = {}): Handler {
  return {
    bodyBytesMax: 65_536,
    begin({ method, path }) {
      if (path === '/slow') return new Promise(() => {})
      if (method === 'POST') return undefined
      return { status: 200, headers: {}, body: Buffer.alloc(path === '/large' ? LARGE_BYTES : 2, 'ok') }
    },
    finish: (body) => ({ status: 200, headers: {}, body }),
    failed: (error) => {
      throw error
    },
    ...more,
  }
}

/** Our server on TCP: HTTP/2 does not care what is below it. */
export async function ownServer(handler = testHandler()): Promise<Endpoint> {
  const http2 = new Http2Server(systemClock)
  const server = createServer((socket) => http2.serve(socket, handler))
  const endpoint = await listenOn(server, LOOPBACK)
  closeAfterTest(server)
  return endpoint
}

/** What comes with Node, answering the same. */
export async function nodeServer(): Promise<Endpoint> {
  const server = createHttp2Server()
  server.on('sessionError', () => {})
  server.on('stream', (stream, headers) => {
    stream.on('error', () => {})
    if (headers[':path'] === '/slow') return
    const answer = (): void => {
      if (stream.destroyed || stream.headersSent) return
      stream.respond({ ':status': 200 })
      stream.end(Buffer.alloc(headers[':path'] === '/large' ? LARGE_BYTES : 2, 'ok'))
    }
    if (headers[':method'] !== 'POST') return answer()
    stream.resume().on('end', answer)
  })
  const endpoint = await listenOn(server, LOOPBACK)
  closeAfterTest(server)
  return endpoint
}

export interface Verdict {
  /** `ok`, `closed`, `silence`, `GOAWAY PROTOCOL_ERROR`, `RST_STREAM 1 STREAM_CLOSED` ... The worst of what came. */
  readonly text: string
  /** Streams that were answered with 200. */
  readonly answered: readonly number[]
  readonly frames: readonly Frame[]
}

/** Node leaves some errors without a word. */
export const NODE_PATIENCE_MS = 1_500
const PROBE = 'the end.'
const NAMES = Object.fromEntries(Object.entries(ERROR).map(([name, code]) => [code, name]))
const errorName = (bytes: Buffer, at: number): string => NAMES[bytes.readUInt32BE(at)] ?? String(bytes.readUInt32BE(at))

/** Sends all of it, and a PING to know when it has been read; says what the server made of it. */
export async function verdictOf(to: Endpoint, bytes: Buffer, patienceMs?: number): Promise<Verdict> {
  const socket = connect(to)
  onTestFinished(() => void socket.destroy())
  socket.on('error', () => {})
  const chunks: Buffer[] = []
  const over = new Promise<void>((resolve) => {
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk)
      const last = framesOf(Buffer.concat(chunks)).at(-1)
      if (last?.type === FRAME.PING && last.flags === FLAG.ACK && String(last.payload) === PROBE) resolve()
      // Node says so, and then may leave the connection open.
      if (last?.type === FRAME.GOAWAY && last.payload.readUInt32BE(4) !== 0) resolve()
    })
    socket.on('close', () => resolve())
  })
  await once(socket, 'connect')
  socket.write(Buffer.concat([bytes, ping(PROBE)]))
  const isSilent = await within('a verdict', over, patienceMs).then(
    () => false,
    () => true,
  )
  const isClosed = socket.closed
  socket.destroy()
  const frames = framesOf(Buffer.concat(chunks))
  const answered = frames
    .filter(({ type, payload }) => type === FRAME.HEADERS && payload.includes(0x88))
    .map(({ streamId }) => streamId)
  return { text: isSilent ? 'silence' : textOf(frames, isClosed), answered, frames }
}

function textOf(frames: readonly Frame[], isClosed: boolean): string {
  const goAway = frames.find(({ type, payload }) => type === FRAME.GOAWAY && payload.readUInt32BE(4) !== 0)
  if (goAway) return `GOAWAY ${errorName(goAway.payload, 4)}`
  const reset = frames.find(({ type, payload }) => type === FRAME.RST_STREAM && payload.readUInt32BE(0) !== 0)
  if (reset) return `RST_STREAM ${reset.streamId} ${errorName(reset.payload, 0)}`
  return isClosed ? 'closed' : 'ok'
}
