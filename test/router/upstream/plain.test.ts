import { describe, expect, it } from 'vitest'
import { TYPE } from '../../../src/dns/codes.ts'
import { parseMessage } from '../../../src/dns/message.ts'
import { MessageView } from '../../../src/dns/view.ts'
import type { Endpoint } from '../../../src/net/bind.ts'
import type { Answer, Resolver } from '../../../src/router/resolve/resolver.ts'
import { plainUpstream } from '../../../src/router/upstream/plain.ts'
import { queryOf, queryWire, responseWire } from '../../support/query.ts'
import { closedPort, streamServer, udpServer, within } from '../../support/sockets.ts'

const NEVER = new AbortController().signal

const upstreamAt = (endpoint: Endpoint): Resolver => plainUpstream({ id: 'up', endpoint })

async function ask(upstream: Resolver, wire: Uint8Array, withinMs = 5_000): Promise<Answer> {
  const outcome = await upstream.resolve(queryOf(wire, 'udp', performance.now() + withinMs), NEVER)
  if (outcome.kind !== 'answer') throw new Error('dropped')
  return outcome
}

const idOf = (wire: Uint8Array): number => MessageView.over(wire)!.id

describe('a question', () => {
  it('is asked with our OPT and answered', async () => {
    const server = await udpServer((wire, reply) => reply(responseWire(wire, ['192.0.2.7'])))
    const { wire, from } = await ask(upstreamAt(server.endpoint), queryWire('a.example'))
    expect(from).toBe('up')
    expect(parseMessage(wire)?.answers[0]?.data).toEqual({ address: '192.0.2.7' })
    expect(parseMessage(server.received[0]!)).toMatchObject({
      questions: [{ name: 'a.example' }],
      edns: { udpSize: 1232 },
    })
  })

  it('FWD-6: no option of the client reaches the upstream, and nothing is padded', async () => {
    const server = await udpServer((wire, reply) => reply(responseWire(wire, [])))
    const options = [8, 10, 12].map((code) => ({ code, data: new Uint8Array(8) }))
    await ask(
      upstreamAt(server.endpoint),
      queryWire('a.example', TYPE.A, { edns: { udpSize: 4096, version: 0, dnssecOk: false, options } }),
    )
    expect(parseMessage(server.received[0]!)?.edns?.options).toEqual([])
  })

  it('has an id and a port nobody can guess', async () => {
    const ports = new Set<number>()
    const server = await udpServer((wire, reply) => reply(responseWire(wire, [])))
    const upstream = upstreamAt(server.endpoint)
    for (let index = 0; index < 64; index++) await ask(upstream, queryWire('a.example'))
    for (const wire of server.received) ports.add(idOf(wire))
    expect(ports.size).toBeGreaterThan(60)
  })

  it('many at once are told apart', async () => {
    const waiting: (() => void)[] = []
    const server = await udpServer((wire, reply) => {
      const host = Number(MessageView.over(wire)!.questionName.split('.')[0])
      waiting.push(() => reply(responseWire(wire, [`192.0.2.${host}`])))
      if (waiting.length === 200) for (const answer of waiting.toReversed()) answer()
    })
    const upstream = upstreamAt(server.endpoint)
    const hosts = Array.from({ length: 200 }, (_, host) => host)
    const answers = await Promise.all(hosts.map((host) => ask(upstream, queryWire(`${host}.example`))))
    expect(answers.map(({ wire }) => parseMessage(wire)?.answers[0]?.data)).toEqual(
      hosts.map((host) => ({ address: `192.0.2.${host}` })),
    )
  })

  it('goes on after a socket has served its questions', async () => {
    const server = await udpServer((wire, reply) => reply(responseWire(wire, [])))
    const upstream = upstreamAt(server.endpoint)
    for (let round = 0; round < 40; round++)
      await Promise.all(Array.from({ length: 250 }, (_, index) => ask(upstream, queryWire(`${index}.example`))))
    expect(server.received.length).toBeGreaterThanOrEqual(10_000)
  })
})

describe('SEC-3: forged replies', () => {
  it('are ignored, and the real one is used', async () => {
    const server = await udpServer((wire, reply) => {
      const id = idOf(wire)
      reply(new Uint8Array(5))
      reply(wire)
      reply(responseWire(queryWire('a.example', TYPE.A, { id: id ^ 1 }), ['203.0.113.1']))
      reply(responseWire(queryWire('b.example', TYPE.A, { id }), ['203.0.113.2']))
      reply(responseWire(queryWire('a.example', TYPE.AAAA, { id }), []))
      reply(responseWire(wire, ['192.0.2.1']))
      reply(responseWire(wire, ['203.0.113.3']))
    })
    const { wire } = await ask(upstreamAt(server.endpoint), queryWire('a.example'))
    expect(parseMessage(wire)?.answers[0]?.data).toEqual({ address: '192.0.2.1' })
  })

  it('from another port are never seen', async () => {
    const other = await udpServer(() => {})
    const server = await udpServer((wire, reply) => reply(responseWire(wire, ['192.0.2.1'])))
    const { wire } = await ask(upstreamAt(server.endpoint), queryWire('a.example'))
    expect(parseMessage(wire)?.answers[0]?.data).toEqual({ address: '192.0.2.1' })
    expect(other.received).toEqual([])
  })
})

describe('FWD-2: a reply with TC', () => {
  it('leads to TCP at the same server', async () => {
    const many = Array.from({ length: 200 }, (_, index) => `192.0.2.${index}`)
    const tcp = await streamServer((wire, reply) => reply(responseWire(wire, many)))
    const udp = await udpServer((wire, reply) => {
      const cut = responseWire(wire, [])
      cut[2] = cut[2]! | 0x02
      reply(cut)
    }, tcp.endpoint.port)
    const { wire } = await ask(upstreamAt(tcp.endpoint), queryWire('a.example'))
    expect(parseMessage(wire)).toMatchObject({ truncated: false })
    expect(parseMessage(wire)?.answers.length).toBe(200)
    expect([udp.received.length, tcp.received.length]).toEqual([1, 1])
  })

  it('is Fault UPSTREAM_UNREACHABLE when there is no TCP', async () => {
    const udp = await udpServer((wire, reply) => {
      const cut = responseWire(wire, [])
      cut[2] = cut[2]! | 0x02
      reply(cut)
    })
    await expect(ask(upstreamAt(udp.endpoint), queryWire('a.example'))).rejects.toMatchObject({
      code: 'UPSTREAM_UNREACHABLE',
    })
  })
})

describe('silence', () => {
  it('is asked again at 600 and 1300 ms with the same id, and is Fault UPSTREAM_TIMEOUT at the deadline', async () => {
    const at: number[] = []
    const startMs = performance.now()
    const server = await udpServer(() => at.push(performance.now() - startMs))
    await expect(ask(upstreamAt(server.endpoint), queryWire('a.example'), 1_500)).rejects.toMatchObject({
      code: 'UPSTREAM_TIMEOUT',
      message: 'up did not answer in time',
    })
    expect(performance.now() - startMs).toBeGreaterThanOrEqual(1_495)
    expect(at.length).toBe(3)
    expect(at[1]).toBeGreaterThanOrEqual(595)
    expect(at[2]).toBeGreaterThanOrEqual(1_295)
    expect(new Set(server.received.map(idOf)).size).toBe(1)
  })

  it('before the first resend is the deadline too', async () => {
    const server = await udpServer(() => {})
    await expect(ask(upstreamAt(server.endpoint), queryWire('a.example'), 50)).rejects.toMatchObject({
      code: 'UPSTREAM_TIMEOUT',
    })
    expect(server.received.length).toBe(1)
  })

  it('then an answer to the second send', async () => {
    const server = await udpServer(
      (wire, reply) => server.received.length > 1 && reply(responseWire(wire, ['192.0.2.1'])),
    )
    expect((await ask(upstreamAt(server.endpoint), queryWire('a.example'))).kind).toBe('answer')
    expect(server.received.length).toBe(2)
  })
})

describe('no way to the upstream', () => {
  it('a closed port is Fault UPSTREAM_UNREACHABLE, at once and again', async () => {
    const upstream = upstreamAt({ host: '127.0.0.1', port: await closedPort() })
    for (let index = 0; index < 3; index++)
      await expect(within('the refusal', ask(upstream, queryWire('a.example')), 500)).rejects.toMatchObject({
        code: 'UPSTREAM_UNREACHABLE',
      })
  })

  it('an address the system refuses is Fault UPSTREAM_UNREACHABLE, at once and again', async () => {
    const upstream = upstreamAt({ host: '255.255.255.255', port: 53 })
    for (let index = 0; index < 3; index++)
      await expect(within('the refusal', ask(upstream, queryWire('a.example'), 1_000), 500)).rejects.toMatchObject({
        code: 'UPSTREAM_UNREACHABLE',
      })
  })

  it('a reply that is not a whole message is Fault UPSTREAM_BROKEN', async () => {
    const server = await udpServer((wire, reply) => reply(responseWire(wire, ['192.0.2.1']).subarray(0, -2)))
    await expect(ask(upstreamAt(server.endpoint), queryWire('a.example'))).rejects.toMatchObject({
      code: 'UPSTREAM_BROKEN',
    })
  })
})
