import { once } from 'node:events'
import { type ClientHttp2Session, connect } from 'node:http2'
import { expect, it, onTestFinished } from 'vitest'
import { IDLE_MS } from '../../../src/net/h2/limits.ts'
import { Http2Server } from '../../../src/net/h2/server.ts'
import { LARGE_BYTES, ownServer, testHandler } from '../../support/http2-peer.ts'
import { get, HELLO, TestSocket } from '../../support/http2-wire.ts'
import { ManualClock, settle } from '../../support/manual-clock.ts'
import { within } from '../../support/sockets.ts'

async function nodeClient(handler = testHandler()): Promise<ClientHttp2Session> {
  const session = connect(`http://127.0.0.1:${(await ownServer(handler)).port}`)
  onTestFinished(() => session.destroy())
  return session
}

function ask(session: ClientHttp2Session, path: string, body?: Buffer): Promise<{ status: number; body: Buffer }> {
  return new Promise((resolve, reject) => {
    const stream = session.request({ ':path': path, ':method': body ? 'POST' : 'GET' }, { endStream: !body })
    const chunks: Buffer[] = []
    let status = 0
    stream.on('response', (headers) => (status = Number(headers[':status'])))
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.on('end', () => resolve({ status, body: Buffer.concat(chunks) }))
    stream.on('error', reject)
    if (body) stream.end(body)
  })
}

it('the client of Node: many streams, each answered with its own body', async () => {
  const session = await nodeClient()
  const bodies = Array.from({ length: 1_500 }, (_, index) => Buffer.alloc(1 + ((index * 37) % 2_000), `${index} `))
  const replies = await within('the answers', Promise.all(bodies.map((body) => ask(session, '/', body))), 15_000)
  expect(replies.every(({ status, body }, index) => status === 200 && body.equals(bodies[index]!))).toBe(true)
})

it('the client of Node: large answers through small windows', async () => {
  const session = await nodeClient()
  session.settings({ initialWindowSize: 20_000 })
  const replies = await within('the answers', Promise.all(Array.from({ length: 10 }, () => ask(session, '/large'))))
  expect(replies.map(({ body }) => body.length)).toEqual(Array.from({ length: 10 }, () => LARGE_BYTES))
})

it('the client of Node: names and values in Huffman code and in the dynamic table', async () => {
  const seen: (string | undefined)[] = []
  const session = await nodeClient(
    testHandler({
      begin({ path, accept }) {
        seen.push(path, accept)
        return { status: 200, headers: {}, body: Buffer.alloc(0) }
      },
    }),
  )
  const printable = Array.from({ length: 94 }, (_, index) => String.fromCharCode(0x21 + index)).join('')
  const expected: string[] = []
  for (let round = 0; round < 20; round++) {
    const accept = `${printable.slice(round)}${'äöüß'.repeat(round)}`
    expected.push(`/${printable}`, accept)
    const stream = session.request({ ':path': `/${printable}`, accept, [`x-${round % 7}`]: printable })
    stream.resume().end()
    await within('a response', once(stream, 'close'))
  }
  expect(seen).toEqual(expected)
})

it('the client of Node: a session is closed with what it asked answered', async () => {
  const session = await nodeClient()
  await within('the connection', once(session, 'remoteSettings'))
  const asked = ask(session, '/', Buffer.from('last'))
  session.close()
  expect(String((await asked).body)).toBe('last')
  await within('the end', once(session, 'close'))
  expect(session.destroyed).toBe(true)
})

it('looks after its connections as long as there are some, and leaves no timer', async () => {
  const clock = new ManualClock()
  const server = new Http2Server(clock)
  expect(clock.sleeping).toBe(0)
  const [one, two] = [new TestSocket(), new TestSocket()]
  for (const socket of [one, two]) server.serve(socket, testHandler())
  expect(clock.sleeping).toBe(1)
  one.push(Buffer.concat([HELLO, get(1)]))
  await settle()
  const date = new Date(clock.nowMs()).toUTCString()
  expect(Buffer.concat(one.writes).includes(date)).toBe(true)
  two.destroy()
  await clock.advance(IDLE_MS + 2_000)
  expect([one.writableEnded, clock.sleeping]).toEqual([true, 1])
  await clock.advance(4_000)
  expect([one.destroyed, clock.sleeping]).toEqual([true, 0])
})

it('drain says goodbye to all', async () => {
  const server = new Http2Server(new ManualClock())
  const sockets = [new TestSocket(), new TestSocket()]
  for (const socket of sockets) server.serve(socket, testHandler())
  server.drain()
  expect(sockets.map((socket) => socket.writableEnded)).toEqual([true, true])
  for (const socket of sockets) socket.destroy()
})
