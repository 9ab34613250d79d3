import { createServer } from 'node:net'
import { beforeAll, describe, expect, it } from 'vitest'
import { TYPE } from '../../../src/dns/codes.ts'
import { frameOf } from '../../../src/dns/frame.ts'
import { parseMessage } from '../../../src/dns/message.ts'
import { MessageView } from '../../../src/dns/view.ts'
import { type Endpoint, listenOn } from '../../../src/net/bind.ts'
import type { Answer, Resolver } from '../../../src/router/resolve/resolver.ts'
import { fixedEndpoints } from '../../../src/router/upstream/endpoints.ts'
import { streamUpstream } from '../../../src/router/upstream/stream.ts'
import { settle } from '../../support/manual-clock.ts'
import { queryOf, queryWire, responseWire } from '../../support/query.ts'
import { closeAfterTest, closedPort, LOOPBACK, type StreamServer, streamServer, within } from '../../support/sockets.ts'
import { type LeafWish, TestAuthority } from '../../support/tls.ts'

const NEVER = new AbortController().signal
const DAY_MS = 86_400_000

let authority: TestAuthority
beforeAll(async () => {
  authority = await TestAuthority.create()
})

const overTcp = (...endpoints: readonly Endpoint[]): Resolver =>
  streamUpstream({ id: 'up', endpoints: fixedEndpoints(endpoints) })
const overTls = (
  endpoint: Endpoint,
  name = 'dns.test',
  trust: readonly string[] | 'system' = [authority.rootPem],
): Resolver =>
  streamUpstream({
    id: 'up',
    endpoints: fixedEndpoints([endpoint]),
    tls: { name, ...(trust === 'system' ? {} : { trust }) },
  })

async function ask(upstream: Resolver, wire: Uint8Array, withinMs = 5_000): Promise<Answer> {
  const outcome = await upstream.resolve(queryOf(wire, 'udp', performance.now() + withinMs), NEVER)
  if (outcome.kind !== 'answer') throw new Error('dropped')
  return outcome
}

const addressIn = ({ wire }: Answer): unknown => parseMessage(wire)?.answers[0]?.data
const nameOf = (wire: Uint8Array): string => MessageView.over(wire)!.questionName
const answering = (wire: Uint8Array, reply: (wire: Uint8Array) => void): void =>
  reply(responseWire(wire, ['192.0.2.1']))

describe.each(['tcp', 'tls'] as const)('over %s', (kind) => {
  const open = async (
    answer: Parameters<typeof streamServer>[0],
  ): Promise<{ server: StreamServer; upstream: Resolver }> => {
    const server = await streamServer(answer, kind === 'tls' ? { material: await authority.material() } : {})
    return { server, upstream: kind === 'tls' ? overTls(server.endpoint) : overTcp(server.endpoint) }
  }

  it('a question is asked and answered, the next one on the same connection', async () => {
    const { server, upstream } = await open(answering)
    for (let index = 0; index < 3; index++)
      expect(addressIn(await ask(upstream, queryWire('a.example')))).toEqual({ address: '192.0.2.1' })
    expect(server.connections.length).toBe(1)
    expect(parseMessage(server.received[0]!)).toMatchObject({
      questions: [{ name: 'a.example' }],
      edns: { udpSize: 1232 },
    })
  })

  it('PAD-1: padding to 128 when encrypted, and only then; FWD-6: no option of the client goes along', async () => {
    const { server, upstream } = await open(answering)
    const options = [8, 10, 11].map((code) => ({ code, data: new Uint8Array(8) }))
    await ask(
      upstream,
      queryWire('a.example', TYPE.A, { edns: { udpSize: 4096, version: 0, dnssecOk: false, options } }),
    )
    expect(server.received[0]!.length % 128 === 0).toBe(kind === 'tls')
    const sent = server.received.map((wire) => parseMessage(wire)?.edns?.options.map(({ code }) => code))
    expect(sent).toEqual([kind === 'tls' ? [11, 12] : [11]])
  })

  it('several questions of one turn leave in one write, also the first ones', async () => {
    const { server, upstream } = await open(answering)
    for (let round = 1; round <= 2; round++) {
      await Promise.all(['a', 'b', 'c'].map((name) => ask(upstream, queryWire(`${name}.example`))))
      expect([server.chunks.length, server.received.length]).toEqual([round, 3 * round])
    }
  })

  it('answers may come in any order, several in one segment, split anywhere', async () => {
    const waiting: Uint8Array[] = []
    const { upstream } = await open((wire, _reply, socket) => {
      waiting.unshift(responseWire(wire, [`192.0.2.${nameOf(wire).split('.')[0]}`]))
      if (waiting.length < 20) return
      const bytes = Buffer.concat(waiting.map(frameOf))
      socket.write(bytes.subarray(0, 101))
      setImmediate(() => socket.write(bytes.subarray(101)))
    })
    const hosts = Array.from({ length: 20 }, (_, host) => host)
    const answers = await Promise.all(hosts.map((host) => ask(upstream, queryWire(`${host}.example`))))
    expect(answers.map(addressIn)).toEqual(hosts.map((host) => ({ address: `192.0.2.${host}` })))
  })

  it('a reply to nothing we asked is ignored', async () => {
    const { upstream } = await open((wire, reply) => {
      const id = MessageView.over(wire)!.id
      reply(responseWire(queryWire('a.example', TYPE.A, { id: id ^ 1 }), ['203.0.113.1']))
      reply(responseWire(queryWire('b.example', TYPE.A, { id }), ['203.0.113.2']))
      reply(responseWire(wire, ['192.0.2.1']))
    })
    expect(addressIn(await ask(upstream, queryWire('a.example')))).toEqual({ address: '192.0.2.1' })
  })

  it('silence is Fault UPSTREAM_TIMEOUT at the deadline, and the next question gets a new connection', async () => {
    const { server, upstream } = await open((wire, reply) => nameOf(wire) !== 'slow.example' && answering(wire, reply))
    await ask(upstream, queryWire('b.example'))
    await expect(ask(upstream, queryWire('slow.example'), 50)).rejects.toMatchObject({ code: 'UPSTREAM_TIMEOUT' })
    expect(addressIn(await ask(upstream, queryWire('a.example')))).toEqual({ address: '192.0.2.1' })
    expect(server.connections.length).toBe(2)
  })

  it('a question without an answer beside others that have one leaves the connection as it is', async () => {
    const { server, upstream } = await open((wire, reply) => nameOf(wire) !== 'slow.example' && answering(wire, reply))
    await ask(upstream, queryWire('a.example'))
    const slow = expect(ask(upstream, queryWire('slow.example'), 100)).rejects.toMatchObject({
      code: 'UPSTREAM_TIMEOUT',
    })
    await ask(upstream, queryWire('b.example'))
    await slow
    await ask(upstream, queryWire('c.example'))
    expect(server.connections.length).toBe(1)
  })

  it('a connection closed while idle is opened again', async () => {
    const { server, upstream } = await open(answering)
    await ask(upstream, queryWire('a.example'))
    server.connections[0]!.end()
    await settle()
    expect(addressIn(await ask(upstream, queryWire('b.example')))).toEqual({ address: '192.0.2.1' })
    expect(server.connections.length).toBe(2)
  })

  it.each(['end', 'resetAndDestroy', 'destroy'] as const)(
    'a connection lost (%s) with a question on it is opened again, once',
    async (how) => {
      const { server, upstream } = await open((wire, reply, socket) => {
        if (nameOf(wire) === 'b.example' && server.connections.length === 1) {
          if (kind === 'tls' && how === 'resetAndDestroy') socket.destroy()
          else socket[how]()
        } else answering(wire, reply)
      })
      await ask(upstream, queryWire('a.example'))
      expect(addressIn(await ask(upstream, queryWire('b.example')))).toEqual({ address: '192.0.2.1' })
      expect(server.connections.length).toBe(2)
    },
  )

  it('a server that always hangs up is Fault UPSTREAM_UNREACHABLE, not asked for ever', async () => {
    const { server, upstream } = await open((_wire, _reply, socket) => socket.destroy())
    await expect(ask(upstream, queryWire('a.example'))).rejects.toMatchObject({ code: 'UPSTREAM_UNREACHABLE' })
    expect(server.received.length).toBeLessThanOrEqual(2)
  })

  it('broken framing is Fault UPSTREAM_BROKEN for all who wait', async () => {
    const { upstream } = await open((_wire, _reply, socket) => socket.write(Buffer.of(0, 1, 2)))
    const asked = await Promise.allSettled(['a', 'b'].map((name) => ask(upstream, queryWire(`${name}.example`))))
    expect(asked).toMatchObject([{ reason: { code: 'UPSTREAM_BROKEN' } }, { reason: { code: 'UPSTREAM_BROKEN' } }])
  })

  it('a reply that is not a whole message is Fault UPSTREAM_BROKEN', async () => {
    const { upstream } = await open((wire, reply) => reply(responseWire(wire, ['192.0.2.1']).subarray(0, -2)))
    await expect(ask(upstream, queryWire('a.example'))).rejects.toMatchObject({ code: 'UPSTREAM_BROKEN' })
  })
})

describe('no connection', () => {
  it('a closed port is Fault UPSTREAM_UNREACHABLE, at once', async () => {
    const upstream = overTcp({ host: '127.0.0.1', port: await closedPort() })
    await expect(within('the refusal', ask(upstream, queryWire('a.example')), 500)).rejects.toMatchObject({
      code: 'UPSTREAM_UNREACHABLE',
      message: expect.stringContaining('no connection to up (127.0.0.1:'),
    })
  })

  it('the next pinned address is tried by the same question', async () => {
    const server = await streamServer(answering)
    const upstream = overTcp({ host: '127.0.0.1', port: await closedPort() }, server.endpoint)
    expect(addressIn(await ask(upstream, queryWire('a.example')))).toEqual({ address: '192.0.2.1' })
  })

  it('a server that never shakes hands is Fault UPSTREAM_TIMEOUT at the deadline', async () => {
    const server = createServer()
    const upstream = overTls(await listenOn(server, LOOPBACK))
    closeAfterTest(server)
    const startMs = performance.now()
    await expect(ask(upstream, queryWire('a.example'), 100)).rejects.toMatchObject({ code: 'UPSTREAM_TIMEOUT' })
    expect(performance.now() - startMs).toBeLessThan(3_000)
  })
})

describe('UP-1: who the upstream is', () => {
  const refused = async (
    wish: LeafWish,
    options: { name?: string; trust?: readonly string[] | 'system' } = {},
  ): Promise<unknown> => {
    const server = await streamServer(answering, { material: await authority.material(wish) })
    const upstream = overTls(server.endpoint, options.name, options.trust)
    const error: unknown = await ask(upstream, queryWire('a.example')).catch((thrown: unknown) => thrown)
    // Nothing was sent but the handshake: no question reached a server we do not believe.
    expect(server.received).toEqual([])
    return error
  }

  it('another name: UPSTREAM_UNTRUSTED and nothing sent', async () => {
    expect(await refused({ dnsNames: ['other.test'] })).toMatchObject({
      code: 'UPSTREAM_UNTRUSTED',
      message: 'up is not who it should be: its certificate is for another name',
    })
  })

  it('expired, or not valid yet: UPSTREAM_UNTRUSTED and nothing sent', async () => {
    const nowMs = Date.now()
    expect(await refused({ notBeforeMs: nowMs - 2 * DAY_MS, notAfterMs: nowMs - DAY_MS })).toMatchObject({
      code: 'UPSTREAM_UNTRUSTED',
      message: expect.stringContaining('has expired'),
    })
    expect(await refused({ notBeforeMs: nowMs + DAY_MS, notAfterMs: nowMs + 2 * DAY_MS })).toMatchObject({
      code: 'UPSTREAM_UNTRUSTED',
      message: expect.stringContaining('not valid yet'),
    })
  })

  it('an unknown root: UPSTREAM_UNTRUSTED and nothing sent', async () => {
    for (const trust of ['system' as const, [(await TestAuthority.create()).rootPem]])
      expect(await refused({}, { trust })).toMatchObject({
        code: 'UPSTREAM_UNTRUSTED',
        message: expect.stringContaining('does not lead to a trusted root'),
      })
  })

  it('an address instead of a name is checked against the addresses of the certificate', async () => {
    const material = await authority.material({ ipAddresses: ['127.0.0.1', '2001:db8::1'] })
    const server = await streamServer(answering, { material })
    for (const name of ['127.0.0.1', '2001:db8::1'])
      expect(addressIn(await ask(overTls(server.endpoint, name), queryWire('a.example')))).toEqual({
        address: '192.0.2.1',
      })
    expect(await refused({ ipAddresses: ['127.0.0.1'] }, { name: '192.0.2.1' })).toMatchObject({
      code: 'UPSTREAM_UNTRUSTED',
    })
    expect(await refused({ dnsNames: ['127.0.0.1.test'] }, { name: '127.0.0.1' })).toMatchObject({
      code: 'UPSTREAM_UNTRUSTED',
    })
  })

  it('a server without TLS: a Fault and nothing sent in clear', async () => {
    const server = await streamServer((_wire, _reply, socket) => socket.destroy())
    const error: unknown = await ask(overTls(server.endpoint), queryWire('secret.example'), 200).catch(
      (thrown: unknown) => thrown,
    )
    expect(error).toMatchObject({ code: expect.stringMatching(/^UPSTREAM_/) })
    expect(Buffer.concat(server.chunks).includes('secret')).toBe(false)
  })

  it('is only asked for by its own name, and an address is no server name', async () => {
    const names: unknown[] = []
    const server = await streamServer(
      (wire, reply, socket) => {
        names.push('servername' in socket && socket.servername)
        answering(wire, reply)
      },
      { material: await authority.material({ ipAddresses: ['127.0.0.1'] }) },
    )
    await ask(overTls(server.endpoint), queryWire('a.example'))
    await ask(overTls(server.endpoint, '127.0.0.1'), queryWire('a.example'))
    expect(names).toEqual(['dns.test', false])
  })
})
