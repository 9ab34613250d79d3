import { createSecureServer } from 'node:http2'
import type { TLSSocket } from 'node:tls'
import { beforeAll, describe, expect, it } from 'vitest'
import { TYPE } from '../../../src/dns/codes.ts'
import { keepaliveOption } from '../../../src/dns/edns.ts'
import { buildMessage, parseMessage } from '../../../src/dns/message.ts'
import { type Endpoint, listenOn } from '../../../src/net/bind.ts'
import type { Answer, Upstream } from '../../../src/router/resolve/resolver.ts'
import { dohUpstream } from '../../../src/router/upstream/doh.ts'
import { type EndpointSource, fixedEndpoints } from '../../../src/router/upstream/endpoints.ts'
import { streamUpstream } from '../../../src/router/upstream/stream.ts'
import { rightAnswer } from '../../support/faulty-upstream.ts'
import { settle } from '../../support/manual-clock.ts'
import { queryOf, queryWire } from '../../support/query.ts'
import { closeAfterTest, closedPort, LOOPBACK, type StreamServer, streamServer, within } from '../../support/sockets.ts'
import { TestAuthority } from '../../support/tls.ts'

const NEVER = new AbortController().signal

let authority: TestAuthority
beforeAll(async () => {
  authority = await TestAuthority.create()
})

async function ask(upstream: Upstream, name = 'a.example', withinMs = 5_000): Promise<Answer> {
  const outcome = await upstream.resolve(queryOf(queryWire(name), 'udp', performance.now() + withinMs), NEVER)
  if (outcome.kind !== 'answer') throw new Error('dropped')
  return outcome
}

const overTls = (endpoints: EndpointSource): Upstream =>
  streamUpstream({ id: 'up', endpoints, tls: { name: 'dns.test', trust: [authority.rootPem] } })
const answering = (wire: Uint8Array, reply: (wire: Uint8Array) => void): void => reply(rightAnswer(wire))
const isReused = (socket: unknown): boolean => (socket as TLSSocket).isSessionReused()

async function closed(server: StreamServer, index: number): Promise<void> {
  const socket = server.connections[index]!
  if (!socket.closed) await within('the end of the connection', new Promise((resolve) => socket.once('close', resolve)))
}

describe('session resumption (RFC 7858 section 3.4)', () => {
  // Node's server gives two tickets of TLS 1.3 with a whole handshake, and none when one of them is used.
  it.each([
    ['TLSv1.2', [false, true, true, true]],
    ['TLSv1.3', [false, true, true, false]],
  ] as const)('%s: a later connection to the same address is resumed', async (version, expected) => {
    const material = await authority.material()
    const reused: boolean[] = []
    const server = await streamServer(
      (wire, reply, socket) => {
        reused.push(isReused(socket))
        answering(wire, reply)
      },
      { material, version },
    )
    const upstream = overTls(fixedEndpoints([server.endpoint]))
    for (let round = 0; round < 4; round++) {
      await ask(upstream)
      await settle() // tickets come behind the answer
      upstream.reset?.()
      await closed(server, round)
    }
    expect(reused).toEqual(expected)
  })

  it('over HTTPS too', async () => {
    const { keyPem, chainPem } = await authority.material()
    const server = createSecureServer({ key: keyPem, cert: chainPem })
    const reused: boolean[] = []
    server.on('session', (session) => {
      reused.push(isReused(session.socket))
      session.on('error', () => {})
    })
    server.on('stream', (stream) => {
      const chunks: Buffer[] = []
      stream.on('error', () => {})
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('end', () => {
        stream.respond({ ':status': 200, 'content-type': 'application/dns-message' })
        stream.end(rightAnswer(Buffer.concat(chunks)))
      })
    })
    const endpoint = await listenOn(server, LOOPBACK)
    closeAfterTest(server)
    const upstream = dohUpstream({
      id: 'up',
      endpoints: fixedEndpoints([endpoint]),
      tls: { name: 'dns.test', trust: [authority.rootPem] },
      port: endpoint.port,
      path: '/dns-query',
    })
    for (let round = 0; round < 3; round++) {
      await ask(upstream)
      await settle()
      upstream.reset?.()
    }
    expect(reused).toEqual([false, true, true])
  })

  it('not by another upstream at the same address', async () => {
    const server = await streamServer(answering, { material: await authority.material() })
    for (let round = 0; round < 2; round++) await ask(overTls(fixedEndpoints([server.endpoint])))
    expect(server.connections.map(isReused)).toEqual([false, false])
  })

  it('UP-1: not with a server that did not prove who it is', async () => {
    const server = await streamServer(answering, { material: await authority.material({ dnsNames: ['other.test'] }) })
    const upstream = overTls(fixedEndpoints([server.endpoint]))
    for (let round = 0; round < 3; round++)
      await expect(ask(upstream)).rejects.toMatchObject({ code: 'UPSTREAM_UNTRUSTED' })
    expect(server.received).toEqual([])
  })
})

describe('keepalive (RFC 7828)', () => {
  const announcing =
    (timeoutMs: number) =>
    (wire: Uint8Array, reply: (wire: Uint8Array) => void): void => {
      const { id, questions } = parseMessage(wire)!
      const edns = { udpSize: 1232, version: 0, dnssecOk: false, options: [keepaliveOption(timeoutMs)] }
      reply(buildMessage({ id, isResponse: true, questions, edns }))
    }

  it('is asked for with an empty option by the first question of a connection', async () => {
    const server = await streamServer(answering)
    const upstream = streamUpstream({ id: 'up', endpoints: fixedEndpoints([server.endpoint]) })
    for (let round = 0; round < 2; round++) await ask(upstream)
    const options = server.received.map((wire) => parseMessage(wire)?.edns?.options)
    expect(options).toEqual([[{ code: 11, data: new Uint8Array(0) }], []])
  })

  it('zero: what is open is answered, then the connection is closed; the next question has a new one', async () => {
    const held: (() => void)[] = []
    const server = await streamServer((wire, reply) => {
      if (server.received.length === 1) held.push(() => answering(wire, reply))
      else announcing(0)(wire, reply)
    })
    const upstream = streamUpstream({ id: 'up', endpoints: fixedEndpoints([server.endpoint]) })
    const slow = ask(upstream, 'slow.example')
    await ask(upstream, 'b.example')
    const next = ask(upstream, 'c.example')
    await next
    expect(server.connections.length).toBe(2)
    held[0]!()
    await slow
    await closed(server, 0)
    await closed(server, 1)
  })

  it('a time: the connection is closed after it, and not before', async () => {
    const server = await streamServer(announcing(1_000))
    const upstream = streamUpstream({ id: 'up', endpoints: fixedEndpoints([server.endpoint]) })
    const startMs = performance.now()
    await ask(upstream)
    await closed(server, 0)
    expect(performance.now() - startMs).toBeGreaterThanOrEqual(990)
  })
})

describe('connections', () => {
  it('a second one is opened when the first is full, and no third', async () => {
    const held: (() => void)[] = []
    const server = await streamServer((wire, reply) => held.push(() => answering(wire, reply)))
    const upstream = streamUpstream({ id: 'up', endpoints: fixedEndpoints([server.endpoint]) })
    await Promise.all([ask(upstream), until(() => held.length === 1).then(() => held.pop()!())])
    const names = Array.from({ length: 2_000 }, (_, index) => `${index}.example`)
    const answers = names.map((name) => ask(upstream, name))
    await within(
      'all questions',
      until(() => held.length === 2_000),
    )
    await expect(ask(upstream)).rejects.toMatchObject({ code: 'UPSTREAM_TIMEOUT' })
    for (const answer of held) answer()
    expect((await Promise.all(answers)).length).toBe(2_000)
    expect(server.connections.length).toBe(2)
  })

  it('the address that answered is tried first from then on (RFC 8305 section 4)', async () => {
    const server = await streamServer(answering)
    const dead = { host: '127.0.0.1', port: await closedPort() }
    const endpoints = { find: () => [dead, server.endpoint] }
    const upstream = streamUpstream({ id: 'up', endpoints })
    for (let round = 0; round < 3; round++) {
      await ask(upstream)
      upstream.reset?.()
    }
    expect(server.connections.length).toBe(3)
  })

  it('questions wait for an address until their deadline, and no longer', async () => {
    const server = await streamServer(answering)
    let found: (endpoints: readonly Endpoint[]) => void = () => {}
    const endpoints = { find: () => new Promise<readonly Endpoint[]>((resolve) => (found = resolve)) }
    const upstream = streamUpstream({ id: 'up', endpoints })
    const [short, long] = [ask(upstream, 'a.example', 50), ask(upstream, 'b.example')]
    await expect(short).rejects.toMatchObject({ code: 'UPSTREAM_TIMEOUT' })
    found([server.endpoint])
    expect((await long).kind).toBe('answer')
    expect(server.received.length).toBe(1)
  })

  it('a reset while it is being opened starts again, and loses no question', async () => {
    const server = await streamServer(answering)
    let asked = 0
    const endpoints = {
      find: () => (asked++ === 0 ? new Promise<readonly Endpoint[]>(() => {}) : [server.endpoint]),
    }
    const upstream = streamUpstream({ id: 'up', endpoints })
    const answer = ask(upstream)
    upstream.reset?.()
    expect((await answer).kind).toBe('answer')
  })

  it('ids of questions in flight are all different', async () => {
    const held: (() => void)[] = []
    const server = await streamServer((wire, reply) => held.push(() => answering(wire, reply)))
    const upstream = streamUpstream({ id: 'up', endpoints: fixedEndpoints([server.endpoint]) })
    const answers = Array.from({ length: 1_000 }, (_, index) => ask(upstream, `${index}.example`))
    await within(
      'all questions',
      until(() => held.length === 1_000),
    )
    expect(new Set(server.received.map((wire) => wire[0]! * 256 + wire[1]!)).size).toBe(1_000)
    for (const answer of held.toReversed()) answer()
    for (const [index, { wire }] of (await Promise.all(answers)).entries())
      expect(parseMessage(wire)?.questions[0]).toMatchObject({ name: `${index}.example`, type: TYPE.A })
  })
})

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise<void>((resolve) => void setImmediate(resolve))
}
