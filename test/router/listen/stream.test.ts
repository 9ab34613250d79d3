import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { systemClock } from '../../../src/core/clock.ts'
import { createLog } from '../../../src/core/log.ts'
import { EDNS_OPTION } from '../../../src/dns/codes.ts'
import { FrameReader, frameOf } from '../../../src/dns/frame.ts'
import { MessageView } from '../../../src/dns/view.ts'
import { gatherBuffer, serveConnection } from '../../../src/router/listen/stream.ts'
import { withCache } from '../../../src/router/resolve/cache.ts'
import type { Resolver } from '../../../src/router/resolve/resolver.ts'
import { answerOf } from '../../../src/router/upstream/wire.ts'
import { settle } from '../../support/manual-clock.ts'
import { queryOf, queryWire, resolverOf, responseWire } from '../../support/query.ts'

/** A socket that keeps what was written to it, write by write. */
class RecordingSocket extends Duplex {
  readonly writes: Buffer[] = []
  /** Held back writes keep the socket full, as a slow reader would. */
  stalled: (() => void) | undefined
  #stall = false
  constructor() {
    super({ allowHalfOpen: true, writableHighWaterMark: 1024 })
  }
  setNoDelay(): this {
    return this
  }
  timeoutMs = 0
  timeOut = (): void => {}
  setTimeout(ms: number, expired?: () => void): this {
    this.timeoutMs = ms
    if (expired) this.timeOut = expired
    return this
  }
  destroySoon(): void {
    this.end(() => this.destroy())
  }
  stall(): void {
    this.#stall = true
  }
  override _read(): void {}
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.writes.push(chunk)
    if (this.#stall) this.stalled = done
    else done()
  }
  get messages(): Uint8Array[] {
    const reader = new FrameReader()
    reader.push(Buffer.concat(this.writes))
    const found: Uint8Array[] = []
    for (let next = reader.next(); next; next = reader.next()) found.push(next)
    return found
  }
}

const context = { clock: systemClock, log: createLog('silent') }

function serve(resolver: Resolver): RecordingSocket {
  const socket = new RecordingSocket()
  serveConnection(
    socket as unknown as Socket,
    { address: '127.0.0.1', transport: 'dot' },
    resolver,
    gatherBuffer(),
    context,
  )
  return socket
}

/** A cache that already knows the answers for `names`. */
async function warmCache(names: readonly string[]): Promise<Resolver> {
  const upstream = resolverOf(async ({ view }) =>
    answerOf(responseWire(view.wire, ['192.0.2.1']), 'up', 'unauthenticated'),
  )
  const cached = withCache({ bytesMax: 1 << 20, clock: systemClock }).layer(upstream)
  for (const name of names) await cached.resolve(queryOf(queryWire(name)), AbortSignal.timeout(1000))
  return cached
}

const idsOf = (messages: readonly Uint8Array[]): number[] => messages.map((wire) => MessageView.over(wire)!.id)

describe('answers of one read', () => {
  it('leave in one write, in the same turn, when the cache has them all', async () => {
    const names = Array.from({ length: 50 }, (_, index) => `host-${index}.example`)
    const socket = serve(await warmCache(names))
    const frames = names.map((name, index) => frameOf(queryWire(name, 1, { id: index })))
    socket.push(Buffer.concat(frames))
    await new Promise((resolve) => process.nextTick(resolve))
    expect(socket.writes.length).toBe(1)
    expect(idsOf(socket.messages)).toEqual(names.map((_, index) => index))
  })

  it('leave in one write when an upstream delivers several in one turn', async () => {
    const waiting: (() => void)[] = []
    const socket = serve(
      resolverOf(
        ({ view }) =>
          new Promise((resolve) =>
            waiting.push(() => resolve(answerOf(responseWire(view.wire, ['192.0.2.1']), 'up', 'unauthenticated'))),
          ),
      ),
    )
    socket.push(Buffer.concat([1, 2, 3].map((id) => frameOf(queryWire('a.example', 1, { id })))))
    await settle()
    for (const deliver of waiting) deliver()
    await settle()
    expect(socket.writes.length).toBe(1)
    expect(idsOf(socket.messages)).toEqual([1, 2, 3])
  })

  it('DOT-1: a fast answer does not wait for a slow one before it', async () => {
    const cached = await warmCache(['fast.example'])
    const socket = serve({
      id: 'mixed',
      resolve: (query, signal) =>
        query.view.questionName === 'slow.example' ? new Promise(() => {}) : cached.resolve(query, signal),
    })
    socket.push(
      Buffer.concat([
        frameOf(queryWire('slow.example', 1, { id: 1 })),
        frameOf(queryWire('fast.example', 1, { id: 2 })),
      ]),
    )
    await settle()
    expect(idsOf(socket.messages)).toEqual([2])
  })

  it('DOT-2: length and message are one write; DOT-3: a query split into single octets is answered', async () => {
    const socket = serve(await warmCache(['a.example']))
    for (const octet of frameOf(queryWire('a.example', 1, { id: 7 }))) socket.push(Buffer.of(octet))
    await settle()
    expect(socket.writes.length).toBe(1)
    expect(idsOf(socket.messages)).toEqual([7])
  })
})

describe('bounds of a connection', () => {
  it('takes no more than 100 open questions, and goes on when answers have made room', async () => {
    const waiting: (() => void)[] = []
    const upstream = resolverOf(
      ({ view }) =>
        new Promise((resolve) =>
          waiting.push(() => resolve(answerOf(responseWire(view.wire, ['192.0.2.1']), 'up', 'unauthenticated'))),
        ),
    )
    const socket = serve(upstream)
    socket.push(Buffer.concat(Array.from({ length: 150 }, (_, id) => frameOf(queryWire('a.example', 1, { id })))))
    await settle()
    expect(upstream.asked).toBe(100)
    for (const deliver of waiting.splice(0)) deliver()
    await settle()
    expect(upstream.asked).toBe(150)
    for (const deliver of waiting.splice(0)) deliver()
    await settle()
    expect(socket.messages.length).toBe(150)
  })

  it('answers nobody who does not read', async () => {
    const cached = await warmCache(['a.example'])
    const counted = resolverOf((query, signal) => cached.resolve(query, signal))
    const socket = serve(counted)
    socket.stall()
    const batch = Buffer.concat(Array.from({ length: 60 }, (_, id) => frameOf(queryWire('a.example', 1, { id }))))
    socket.push(batch)
    await settle()
    const asked = counted.asked
    socket.push(batch)
    await settle()
    expect(counted.asked).toBe(asked)
    socket.stalled!()
    await settle()
    expect(counted.asked).toBeGreaterThan(asked)
  })

  it('closes a connection that breaks the framing', async () => {
    const socket = serve(await warmCache([]))
    socket.push(Buffer.of(0, 3, 1, 2, 3))
    await settle()
    expect(socket.destroyed).toBe(true)
  })

  it('answers what came before the framing was broken', async () => {
    const socket = serve(await warmCache(['a.example']))
    socket.push(Buffer.concat([frameOf(queryWire('a.example', 1, { id: 4 })), Buffer.of(0, 3, 1, 2, 3)]))
    await settle()
    expect(idsOf(socket.messages)).toEqual([4])
    expect(socket.destroyed).toBe(true)
  })

  it('DOT-6: ends an idle connection after 10 seconds, or after the 30 it announced; one that does not react is cut', async () => {
    const socket = serve(await warmCache(['a.example']))
    expect(socket.timeoutMs).toBe(10_000)
    const options = [{ code: EDNS_OPTION.TCP_KEEPALIVE, data: new Uint8Array(0) }]
    socket.push(frameOf(queryWire('a.example', 1, { edns: { udpSize: 1232, version: 0, dnssecOk: false, options } })))
    await settle()
    expect(socket.timeoutMs).toBe(30_000)
    socket.timeOut()
    expect([socket.writableEnded, socket.destroyed]).toEqual([true, false])
    socket.timeOut()
    expect(socket.destroyed).toBe(true)
  })

  it('gives a client that reads slowly and closed its side every answer', async () => {
    const names = Array.from({ length: 60 }, (_, index) => `host-${index}.example`)
    const socket = serve(await warmCache(names))
    socket.stall()
    for (const [id, name] of names.entries()) socket.push(frameOf(queryWire(name, 1, { id })))
    socket.push(null)
    for (let turn = 0; turn < 100 && !socket.writableFinished; turn++) {
      await settle()
      const stalled = socket.stalled
      socket.stalled = undefined
      stalled?.()
    }
    expect(idsOf(socket.messages)).toEqual(names.map((_, id) => id))
    expect(socket.writableFinished).toBe(true)
  })

  it('keeps no answer for a connection that has gone', async () => {
    let deliver = (): void => {}
    const socket = serve(
      resolverOf(
        ({ view }) =>
          new Promise((resolve) => {
            deliver = () => resolve(answerOf(responseWire(view.wire, ['192.0.2.1']), 'up', 'unauthenticated'))
          }),
      ),
    )
    socket.push(frameOf(queryWire('a.example')))
    await settle()
    socket.destroy()
    deliver()
    await settle()
    expect(socket.writes).toEqual([])
  })

  it('gives a client that closed its side every answer it is owed', async () => {
    let deliver = (): void => {}
    const socket = serve(
      resolverOf(
        ({ view }) =>
          new Promise((resolve) => {
            deliver = () => resolve(answerOf(responseWire(view.wire, ['192.0.2.1']), 'up', 'unauthenticated'))
          }),
      ),
    )
    socket.push(frameOf(queryWire('a.example', 1, { id: 9 })))
    socket.push(null)
    await settle()
    expect(socket.writableEnded).toBe(false)
    deliver()
    await settle()
    expect(idsOf(socket.messages)).toEqual([9])
    expect(socket.writableEnded).toBe(true)
  })
})
