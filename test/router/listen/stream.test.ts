import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { systemClock } from '../../../src/core/clock.ts'
import { createLog } from '../../../src/core/log.ts'
import { EDNS_OPTION } from '../../../src/dns/codes.ts'
import { FrameReader, frameOf } from '../../../src/dns/frame.ts'
import { MessageView } from '../../../src/dns/view.ts'
import { serverCookies } from '../../../src/router/listen/cookies.ts'
import { type Connection, type Shared, serveConnection, sharedState } from '../../../src/router/listen/stream.ts'
import { withCache } from '../../../src/router/resolve/cache.ts'
import type { Outcome, Query, Resolver } from '../../../src/router/resolve/resolver.ts'
import { answerOf } from '../../../src/router/upstream/wire.ts'
import { ManualClock, settle } from '../../support/manual-clock.ts'
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
  return open(resolver, sharedState(context)).socket
}

function open(
  resolver: Resolver,
  shared: Shared,
  transport: 'tcp' | 'dot' = 'dot',
): { readonly socket: RecordingSocket; readonly connection: Connection } {
  const socket = new RecordingSocket()
  const client = { address: '127.0.0.1', transport }
  return { socket, connection: serveConnection(socket as unknown as Socket, client, resolver, shared) }
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

describe('times of a connection', () => {
  const timed = async (names: readonly string[] = ['a.example']) => {
    const clock = new ManualClock()
    await clock.advance(1)
    return { clock, ...open(await warmCache(names), sharedState({ clock })) }
  }
  const frame = Buffer.from(frameOf(queryWire('a.example')))

  it('a message that was begun has five seconds to be whole, an octet a second or not', async () => {
    const { clock, socket, connection } = await timed()
    for (let second = 0; second < 5; second++) {
      expect(socket.destroyed).toBe(false)
      socket.push(frame.subarray(second, second + 1))
      await clock.advance(1_000)
      connection.check(clock.monotonicMs())
    }
    await settle()
    expect(socket.destroyed).toBe(true)
  })

  it('each message has its own five seconds', async () => {
    const { clock, socket, connection } = await timed()
    for (let second = 0; second < 20; second++) {
      // The rest of one and the beginning of the next.
      socket.push(Buffer.concat([second === 0 ? Buffer.alloc(0) : frame.subarray(5), frame.subarray(0, 5)]))
      await clock.advance(1_000)
      connection.check(clock.monotonicMs())
    }
    await settle()
    expect([socket.destroyed, socket.messages.length]).toEqual([false, 19])
  })

  it('no time passes for a message while it is we who do not read', async () => {
    const clock = new ManualClock()
    await clock.advance(1)
    const waiting: (() => void)[] = []
    const upstream = resolverOf(
      ({ view }) =>
        new Promise((resolve) =>
          waiting.push(() => resolve(answerOf(responseWire(view.wire, ['192.0.2.1']), 'up', 'unauthenticated'))),
        ),
    )
    const { socket, connection } = open(upstream, sharedState({ clock }))
    socket.push(Buffer.concat(Array.from({ length: 101 }, (_, id) => frameOf(queryWire('a.example', 1, { id })))))
    await clock.advance(20_000)
    connection.check(clock.monotonicMs())
    for (const deliver of waiting.splice(0)) deliver()
    await settle()
    expect([socket.destroyed, upstream.asked]).toEqual([false, 101])
  })

  it('a client that keeps its side open after we closed ours is cut, whatever it sends', async () => {
    const { clock, socket, connection } = await timed()
    connection.finish()
    for (let second = 0; second <= 5; second++) {
      expect(socket.destroyed).toBe(false)
      socket.push(Buffer.of(0))
      connection.check(clock.monotonicMs())
      await clock.advance(1_000)
    }
    expect(socket.destroyed).toBe(true)
  })

  it('a client that reads nothing is cut after ten seconds', async () => {
    const clock = new ManualClock()
    await clock.advance(1)
    const names = Array.from({ length: 60 }, (_, index) => `host-${index}.example`)
    const shared = sharedState({ clock })
    const { socket } = open(await warmCache(names), shared)
    socket.stall()
    socket.push(Buffer.concat(names.map((name, id) => frameOf(queryWire(name, 1, { id })))))
    await clock.advance(9_000)
    shared.slowReaders.check(clock.monotonicMs())
    expect(socket.destroyed).toBe(false)
    await clock.advance(1_000)
    shared.slowReaders.check(clock.monotonicMs())
    expect(socket.destroyed).toBe(true)
  })
})

describe('what all connections of a listener share', () => {
  const large = ({ view }: Query): Outcome => ({
    kind: 'answer',
    wire: Uint8Array.from([...view.wire.subarray(0, view.questionEnd), ...new Uint8Array(60_000)]),
    from: 'test',
  })

  it('a client that does not read may have one MiB waiting and no more', async () => {
    const waiting: (() => void)[] = []
    const { socket } = open(
      resolverOf((query) => new Promise((resolve) => waiting.push(() => resolve(large(query))))),
      sharedState(context),
    )
    socket.stall()
    socket.push(Buffer.concat(Array.from({ length: 30 }, (_, id) => frameOf(queryWire('a.example', 1, { id })))))
    await settle()
    for (const deliver of waiting.splice(0, 10)) deliver()
    await settle()
    expect(socket.destroyed).toBe(false)
    for (const deliver of waiting.splice(0)) deliver()
    await settle()
    expect(socket.destroyed).toBe(true)
  })

  it('over 4096 open questions each connection has one at a time, and none waits for ever', async () => {
    const shared = sharedState(context)
    const waiting: (() => void)[] = []
    const upstream = resolverOf(
      ({ view }) =>
        new Promise((resolve) =>
          waiting.push(() => resolve(answerOf(responseWire(view.wire, ['192.0.2.1']), 'up', 'unauthenticated'))),
        ),
    )
    shared.openQueries = 4096
    const { socket } = open(upstream, shared)
    socket.push(Buffer.concat([1, 2, 3].map((id) => frameOf(queryWire('a.example', 1, { id })))))
    for (let asked = 1; asked <= 3; asked++) {
      await settle()
      expect(upstream.asked).toBe(asked)
      waiting.shift()!()
    }
    await settle()
    expect(idsOf(socket.messages)).toEqual([1, 2, 3])
    expect(shared.openQueries).toBe(4096)
  })
})

describe('a connection gives up its place', () => {
  it('when it is idle, and says so', async () => {
    const { socket, connection } = open(await warmCache(['a.example']), sharedState(context))
    socket.push(frameOf(queryWire('a.example', 1, { id: 1 })))
    await settle()
    expect(connection.giveUp()).toBe(true)
    await settle()
    expect([socket.writableEnded, socket.destroyed, idsOf(socket.messages)]).toEqual([true, true, [1]])
  })

  it('not while a question is open, or half of one has come', async () => {
    const asking = open(
      resolverOf(() => new Promise(() => {})),
      sharedState(context),
    )
    asking.socket.push(frameOf(queryWire('a.example')))
    const half = open(await warmCache([]), sharedState(context))
    half.socket.push(Buffer.of(0, 40, 1))
    await settle()
    expect([asking.connection.giveUp(), half.connection.giveUp()]).toEqual([false, false])
    expect([asking.socket.destroyed, half.socket.destroyed]).toEqual([false, false])
  })
})

describe('what is no query', () => {
  const cookie = Buffer.from('abcd0100000000000000000100002904d000000000000c000a00080102030405060708', 'hex')

  it('a request for a cookie is answered on TCP, and FORMERR on TLS', async () => {
    const shared = { ...sharedState(context), cookies: serverCookies(systemClock) }
    for (const [transport, bytes] of [
      ['tcp', 12 + 11 + 4 + 24],
      ['dot', 12],
    ] as const) {
      const { socket } = open(await warmCache([]), shared, transport)
      socket.push(frameOf(cookie))
      await settle()
      expect(socket.messages.map(({ length }) => length)).toEqual([bytes])
    }
  })

  it('SEC-1: who may not ask gets no error either', async () => {
    const { socket } = open(await warmCache([]), { ...sharedState(context), admit: () => false }, 'tcp')
    socket.push(frameOf(queryWire('a.example', 1, { opcode: 5 })))
    await settle()
    expect([socket.destroyed, socket.writes]).toEqual([true, []])
  })
})

describe('a client that goes away', () => {
  it('takes back its own open questions, and nobody else’s', async () => {
    const cached = await warmCache(['known.example'])
    const signals: AbortSignal[] = []
    const resolver = resolverOf((query, signal) => {
      if (query.view.questionName === 'known.example') return cached.resolve(query, signal)
      signals.push(signal)
      return new Promise<Outcome>(() => {})
    })
    const shared = sharedState(context)
    const [hit, first, second] = [open(resolver, shared), open(resolver, shared), open(resolver, shared)] as const
    hit.socket.push(frameOf(queryWire('known.example')))
    for (const { socket } of [first, second]) socket.push(frameOf(queryWire('slow.example')))
    await settle()
    const gone = async ({ socket }: { readonly socket: RecordingSocket }): Promise<boolean[]> => {
      socket.destroy()
      await settle()
      return signals.map(({ aborted }) => aborted)
    }
    expect([await gone(hit), await gone(first), await gone(second)]).toEqual([
      [false, false],
      [true, false],
      [true, true],
    ])
  })
})
