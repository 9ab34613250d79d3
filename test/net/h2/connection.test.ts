import { describe, expect, it, onTestFinished } from 'vitest'
import { Connection } from '../../../src/net/h2/connection.ts'
import { FLAG, FRAME } from '../../../src/net/h2/frame.ts'
import type { Handler } from '../../../src/net/h2/handler.ts'
import { HpackDecoder } from '../../../src/net/h2/hpack-decoder.ts'
import type { Reply } from '../../../src/net/h2/hpack-encoder.ts'
import {
  BODY_MS_MAX,
  CONNECTION_WINDOW_BYTES,
  CONTINUATIONS_MAX,
  HEAD_MS_MAX,
  IDLE_MS,
  LINGER_MS,
  PINGS,
  QUIET_FRAMES,
  RESETS,
  RESPONSE_MS_MAX,
  SETTINGS_FRAMES,
  STREAMS_MAX,
} from '../../../src/net/h2/limits.ts'
import { gatherBuffer } from '../../../src/net/h2/output.ts'
import { PREFACE } from '../../../src/net/h2/preface.ts'
import { SETTING } from '../../../src/net/h2/settings.ts'
import { LARGE_BYTES, testHandler } from '../../support/http2-peer.ts'
import {
  block,
  continuation,
  data,
  type Frame,
  frame,
  GET,
  GET_FIELDS,
  get,
  HELLO,
  headers,
  integer,
  ping,
  postHead,
  priority,
  reset,
  settings,
  string,
  TestSocket,
  windowUpdate,
} from '../../support/http2-wire.ts'
import { settle } from '../../support/manual-clock.ts'

const gather = gatherBuffer()
const DATE = 'Wed, 25 Nov 2026 02:00:00 GMT'
const MAX = 2 ** 31 - 1

class Scene {
  readonly socket: TestSocket
  readonly connection: Connection
  nowMs = 1_000_000

  constructor(handler: Partial<Handler> = {}, socket = new TestSocket()) {
    this.socket = socket
    const shared = { gather, date: DATE, monotonicMs: () => this.nowMs }
    this.connection = new Connection(socket, testHandler(handler), shared)
    onTestFinished(() => void socket.destroy())
  }
  /** One read of the socket. */
  async read(...bytes: readonly Buffer[]): Promise<Frame[]> {
    this.socket.push(Buffer.concat(bytes))
    await settle()
    return this.socket.takeFrames()
  }
  async greeted(): Promise<this> {
    await this.read(HELLO)
    return this
  }
  async after(ms: number): Promise<Frame[]> {
    this.nowMs += ms
    this.connection.sweep()
    await settle()
    return this.socket.takeFrames()
  }
}

const scene = (handler?: Partial<Handler>, socket?: TestSocket): Promise<Scene> => new Scene(handler, socket).greeted()
const kinds = (frames: readonly Frame[]): string[] =>
  frames.map(({ type, streamId }) => `${Object.entries(FRAME).find(([, code]) => code === type)?.[0]} ${streamId}`)
/** `GOAWAY 11: words`, or undefined. */
function goodbye(frames: readonly Frame[]): string | undefined {
  const last = frames.findLast(({ type }) => type === FRAME.GOAWAY)
  return last && `${last.payload.readUInt32BE(4)} ${String(last.payload.subarray(8))}`.trim()
}
const lengthOf = (frames: readonly Frame[], streamId: number): number =>
  frames
    .filter((one) => one.type === FRAME.DATA && one.streamId === streamId)
    .reduce((sum, { payload }) => sum + payload.length, 0)
function fieldsOf(one: Frame | undefined): Record<string, string> {
  const fields: Record<string, string> = {}
  const payload = one!.payload
  new HpackDecoder(4096).decode(payload, 0, payload.length, { field: ({ name, value }) => (fields[name] = value) })
  return fields
}
const path = (streamId: number, text: string): Buffer =>
  headers(streamId, block(...GET_FIELDS.map(([name, value]) => [name, name === ':path' ? text : value] as const)))
const odd = (count: number): number[] => Array.from({ length: count }, (_, index) => 2 * index + 1)
const REPLY: Reply = { status: 200, headers: {}, body: Buffer.from('late') }
const QUIET_WORDS = '11 too many frames without a request'

describe('one read, one write', () => {
  it('a hundred requests of one read leave in one write, acknowledgements included', async () => {
    const { socket } = new Scene()
    socket.writes.length = 0
    socket.push(Buffer.concat([HELLO, ping(), ...odd(100).map(get), windowUpdate(0, 1)]))
    await settle()
    expect(socket.writes.length).toBe(1)
    const frames = socket.takeFrames()
    expect(kinds(frames).slice(0, 4)).toEqual(['SETTINGS 0', 'PING 0', 'HEADERS 1', 'DATA 1'])
    expect(frames.filter(({ type }) => type === FRAME.DATA).length).toBe(100)
  })

  it('an answer that is ready at once leaves in the turn that read its request', () => {
    const { socket } = new Scene()
    socket.writes.length = 0
    socket.push(Buffer.concat([HELLO, get(1)]))
    socket.read(0)
    return new Promise<void>((resolve) => process.nextTick(resolve)).then(() => {
      expect(kinds(socket.takeFrames())).toEqual(['SETTINGS 0', 'HEADERS 1', 'DATA 1'])
    })
  })

  it('answers that become ready in one turn leave in one write, in the order they came', async () => {
    const waiting: ((reply: Reply) => void)[] = []
    const { socket } = await scene({ begin: () => new Promise((resolve) => waiting.push(resolve)) })
    socket.push(Buffer.concat(odd(5).map(get)))
    await settle()
    socket.writes.length = 0
    for (const answer of waiting.toReversed()) answer(REPLY)
    await settle()
    expect(socket.writes.length).toBe(1)
    expect(
      socket
        .takeFrames()
        .filter(({ type }) => type === FRAME.HEADERS)
        .map(({ streamId }) => streamId),
    ).toEqual([9, 7, 5, 3, 1])
  })

  it('connections that share a buffer do not mix their answers', async () => {
    const waiting: ((reply: Reply) => void)[] = []
    const late = { begin: () => new Promise<Reply>((resolve) => waiting.push(resolve)) }
    const [one, two] = [await scene(late), await scene(late)]
    await one.read(get(1))
    await two.read(get(3))
    for (const answer of waiting) answer(REPLY)
    await settle()
    expect(kinds(one.socket.takeFrames())).toEqual(['HEADERS 1', 'DATA 1'])
    expect(kinds(two.socket.takeFrames())).toEqual(['HEADERS 3', 'DATA 3'])
  })

  it('every split of the bytes gives the same answers', async () => {
    const bytes = Buffer.concat([HELLO, get(1), postHead(3), data(3, Buffer.from('body'))])
    const whole = (await new Scene().read(bytes)).slice(2)
    for (let at = 1; at < bytes.length; at += 3) {
      const split = new Scene()
      const frames = [...(await split.read(bytes.subarray(0, at))), ...(await split.read(bytes.subarray(at)))]
      expect(frames.slice(2)).toEqual(whole)
    }
  })
})

describe('answers', () => {
  it('have status, length and date; HEAD has no body', async () => {
    const one = await scene()
    const [head] = await one.read(headers(1, block([':method', 'HEAD'], ...GET_FIELDS.slice(1))))
    expect(fieldsOf(head)).toEqual({ ':status': '200', 'content-length': '2', date: DATE })
    expect(head!.flags).toBe(FLAG.END_HEADERS | FLAG.END_STREAM)
  })

  it('RFC 7541 section 4.2: a client that allows no table is told once that we keep none', async () => {
    const one = await scene()
    const frames = await one.read(
      settings([SETTING.HEADER_TABLE_SIZE, 0]),
      get(1),
      get(3),
      settings([SETTING.HEADER_TABLE_SIZE, 10]),
      get(5),
    )
    const firsts = frames.filter(({ type }) => type === FRAME.HEADERS).map(({ payload }) => payload[0])
    expect(firsts).toEqual([0x20, 0x88, 0x88])
  })

  it('a body that is refused early is answered, and the rest not waited for', async () => {
    const one = await scene({ begin: () => REPLY })
    const frames = await one.read(postHead(1), data(1, Buffer.from('more'), 0), data(1, Buffer.alloc(0)))
    expect(kinds(frames)).toEqual(['HEADERS 1', 'DATA 1', 'RST_STREAM 1'])
    expect(frames[2]!.payload.readUInt32BE(0)).toBe(0)
  })

  it('a body is handed over when it has grown to the bound', async () => {
    const sizes: number[] = []
    const finish = (body: Buffer): Reply => (
      sizes.push(body.length), { status: 413, headers: {}, body: Buffer.alloc(0) }
    )
    const one = await scene({ bodyBytesMax: 10, finish })
    const frames = await one.read(
      postHead(1),
      data(1, Buffer.alloc(6), 0),
      data(1, Buffer.alloc(6), 0),
      data(1, Buffer.alloc(6), 0),
    )
    expect([sizes, kinds(frames)]).toEqual([[12], ['HEADERS 1', 'RST_STREAM 1']])
  })

  it.each([
    [
      'thrown by begin',
      {
        begin: () => {
          throw new TypeError('bug')
        },
      },
    ],
    [
      'thrown by finish',
      {
        begin: () => undefined,
        finish: () => {
          throw new TypeError('bug')
        },
      },
    ],
    ['rejected', { begin: () => Promise.reject(new TypeError('bug')) }],
  ] satisfies [string, Partial<Handler>][])('a bug of the handler, %s, ends that request only', async (_, handler) => {
    const errors: unknown[] = []
    const one = await scene({ ...handler, failed: (error) => errors.push(error) })
    const frames = await one.read(get(1), ping())
    expect(frames.find(({ type }) => type === FRAME.RST_STREAM)?.payload.readUInt32BE(0)).toBe(2)
    expect(errors).toEqual([new TypeError('bug')])
    expect(kinds(await one.read(ping()))).toEqual(['PING 0'])
  })
})

describe('RFC 9113 section 6.9: flow control', () => {
  it('an answer stops at the stream window and at the connection window, and goes on as they open', async () => {
    const one = await scene()
    expect(lengthOf(await one.read(path(1, '/large')), 1)).toBe(65_535)
    expect(await one.read(windowUpdate(1, 10_000))).toEqual([])
    expect(lengthOf(await one.read(windowUpdate(0, 9_999)), 1)).toBe(9_999)
    expect(lengthOf(await one.read(windowUpdate(0, 100_000)), 1)).toBe(1)
    const last = await one.read(windowUpdate(1, 100_000))
    expect(lengthOf(last, 1)).toBe(LARGE_BYTES - 75_535)
    expect(last.at(-1)!.flags).toBe(FLAG.END_STREAM)
  })

  it('no DATA frame is above 16384 octets, whatever the client would take', async () => {
    const one = await scene()
    const frames = await one.read(
      settings([SETTING.INITIAL_WINDOW_SIZE, MAX], [SETTING.MAX_FRAME_SIZE, 100_000]),
      windowUpdate(0, 1_000_000),
      path(1, '/large'),
    )
    expect(lengthOf(frames, 1)).toBe(LARGE_BYTES)
    expect(Math.max(...frames.map(({ payload }) => payload.length))).toBe(16_384)
  })

  it('a smaller initial window makes those of open streams negative', async () => {
    const one = await scene()
    await one.read(windowUpdate(0, 1_000_000))
    const frames = await one.read(settings([SETTING.INITIAL_WINDOW_SIZE, 10]), path(1, '/large'))
    expect(lengthOf(frames, 1)).toBe(10)
    expect(lengthOf(await one.read(settings([SETTING.INITIAL_WINDOW_SIZE, 0]), windowUpdate(1, 10)), 1)).toBe(0)
    expect(lengthOf(await one.read(windowUpdate(1, 5)), 1)).toBe(5)
    expect(lengthOf(await one.read(settings([SETTING.INITIAL_WINDOW_SIZE, 7])), 1)).toBe(7)
  })

  it('a stream that is reset while its answer waits is forgotten', async () => {
    const one = await scene()
    await one.read(settings([SETTING.INITIAL_WINDOW_SIZE, 1]), path(1, '/large'), path(3, '/large'), reset(1))
    expect(kinds(await one.read(windowUpdate(1, 100_000), windowUpdate(3, 5)))).toEqual(['DATA 3'])
  })

  it('the window for bodies opens again, so that any number of requests may come', async () => {
    const one = await scene()
    let granted = CONNECTION_WINDOW_BYTES
    for (let id = 1; id < 200; id += 2) {
      const body = Buffer.alloc(16_384)
      granted -= body.length
      const frames = await one.read(postHead(id), data(id, body), windowUpdate(0, body.length))
      for (const { payload } of frames.filter(({ type }) => type === FRAME.WINDOW_UPDATE))
        granted += payload.readUInt32BE(0)
      expect([lengthOf(frames, id), granted > 16_384]).toEqual([16_384, true])
    }
  })

  it('bodies that do not end hold the window, and more than it is FLOW_CONTROL_ERROR', async () => {
    const one = await scene({ begin: () => undefined })
    const frames: Frame[] = []
    for (let id = 1; id <= 11; id += 2) {
      frames.push(
        ...(await one.read(postHead(id), ...Array.from({ length: 3 }, () => data(id, Buffer.alloc(16_384), 0)))),
      )
    }
    expect(frames.filter(({ type }) => type === FRAME.WINDOW_UPDATE)).toEqual([])
    expect(goodbye(frames)).toBe('3 more data than the window lets through')
  })
})

describe('floods end in GOAWAY ENHANCE_YOUR_CALM', () => {
  const slow = (id: number): Buffer => path(id, '/slow')
  const times = (count: number, one: Buffer): Buffer[] => Array.from({ length: count }, () => one)

  it.each([
    ['PING', PINGS.burst, ping(), '11 too many PING frames'],
    ['PING acknowledgements', PINGS.burst, ping('12345678', FLAG.ACK), '11 too many PING frames'],
    ['SETTINGS', SETTINGS_FRAMES.burst - 1, settings(), '11 too many SETTINGS frames'],
    [
      'SETTINGS acknowledgements',
      SETTINGS_FRAMES.burst - 1,
      frame(FRAME.SETTINGS, FLAG.ACK, 0),
      '11 too many SETTINGS frames',
    ],
    ['PRIORITY', QUIET_FRAMES.burst, priority(1, 3), QUIET_WORDS],
    ['WINDOW_UPDATE', QUIET_FRAMES.burst, windowUpdate(0, 1), QUIET_WORDS],
    ['frames of unknown type', QUIET_FRAMES.burst, frame(0xbe, 0, 0), QUIET_WORDS],
    ['GOAWAY', QUIET_FRAMES.burst, frame(FRAME.GOAWAY, 0, 0, Buffer.alloc(8)), QUIET_WORDS],
  ])('%s', async (_, allowed, one, words) => {
    const flood = await scene()
    expect(goodbye(await flood.read(...times(allowed, one)))).toBeUndefined()
    expect(goodbye(await flood.read(one))).toBe(words)
    expect(flood.socket.writableEnded).toBe(true)
  })

  it.each([
    ['empty DATA', data(1, Buffer.alloc(0), 0)],
    ['DATA of nothing but padding', data(1, Buffer.concat([Buffer.of(3), Buffer.alloc(3)]), FLAG.PADDED)],
  ])('%s', async (_, one) => {
    const flood = await scene()
    await flood.read(postHead(1))
    expect(goodbye(await flood.read(...times(QUIET_FRAMES.burst, one)))).toBeUndefined()
    expect(goodbye(await flood.read(one))).toBe(QUIET_WORDS)
  })

  it('CVE-2023-44487: streams reset right after they were opened', async () => {
    const flood = await scene()
    const round = (id: number): Buffer => Buffer.concat([slow(id), reset(id)])
    // The answers are still being made, so the 129th stream is refused long before the allowance is gone.
    const frames = await flood.read(...odd(STREAMS_MAX + 1).map(round))
    expect(kinds(frames)).toEqual([`RST_STREAM ${2 * STREAMS_MAX + 1}`])
    expect(frames[0]!.payload.readUInt32BE(0)).toBe(7)
    expect(
      goodbye(
        await flood.read(
          ...odd(300)
            .slice(STREAMS_MAX + 1)
            .map(round),
        ),
      ),
    ).toBe('11 too many streams reset')
  })

  it('CVE-2023-44487: streams reset right after they were answered', async () => {
    const flood = await scene()
    const frames = await flood.read(...odd(RESETS.burst + 1).map((id) => Buffer.concat([get(id), reset(id)])))
    expect(goodbye(frames)).toBe('11 too many streams reset')
  })

  it.each([
    ['malformed requests', (id: number) => headers(id, block(['x', 'y']))],
    ['windows that overflow', (id: number) => Buffer.concat([slow(id), windowUpdate(id, MAX)])],
    ['windows of nothing', (id: number) => Buffer.concat([slow(id), windowUpdate(id, 0)])],
    ['DATA behind the end', (id: number) => Buffer.concat([slow(id), data(id, Buffer.from('x'))])],
  ])('CVE-2025-8671: streams we are made to reset: %s', async (_, round) => {
    const flood = await scene()
    expect(goodbye(await flood.read(...odd(RESETS.burst + 1).map(round)))).toBe('11 too many streams reset')
  })

  it('streams above the bound are refused, and insisting is a flood', async () => {
    const flood = await scene()
    const frames = await flood.read(...odd(STREAMS_MAX + 10).map(slow))
    expect(frames.map(({ type, payload }) => [type, payload.readUInt32BE(0)])).toEqual(
      times(10, Buffer.alloc(0)).map(() => [FRAME.RST_STREAM, 7]),
    )
    expect(
      goodbye(
        await flood.read(
          ...odd(400)
            .slice(STREAMS_MAX + 10)
            .map(slow),
        ),
      ),
    ).toBe('11 too many streams reset')
  })

  it('CVE-2024-27316: CONTINUATION frames without end, empty ones too', async () => {
    const full = Buffer.alloc(16_000, 0x82)
    for (const [one, words] of [
      [Buffer.alloc(0), `11 more than ${CONTINUATIONS_MAX} CONTINUATION frames`],
      [full, '11 a header block above 32768 octets'],
    ] as const) {
      const flood = await scene()
      const frames = await flood.read(headers(1, GET, 0), ...times(CONTINUATIONS_MAX + 1, continuation(1, one, 0)))
      expect(goodbye(frames)).toBe(words)
    }
  })

  it('HPACK bomb: a large entry repeated is 431 after one list, and costs no memory', async () => {
    const flood = await scene()
    const entry = Buffer.concat([Buffer.of(0x40), string('x'), string('y'.repeat(4_000))])
    await flood.read(headers(1, Buffer.concat([GET, entry])))
    const began = performance.now()
    const frames = await flood.read(headers(3, Buffer.concat([GET, Buffer.alloc(16_000, 0xbe)])), get(5))
    expect(performance.now() - began).toBeLessThan(2_000)
    expect(frames.filter(({ type }) => type === FRAME.HEADERS).map((one) => fieldsOf(one)[':status'])).toEqual([
      '431',
      '200',
    ])
  })

  it('a number in HPACK that would be a table of gigabytes is COMPRESSION_ERROR', async () => {
    const flood = await scene()
    expect(goodbye(await flood.read(headers(1, Buffer.concat([integer(0x20, 5, 2 ** 30), GET]))))).toMatch(/^9 /)
  })

  it('settings by the hundred in one frame', async () => {
    const flood = await scene()
    const many = settings(...Array.from({ length: 33 }, () => [SETTING.INITIAL_WINDOW_SIZE, 1] as const))
    expect(goodbye(await flood.read(many))).toBe('11 33 settings in one frame')
  })

  it('what is used up comes back with time', async () => {
    const flood = await scene()
    await flood.read(...times(PINGS.burst, ping()))
    flood.nowMs += 2_000
    expect(kinds(await flood.read(...times(2 * PINGS.perSecond, ping())))).toEqual(
      times(2 * PINGS.perSecond, ping()).map(() => 'PING 0'),
    )
    expect(goodbye(await flood.read(ping()))).toBe('11 too many PING frames')
  })

  it('a busy client that opens both windows after every answer is none', async () => {
    const busy = await scene()
    for (let round = 0; round < 50; round++) {
      const ids = odd(100).map((id) => id + 200 * round)
      const frames = await busy.read(
        ...ids.flatMap((id) => [priority(id, 0), get(id), windowUpdate(0, 2), windowUpdate(id, 2)]),
      )
      expect(frames.filter(({ type }) => type === FRAME.DATA).length).toBe(100)
    }
  })

  it('zero windows: more answers than we keep', async () => {
    const flood = await scene()
    await flood.read(settings([SETTING.INITIAL_WINDOW_SIZE, 0]))
    expect(goodbye(await flood.read(...odd(11).map((id) => path(id, '/large'))))).toBe(
      '11 too many answers wait for a window',
    )
  })

  it('a client that asks and does not read: no more is read from it than one write needs', async () => {
    const socket = new TestSocket(16_384)
    let asked = 0
    const flood = await scene(
      { begin: () => (asked++, { status: 200, headers: {}, body: Buffer.alloc(60_000) }) },
      socket,
    )
    await flood.read(settings([SETTING.INITIAL_WINDOW_SIZE, MAX]), windowUpdate(0, 2_000_000_000))
    socket.stuck = true
    for (let round = 0; round < 20; round++) await flood.read(...odd(100).map((id) => get(id + 200 * round)))
    expect(asked).toBeLessThan(20)
    expect(socket.isPaused()).toBe(true)
    const before = asked
    socket.unstick()
    await settle()
    expect(asked).toBeGreaterThan(before)
  })
})

describe('bounds in time', () => {
  it.each([
    ['the preface', [PREFACE.subarray(0, 20)]],
    ['a frame', [HELLO, get(1).subarray(0, 12)]],
    ['a header block', [HELLO, headers(1, GET.subarray(0, 5), 0)]],
  ])('%s that does not end', async (_, bytes) => {
    const one = new Scene()
    await one.read(...bytes)
    expect(goodbye(await one.after(HEAD_MS_MAX))).toBeUndefined()
    expect(goodbye(await one.after(1))).toBe('11 a frame did not end in time')
  })

  it('a frame that drips is no sign of life', async () => {
    const one = await scene()
    for (const octet of get(1).subarray(0, 12)) {
      await one.read(Buffer.of(octet))
      if (goodbye(await one.after(500)) !== undefined) return expect(one.nowMs - 1_000_000).toBeGreaterThan(HEAD_MS_MAX)
    }
    expect.fail('it was let drip')
  })

  it('a body that does not end is cancelled, and its connection lives on', async () => {
    const one = await scene()
    await one.read(postHead(1), data(1, Buffer.from('x'), 0))
    expect(await one.after(BODY_MS_MAX)).toEqual([])
    const frames = await one.after(1)
    expect([kinds(frames), frames[0]?.payload.readUInt32BE(0)]).toEqual([['RST_STREAM 1'], 8])
    expect(kinds(await one.read(data(1, Buffer.from('x')), get(3)))).toEqual(['HEADERS 3', 'DATA 3'])
  })

  it('zero windows: an answer that nobody lets through, drop by drop or not at all', async () => {
    for (const drip of [0, 1]) {
      const one = await scene()
      await one.read(path(1, '/large'))
      for (let ms = 0; ms < RESPONSE_MS_MAX; ms += 1_000) {
        if (drip > 0) await one.read(windowUpdate(1, drip), windowUpdate(0, drip))
        expect(goodbye(await one.after(1_000))).toBeUndefined()
      }
      expect(goodbye(await one.after(1))).toBe('11 an answer waited too long for a window')
    }
  })

  it('a socket that takes nothing is cut', async () => {
    const one = await scene({}, new TestSocket(100))
    one.socket.stuck = true
    await one.read(path(1, '/large'))
    await one.after(RESPONSE_MS_MAX)
    expect(one.socket.destroyed).toBe(false)
    await one.after(1)
    expect(one.socket.destroyed).toBe(true)
  })

  it('an idle connection ends; a PING keeps nothing alive, a request under way does', async () => {
    const one = await scene()
    await one.read(get(1))
    await one.after(IDLE_MS)
    await one.read(ping())
    expect(goodbye(await one.after(1))).toBe('0 idle')
    expect(one.socket.writableEnded).toBe(true)
    const busy = await scene()
    await busy.read(path(1, '/slow'))
    expect(await busy.after(IDLE_MS + 1)).toEqual([])
  })

  it('after GOAWAY the client has a moment to read it, and its frames mean nothing', async () => {
    const one = await scene()
    expect(goodbye(await one.read(windowUpdate(0, 0), get(1)))).toMatch(/^1 /)
    expect(await one.read(get(3))).toEqual([])
    await one.after(LINGER_MS)
    expect(one.socket.destroyed).toBe(false)
    await one.after(1)
    expect(one.socket.destroyed).toBe(true)
  })
})

describe('RFC 9113 section 6.8: drain', () => {
  it('says so, serves what was under way, names the last stream, and ends with the last answer', async () => {
    let answer: (reply: Reply) => void = () => {}
    const one = await scene({
      begin: ({ path: text }) => (text === '/' ? REPLY : new Promise((resolve) => (answer = resolve))),
    })
    await one.read(path(1, '/slow'))
    one.connection.drain()
    const [first, question] = one.socket.takeFrames()
    expect([first?.payload.readUInt32BE(0), first?.payload.readUInt32BE(4)]).toEqual([MAX, 0])
    // Sent before the client heard of it.
    expect(kinds(await one.read(get(3)))).toEqual(['HEADERS 3', 'DATA 3'])
    const [second] = await one.read(frame(FRAME.PING, FLAG.ACK, 0, question!.payload))
    expect([second?.payload.readUInt32BE(0), second?.payload.readUInt32BE(4)]).toEqual([3, 0])
    // Sent against better knowledge: passed over, but its header block is read.
    expect(await one.read(get(5), data(7, Buffer.from('x')), reset(5), windowUpdate(5, 1))).toEqual([])
    expect(one.socket.writableEnded).toBe(false)
    answer(REPLY)
    await settle()
    expect(kinds(one.socket.takeFrames())).toEqual(['HEADERS 1', 'DATA 1'])
    expect(one.socket.writableEnded).toBe(true)
  })

  it('ends at once what has not begun, or has nothing to do', async () => {
    const early = new Scene()
    early.connection.drain()
    expect(early.socket.writableEnded).toBe(true)
    const one = await scene()
    one.connection.drain()
    const [, question] = one.socket.takeFrames()
    await one.read(frame(FRAME.PING, FLAG.ACK, 0, question!.payload))
    expect(one.socket.writableEnded).toBe(true)
  })

  it('ends when the last answer is one that nobody waits for any more', async () => {
    let answer: (reply: Reply) => void = () => {}
    const one = await scene({ begin: () => new Promise((resolve) => (answer = resolve)) })
    await one.read(get(1), reset(1))
    one.connection.drain()
    const [, question] = one.socket.takeFrames()
    await one.read(frame(FRAME.PING, FLAG.ACK, 0, question!.payload))
    expect(one.socket.writableEnded).toBe(false)
    answer(REPLY)
    await settle()
    expect([one.socket.writableEnded, one.socket.takeFrames()]).toEqual([true, []])
  })
})

it('a client that goes while answers are being made does no harm', async () => {
  let answer: (reply: Reply) => void = () => {}
  const one = await scene({ begin: () => new Promise((resolve) => (answer = resolve)) })
  await one.read(get(1))
  one.socket.destroy()
  await settle()
  answer(REPLY)
  await settle()
  expect(one.socket.writes).toEqual([])
})
