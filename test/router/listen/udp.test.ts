import { Socket } from 'node:dgram'
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { systemClock } from '../../../src/core/clock.ts'
import { EDNS_OPTION, RCODE, TYPE } from '../../../src/dns/codes.ts'
import { buildMessage, parseMessage } from '../../../src/dns/message.ts'
import type { Endpoint } from '../../../src/net/bind.ts'
import { batchSockets } from '../../../src/net/udp-batch.ts'
import { serverCookies } from '../../../src/router/listen/cookies.ts'
import type { Listener, ListenerContext } from '../../../src/router/listen/listener.ts'
import { udpListener } from '../../../src/router/listen/udp.ts'
import type { Outcome, Query, Resolver } from '../../../src/router/resolve/resolver.ts'
import { answerOf } from '../../../src/router/upstream/wire.ts'
import { recordingLog, silentLog } from '../../support/log.ts'
import { settle } from '../../support/manual-clock.ts'
import { queryWire, resolverOf, responseWire } from '../../support/query.ts'
import { askUdp, LOOPBACK, udpClient, within } from '../../support/sockets.ts'

const answering = ({ view }: Query): Outcome =>
  answerOf(responseWire(view.wire, ['192.0.2.1']), 'test', 'unauthenticated')

/** The sockets of the listeners, in the order they were made. */
const sockets: Socket[] = []
const emit = Socket.prototype.bind
beforeAll(() => {
  vi.spyOn(Socket.prototype, 'bind').mockImplementation(function (this: Socket, ...args: unknown[]) {
    sockets.push(this)
    return Reflect.apply(emit, this, args) as Socket
  })
})
afterAll(() => void vi.restoreAllMocks())

/** A datagram as if it had come from there: such a sender is not to be had on loopback. */
async function feed(to: Endpoint, wire: Uint8Array, from: { address: string; port: number }): Promise<void> {
  const socket = sockets.findLast((each) => each.address().port === to.port)!
  socket.emit('message', Buffer.from(wire), { ...from, family: 'IPv4', size: wire.length })
}

/** With batches where this runtime has them, so that every test below goes over both ways. */
async function started(resolver: Resolver, log = silentLog, more: Partial<ListenerContext> = {}): Promise<Listener> {
  const batchSocket = await batchSockets()
  const listener = udpListener(LOOPBACK, {
    clock: systemClock,
    log,
    ...(batchSocket ? { batchSocket } : {}),
    ...more,
  })
  await listener.start(resolver)
  onTestFinished(() => listener.stop(0).catch(() => {}))
  return listener
}

describe('answers', () => {
  it('a burst of several clients is answered to each, whole and in its own letters, at once or later', async () => {
    const { endpoint } = await started(
      resolverOf((query) => (query.view.id % 3 === 0 ? settle().then(() => answering(query)) : answering(query))),
    )
    const clients = await Promise.all(Array.from({ length: 4 }, () => udpClient(endpoint)))
    const nameOf = (client: number, id: number): string =>
      `${id % 2 === 0 ? 'HOST' : 'host'}-${id}.client-${client}.example`
    for (let id = 0; id < 40; id++)
      clients.forEach(({ send }, client) => send(queryWire(nameOf(client, id), TYPE.A, { id })))
    for (const [client, { next }] of clients.entries()) {
      const answers: string[] = []
      while (answers.length < 40) {
        const answer = parseMessage(await next())!
        expect(answer).toMatchObject({ rcode: RCODE.NOERROR, answers: [{ data: { address: '192.0.2.1' } }] })
        expect(answer.questions[0]!.name).toBe(nameOf(client, answer.id))
        answers.push(answer.questions[0]!.name)
      }
      expect(new Set(answers).size).toBe(40)
    }
  })

  it('come from the address that was asked, at once or later', async () => {
    const seen: Query[] = []
    const { endpoint } = await started(
      resolverOf((query) => {
        seen.push(query)
        return query.view.questionName === 'a.example' ? answering(query) : settle().then(() => answering(query))
      }),
    )
    for (const name of ['a.example', 'b.example'])
      expect(parseMessage(await askUdp(endpoint, queryWire(name)))).toMatchObject({
        id: 0x1234,
        answers: [{ data: { address: '192.0.2.1' } }],
      })
    expect(seen[0]?.client).toEqual({ address: '127.0.0.1', transport: 'udp' })
    const leftMs = seen[0]!.deadlineMs - systemClock.monotonicMs()
    expect(leftMs).toBeGreaterThan(3_000)
    expect(leftMs).toBeLessThanOrEqual(5_000)
  })

  it('FWD-3: over 512 octets without EDNS are cut', async () => {
    const many = Array.from({ length: 60 }, (_, index) => `192.0.2.${index}`)
    const { endpoint } = await started(
      resolverOf(({ view }) => answerOf(responseWire(view.wire, many), 'test', 'unauthenticated')),
    )
    expect(parseMessage(await askUdp(endpoint, queryWire('a.example')))).toMatchObject({ truncated: true, answers: [] })
    const edns = { udpSize: 4096, version: 0, dnssecOk: false, options: [] }
    const whole = await askUdp(endpoint, queryWire('a.example', TYPE.A, { edns }))
    expect(parseMessage(whole)).toMatchObject({ truncated: false, edns: {} })
    expect(whole.length).toBeGreaterThan(512)
  })

  it('FWD-4, FWD-8: a query that cannot be one is told so, and the resolver never sees it', async () => {
    const resolver = resolverOf(answering)
    const { endpoint } = await started(resolver)
    expect(parseMessage(await askUdp(endpoint, queryWire('a.example', TYPE.A, { opcode: 5 })))).toMatchObject({
      opcode: 5,
      rcode: RCODE.NOTIMP,
    })
    const edns = { udpSize: 1232, version: 1, dnssecOk: false, options: [] }
    expect(parseMessage(await askUdp(endpoint, queryWire('a.example', TYPE.A, { edns })))).toMatchObject({
      rcode: RCODE.BADVERS,
    })
    expect(resolver.asked).toBe(0)
  })

  it('are not sent to what is no query: responses, short datagrams, drops', async () => {
    const { endpoint } = await started(
      resolverOf((query) =>
        query.view.questionName === 'drop.example' ? { kind: 'drop', reason: 'rate-limit' } : answering(query),
      ),
    )
    const client = await udpClient(endpoint)
    for (const wire of [
      new Uint8Array(0),
      new Uint8Array(11),
      responseWire(queryWire('a.example'), []),
      queryWire('drop.example'),
    ])
      client.send(wire)
    client.send(queryWire('a.example', TYPE.A, { id: 99 }))
    expect(parseMessage(await client.next())?.id).toBe(99)
    expect(client.received.length).toBe(1)
  })
})

describe('cookies', () => {
  const withCookie = (data: Uint8Array) => ({
    edns: { udpSize: 1232, version: 0, dnssecOk: false, options: [{ code: EDNS_OPTION.COOKIE, data }] },
  })
  const cookieOf = (wire: Uint8Array) => parseMessage(wire)!.edns!.options.at(0)!.data
  const client = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8)

  it('FWD-6: are answered here, and a bad one is answered too', async () => {
    const { endpoint } = await started(resolverOf(answering), silentLog, { cookies: serverCookies(systemClock) })
    const cookie = cookieOf(await askUdp(endpoint, queryWire('a.example', TYPE.A, withCookie(client))))
    expect(cookie.length).toBe(24)
    const again = await askUdp(endpoint, queryWire('a.example', TYPE.A, withCookie(cookie)))
    expect(cookieOf(again)).toEqual(cookie)
    const bad = await askUdp(endpoint, queryWire('a.example', TYPE.A, withCookie(cookie.with(23, cookie[23]! ^ 1))))
    expect(parseMessage(bad)).toMatchObject({ rcode: RCODE.NOERROR, answers: [{}] })
    expect(cookieOf(bad).length).toBe(24)
  })

  it('can be asked for without a question (RFC 7873 section 5.4)', async () => {
    const resolver = resolverOf(answering)
    const { endpoint } = await started(resolver, silentLog, { cookies: serverCookies(systemClock) })
    const ask = (data: Uint8Array) => askUdp(endpoint, buildMessage({ id: 5, ...withCookie(data) }))
    const first = await ask(client)
    expect(parseMessage(first)).toMatchObject({ id: 5, rcode: RCODE.NOERROR, questions: [], answers: [] })
    expect(parseMessage(await ask(cookieOf(first)))).toMatchObject({ rcode: RCODE.NOERROR })
    const bad = await ask(cookieOf(first).with(23, cookieOf(first)[23]! ^ 1))
    expect(parseMessage(bad)).toMatchObject({ rcode: RCODE.BADCOOKIE })
    expect(parseMessage(await ask(cookieOf(bad)))).toMatchObject({ rcode: RCODE.NOERROR })
    expect(resolver.asked).toBe(0)
  })

  it('without secrets there are none', async () => {
    const { endpoint } = await started(resolverOf(answering))
    const reply = parseMessage(await askUdp(endpoint, queryWire('a.example', TYPE.A, withCookie(client))))
    expect(reply?.edns?.options).toEqual([])
    expect(parseMessage(await askUdp(endpoint, buildMessage({ id: 5, ...withCookie(client) })))).toMatchObject({
      rcode: RCODE.FORMERR,
    })
  })
})

describe('nobody else', () => {
  it('SEC-1: who may not ask gets no error either; what the resolver says is its own affair', async () => {
    const { endpoint } = await started(resolverOf(answering), silentLog, { admit: () => false })
    const client = await udpClient(endpoint)
    client.send(queryWire('a.example', TYPE.A, { opcode: 5 }))
    client.send(queryWire('a.example', TYPE.A, { id: 99 }))
    expect(parseMessage(await client.next())?.id).toBe(99)
    expect(client.received.length).toBe(1)
  })

  it('gets an answer at our own address and port: it would come back', async () => {
    const resolver = resolverOf(answering)
    const { endpoint } = await started(resolver)
    const emitted: Uint8Array[] = []
    const onMessage = vi.spyOn(Socket.prototype, 'send').mockImplementation((wire) => void emitted.push(wire as never))
    onTestFinished(() => onMessage.mockRestore())
    await feed(endpoint, queryWire('a.example'), { address: endpoint.host, port: endpoint.port })
    await feed(endpoint, queryWire('a.example'), { address: endpoint.host, port: 0 })
    expect([resolver.asked, emitted.length]).toEqual([0, 0])
    await feed(endpoint, queryWire('a.example'), { address: '127.0.0.2', port: endpoint.port })
    expect(resolver.asked).toBe(1)
  })

  it('can fill all places for open questions: a client has a quarter of them', async () => {
    const resolver = resolverOf(() => new Promise(() => {}))
    const { endpoint } = await started(resolver)
    for (let index = 0; index < 2_000; index++)
      await feed(endpoint, queryWire('a.example'), { address: `2001:db8::${index.toString(16)}`, port: 4_000 })
    expect(resolver.asked).toBe(1_024)
    await feed(endpoint, queryWire('a.example'), { address: '2001:db8:0:1::1', port: 4_000 })
    expect(resolver.asked).toBe(1_025)
    for (let client = 2; client < 6; client++)
      for (let index = 0; index < 1_024; index++)
        await feed(endpoint, queryWire('a.example'), { address: `192.0.2.${client}`, port: 4_000 })
    expect(resolver.asked).toBe(4_096)
  })
})

describe('a bug in the resolver', () => {
  it.each([
    [
      'thrown',
      () => {
        throw new TypeError('x is not a function')
      },
    ],
    ['rejected', () => Promise.reject(new TypeError('x is not a function'))],
  ] as const)('%s ends that question only, with SERVFAIL and a line in the log', async (_, fail) => {
    const { log, lines } = recordingLog()
    const { endpoint } = await started(
      resolverOf((query) => (query.view.questionName === 'bug.example' ? fail() : answering(query))),
      log,
    )
    expect(parseMessage(await askUdp(endpoint, queryWire('bug.example')))).toMatchObject({
      id: 0x1234,
      rcode: RCODE.SERVFAIL,
    })
    expect(parseMessage(await askUdp(endpoint, queryWire('a.example')))).toMatchObject({ rcode: RCODE.NOERROR })
    expect(lines).toMatchObject([{ level: 'error', reason: 'x is not a function' }])
  })
})

describe('start and stop', () => {
  it('a port in use is Fault PORT_IN_USE', async () => {
    const { endpoint } = await started(resolverOf(answering))
    const second = udpListener(endpoint, { clock: systemClock, log: silentLog })
    await expect(second.start(resolverOf(answering))).rejects.toMatchObject({
      code: 'PORT_IN_USE',
      message: `127.0.0.1:${endpoint.port} is in use`,
    })
  })

  it('a name is looked up', async () => {
    const listener = udpListener({ host: 'localhost', port: 0 }, { clock: systemClock, log: silentLog })
    await listener.start(resolverOf(answering))
    onTestFinished(() => listener.stop(0))
    expect(listener.endpoint.host).toBe('127.0.0.1')
    expect((await askUdp(listener.endpoint, queryWire('a.example'))).length).toBeGreaterThan(12)
  })

  it('an address this machine lacks is Fault ADDRESS_UNKNOWN', async () => {
    const listener = udpListener({ host: '192.0.2.1', port: 0 }, { clock: systemClock, log: silentLog })
    await expect(listener.start(resolverOf(answering))).rejects.toMatchObject({ code: 'ADDRESS_UNKNOWN' })
  })

  it('stop lets open answers out, takes no new work, and frees the port', async () => {
    let deliver = (): void => {}
    const resolver = resolverOf((query) => new Promise((resolve) => (deliver = () => resolve(answering(query)))))
    const listener = await started(resolver)
    const client = await udpClient(listener.endpoint)
    client.send(queryWire('a.example', TYPE.A, { id: 1 }))
    await within('the query', untilAsked(resolver, 1))
    const stopped = listener.stop(5_000)
    client.send(queryWire('b.example', TYPE.A, { id: 2 }))
    await settle()
    deliver()
    expect(parseMessage(await client.next())?.id).toBe(1)
    await within('the stop', stopped, 1_000)
    expect(resolver.asked).toBe(1)
    const next = udpListener(listener.endpoint, { clock: systemClock, log: silentLog })
    await next.start(resolver)
    await next.stop(0)
  })

  it('stop waits for the time of grace and no longer', async () => {
    const resolver = resolverOf(() => new Promise(() => {}))
    const listener = await started(resolver)
    const client = await udpClient(listener.endpoint)
    client.send(queryWire('a.example'))
    await within('the query', untilAsked(resolver, 1))
    await within('the stop', listener.stop(30), 1_000)
  })
})

async function untilAsked(resolver: { readonly asked: number }, count: number): Promise<void> {
  while (resolver.asked < count) await settle()
}
