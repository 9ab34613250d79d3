import { describe, expect, it, onTestFinished } from 'vitest'
import { systemClock } from '../../../src/core/clock.ts'
import { RCODE, TYPE } from '../../../src/dns/codes.ts'
import { parseMessage } from '../../../src/dns/message.ts'
import type { Listener } from '../../../src/router/listen/listener.ts'
import { udpListener } from '../../../src/router/listen/udp.ts'
import type { Outcome, Query, Resolver } from '../../../src/router/resolve/resolver.ts'
import { answerOf } from '../../../src/router/upstream/wire.ts'
import { recordingLog, silentLog } from '../../support/log.ts'
import { settle } from '../../support/manual-clock.ts'
import { queryWire, resolverOf, responseWire } from '../../support/query.ts'
import { askUdp, LOOPBACK, udpClient, within } from '../../support/sockets.ts'

const answering = ({ view }: Query): Outcome =>
  answerOf(responseWire(view.wire, ['192.0.2.1']), 'test', 'unauthenticated')

async function started(resolver: Resolver, log = silentLog): Promise<Listener> {
  const listener = udpListener(LOOPBACK, { clock: systemClock, log })
  await listener.start(resolver)
  onTestFinished(() => listener.stop(0).catch(() => {}))
  return listener
}

describe('answers', () => {
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
