import {
  createSecureServer,
  type Http2SecureServer,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2'
import { connect as connectTcp, createServer as createTcpServer } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { beforeAll, describe, expect, it } from 'vitest'
import { TYPE } from '../../../src/dns/codes.ts'
import { buildMessage, parseMessage } from '../../../src/dns/message.ts'
import { MessageView } from '../../../src/dns/view.ts'
import { type Endpoint, listenOn } from '../../../src/net/bind.ts'
import { withCache } from '../../../src/router/resolve/cache.ts'
import type { Answer, Upstream } from '../../../src/router/resolve/resolver.ts'
import { dohUpstream } from '../../../src/router/upstream/doh.ts'
import { fixedEndpoints } from '../../../src/router/upstream/endpoints.ts'
import { openSockets } from '../../support/faulty-upstream.ts'
import { ManualClock, settle } from '../../support/manual-clock.ts'
import { queryOf, queryWire, responseWire } from '../../support/query.ts'
import { closeAfterTest, closedPort, LOOPBACK, within } from '../../support/sockets.ts'
import { type LeafWish, TestAuthority } from '../../support/tls.ts'

const NEVER = new AbortController().signal
const DAY_MS = 86_400_000
const DNS_MESSAGE = 'application/dns-message'

let authority: TestAuthority
beforeAll(async () => {
  authority = await TestAuthority.create()
})

interface Asked {
  readonly headers: IncomingHttpHeaders & Record<string, unknown>
  readonly body: Buffer
}

interface DohServer {
  readonly endpoint: Endpoint
  readonly asked: Asked[]
  readonly sessions: ServerHttp2Session[]
  readonly server: Http2SecureServer
}

type Handler = (wire: Buffer, stream: ServerHttp2Stream) => void

async function dohServer(handler: Handler, wish: LeafWish = {}, at: Endpoint = LOOPBACK): Promise<DohServer> {
  const { keyPem, chainPem } = await authority.material(wish)
  const server = createSecureServer({ key: keyPem, cert: chainPem })
  const [asked, sessions]: [Asked[], ServerHttp2Session[]] = [[], []]
  server.on('session', (session) => {
    sessions.push(session)
    session.on('error', () => {})
  })
  server.on('sessionError', () => {})
  server.on('stream', (stream, headers) => {
    const chunks: Buffer[] = []
    stream.on('error', () => {})
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.on('end', () => {
      const body = Buffer.concat(chunks)
      asked.push({ headers, body })
      handler(body, stream)
    })
  })
  const endpoint = await listenOn(server, at)
  closeAfterTest(server)
  return { endpoint, asked, sessions, server }
}

const respond = (stream: ServerHttp2Stream, body: Uint8Array, headers: Record<string, string | number> = {}): void => {
  stream.respond({ ':status': 200, 'content-type': DNS_MESSAGE, ...headers })
  stream.end(body)
}
const answering: Handler = (wire, stream) => respond(stream, responseWire(wire, ['192.0.2.1'], 600))

const upstreamAt = (
  endpoint: Endpoint | readonly Endpoint[],
  options: { name?: string; path?: string; trust?: readonly string[] } = {},
): Upstream =>
  dohUpstream({
    id: 'up',
    endpoints: fixedEndpoints([endpoint].flat()),
    port: [endpoint].flat().at(-1)!.port,
    path: options.path ?? '/dns-query',
    tls: { name: options.name ?? 'dns.test', trust: options.trust ?? [authority.rootPem] },
  })

async function ask(upstream: Upstream, wire: Uint8Array = queryWire('a.example'), withinMs = 5_000): Promise<Answer> {
  const outcome = await upstream.resolve(queryOf(wire, 'udp', performance.now() + withinMs), NEVER)
  if (outcome.kind !== 'answer') throw new Error('dropped')
  return outcome
}

const nameOf = (wire: Uint8Array): string => MessageView.over(wire)!.questionName
const ttlsIn = ({ wire }: Answer): number[] => parseMessage(wire)!.answers.map(({ ttl }) => ttl)

describe('a question', () => {
  it('is a POST with id 0, padded to 128, on one warm connection', async () => {
    const server = await dohServer(answering)
    const upstream = upstreamAt(server.endpoint, { path: '/q?token=1' })
    for (let index = 0; index < 3; index++) expect(parseMessage((await ask(upstream)).wire)?.answers.length).toBe(1)
    expect(server.sessions.length).toBe(1)
    const [{ headers, body }] = server.asked as [Asked]
    expect(headers).toMatchObject({
      ':method': 'POST',
      ':path': '/q?token=1',
      ':scheme': 'https',
      ':authority': `dns.test:${server.endpoint.port}`,
      accept: DNS_MESSAGE,
      'content-type': DNS_MESSAGE,
      'content-length': '128',
    })
    expect(headers['user-agent']).toBeUndefined()
    expect(parseMessage(body)).toMatchObject({ id: 0, questions: [{ name: 'a.example' }] })
  })

  it('FWD-6: takes no option of the client along', async () => {
    const server = await dohServer(answering)
    const options = [8, 10, 11].map((code) => ({ code, data: new Uint8Array(8) }))
    await ask(
      upstreamAt(server.endpoint),
      queryWire('a.example', TYPE.A, { edns: { udpSize: 4096, version: 0, dnssecOk: false, options } }),
    )
    expect(parseMessage(server.asked[0]!.body)?.edns?.options.map(({ code }) => code)).toEqual([12])
  })

  it('is answered beside others, in any order', async () => {
    const waiting: (() => void)[] = []
    const server = await dohServer((wire, stream) => {
      waiting.push(() => respond(stream, responseWire(wire, [`192.0.2.${nameOf(wire).split('.')[0]}`])))
      if (waiting.length === 50) for (const answer of waiting.toReversed()) answer()
    })
    const upstream = upstreamAt(server.endpoint)
    const hosts = Array.from({ length: 50 }, (_, host) => host)
    const answers = await Promise.all(hosts.map((host) => ask(upstream, queryWire(`${host}.example`))))
    expect(answers.map(({ wire }) => parseMessage(wire)?.answers[0]?.data)).toEqual(
      hosts.map((host) => ({ address: `192.0.2.${host}` })),
    )
    expect(server.sessions.length).toBe(1)
  })
})

describe('Age (RFC 8484 section 5.1)', () => {
  it('is subtracted from every TTL, and from how long the cache keeps the answer', async () => {
    const server = await dohServer((wire, stream) =>
      respond(stream, responseWire(wire, ['192.0.2.1'], 600), { age: '250' }),
    )
    const answer = await ask(upstreamAt(server.endpoint))
    expect(ttlsIn(answer)).toEqual([350])
    const clock = new ManualClock()
    const cached = withCache({ bytesMax: 1 << 20, clock }).layer(upstreamAt(server.endpoint))
    const first = await cached.resolve(queryOf(queryWire('a.example')), NEVER)
    expect(first).toMatchObject({ freshS: 350 })
    await clock.advance(350_000)
    expect(await cached.resolve(queryOf(queryWire('a.example')), NEVER)).toMatchObject({ from: 'up' })
  })

  it('of a negative answer shortens that too', async () => {
    const soa = {
      primary: 'ns.example',
      mailbox: 'x.example',
      serial: 1,
      refresh: 1,
      retry: 1,
      expire: 1,
      minimum: 300,
    }
    const server = await dohServer((wire, stream) => {
      const questions = [{ name: nameOf(wire), type: TYPE.A, class: 1 }]
      const authorities = [{ name: 'example', type: TYPE.SOA, class: 1, ttl: 900, data: soa }]
      respond(stream, buildMessage({ isResponse: true, rcode: 3, questions, authorities }), { age: '100' })
    })
    expect((await ask(upstreamAt(server.endpoint))).prepared).toMatchObject({ minTtlS: 800, negativeTtlS: 200 })
  })

  it.each([
    ['700', 0],
    ['0', 600],
    ['-5', 600],
    ['1.5', 600],
    ['soon', 600],
    ['99999999999', 0],
  ])('%s makes TTL 600 %i', async (age, ttl) => {
    const server = await dohServer((wire, stream) => respond(stream, responseWire(wire, ['192.0.2.1'], 600), { age }))
    expect(ttlsIn(await ask(upstreamAt(server.endpoint)))).toEqual([ttl])
  })
})

describe('a wrong answer is Fault UPSTREAM_BROKEN', () => {
  it.each([
    ['status 500', (_wire, stream) => respond(stream, Buffer.from('oops'), { ':status': 500 }), 'HTTP status 500'],
    [
      'a redirect, which is not followed',
      (_wire, stream) => respond(stream, Buffer.alloc(0), { ':status': 302, location: 'https://other.test/' }),
      'HTTP status 302',
    ],
    [
      'another content type',
      (wire, stream) => respond(stream, responseWire(wire, []), { 'content-type': 'text/html' }),
      'text/html',
    ],
    ['no DNS message', (_wire, stream) => respond(stream, Buffer.from('hello')), 'another question'],
    ['no body', (_wire, stream) => respond(stream, Buffer.alloc(0)), 'another question'],
    [
      'another question',
      (_wire, stream) => respond(stream, responseWire(queryWire('b.example', TYPE.A, { id: 0 }), [])),
      'another question',
    ],
    [
      'another id',
      (_wire, stream) => respond(stream, responseWire(queryWire('a.example', TYPE.A, { id: 9 }), [])),
      'another question',
    ],
    [
      'a message that is cut off',
      (wire, stream) => respond(stream, responseWire(wire, ['192.0.2.1']).subarray(0, -1)),
      'not a DNS message',
    ],
    [
      'more than a message may hold',
      (_wire, stream) => respond(stream, new Uint8Array(70_000)),
      'more than a DNS message',
    ],
  ] as readonly [string, Handler, string][])('%s', async (_, handler, words) => {
    const server = await dohServer(handler)
    await expect(ask(upstreamAt(server.endpoint))).rejects.toMatchObject({
      code: 'UPSTREAM_BROKEN',
      message: expect.stringContaining(words),
    })
  })

  it('and the connection stays good for the next question', async () => {
    const server = await dohServer((wire, stream) =>
      nameOf(wire) === 'big.example' ? respond(stream, new Uint8Array(200_000)) : answering(wire, stream),
    )
    const upstream = upstreamAt(server.endpoint)
    await expect(ask(upstream, queryWire('big.example'))).rejects.toMatchObject({ code: 'UPSTREAM_BROKEN' })
    expect((await ask(upstream)).kind).toBe('answer')
    expect(server.sessions.length).toBe(1)
  })
})

describe('silence', () => {
  it('is Fault UPSTREAM_TIMEOUT at the deadline, and the connection stays', async () => {
    const server = await dohServer((wire, stream) => nameOf(wire) !== 'slow.example' && answering(wire, stream))
    const upstream = upstreamAt(server.endpoint)
    await expect(ask(upstream, queryWire('slow.example'), 60)).rejects.toMatchObject({ code: 'UPSTREAM_TIMEOUT' })
    expect((await ask(upstream)).kind).toBe('answer')
    expect(server.sessions.length).toBe(1)
  })

  it('of the whole link, as after a new WAN address, ends the connection; a new one answers', async () => {
    const server = await dohServer(answering)
    let frozen = false
    let passed = 0
    const link = createTcpServer((near) => {
      const far = connectTcp(server.endpoint)
      const isFirst = ++passed === 1
      near.on('data', (chunk) => void (isFirst && frozen ? undefined : far.write(chunk)))
      far.on('data', (chunk) => void (isFirst && frozen ? undefined : near.write(chunk)))
      for (const socket of [near, far])
        socket.on('error', () => {}).on('close', () => [near, far].map((one) => one.destroy()))
    })
    const upstream = upstreamAt(await listenOn(link, LOOPBACK))
    closeAfterTest(link)
    await ask(upstream)
    frozen = true
    await expect(ask(upstream, queryWire('b.example'), 60)).rejects.toMatchObject({ code: 'UPSTREAM_TIMEOUT' })
    const isAnswered = (): Promise<boolean> =>
      ask(upstream, queryWire('c.example'), 60).then(
        () => true,
        () => false,
      )
    // A second until the ping is given up.
    const untilMs = performance.now() + 5_000
    while (!(await isAnswered()) && performance.now() < untilMs) await settle()
    expect(passed).toBe(2)
  })

  it('of a server that never shakes hands ends at the deadline too', async () => {
    const server = createTcpServer()
    const upstream = upstreamAt(await listenOn(server, LOOPBACK))
    closeAfterTest(server)
    const startMs = performance.now()
    await expect(ask(upstream, queryWire('a.example'), 100)).rejects.toMatchObject({ code: 'UPSTREAM_TIMEOUT' })
    expect(performance.now() - startMs).toBeLessThan(3_000)
  })
})

describe('connections', () => {
  it('a closed port is Fault UPSTREAM_UNREACHABLE, at once', async () => {
    const upstream = upstreamAt({ host: '127.0.0.1', port: await closedPort() })
    await expect(within('the refusal', ask(upstream), 500)).rejects.toMatchObject({ code: 'UPSTREAM_UNREACHABLE' })
  })

  it('the next pinned address is tried by the same question', async () => {
    const server = await dohServer(answering)
    const upstream = upstreamAt([{ host: '127.0.0.1', port: await closedPort() }, server.endpoint])
    expect((await ask(upstream)).kind).toBe('answer')
  })

  it.each(['close', 'goaway', 'destroy'] as const)('one ended while idle (%s) is opened again, once', async (how) => {
    const server = await dohServer(answering)
    const upstream = upstreamAt(server.endpoint)
    await ask(upstream)
    server.sessions[0]![how]()
    await settle()
    for (let index = 0; index < 3; index++) expect((await ask(upstream)).kind).toBe('answer')
    expect(server.sessions.length).toBe(2)
  })

  it('one lost with a question on it is opened again, once', async () => {
    const server = await dohServer((wire, stream) => {
      if (nameOf(wire) === 'b.example' && server.sessions.length === 1) stream.session?.destroy()
      else answering(wire, stream)
    })
    const upstream = upstreamAt(server.endpoint)
    await ask(upstream)
    expect((await ask(upstream, queryWire('b.example'))).kind).toBe('answer')
    expect(server.sessions.length).toBe(2)
  })

  it('reset asks what is open again on a new connection', async () => {
    const server = await dohServer((wire, stream) => server.asked.length > 1 && answering(wire, stream))
    const upstream = upstreamAt(server.endpoint)
    const answer = ask(upstream)
    while (server.asked.length === 0) await settle()
    upstream.reset?.()
    expect((await answer).kind).toBe('answer')
    expect([server.sessions.length, server.asked.length]).toEqual([2, 2])
  })

  it('close answers what is under way, leaves no socket, and takes nothing new', async () => {
    const server = await dohServer((wire, stream) => void setTimeout(() => answering(wire, stream), 50))
    const open = openSockets()
    const upstream = upstreamAt(server.endpoint)
    const answer = ask(upstream)
    while (server.asked.length === 0) await settle()
    upstream.close?.()
    expect((await answer).kind).toBe('answer')
    await expect(ask(upstream)).rejects.toMatchObject({ code: 'UPSTREAM_UNREACHABLE' })
    const untilMs = performance.now() + 5_000
    while ((await open()) > 0 && performance.now() < untilMs);
    expect(await open()).toBe(0)
  })

  it('a server that always hangs up is Fault UPSTREAM_UNREACHABLE, not asked for ever', async () => {
    const server = await dohServer((_wire, stream) => stream.session?.destroy())
    await expect(ask(upstreamAt(server.endpoint))).rejects.toMatchObject({ code: 'UPSTREAM_UNREACHABLE' })
    expect(server.sessions.length).toBeLessThanOrEqual(2)
  })

  it('a stream reset by the server is Fault UPSTREAM_UNREACHABLE', async () => {
    const server = await dohServer((_wire, stream) => stream.close(2))
    await expect(ask(upstreamAt(server.endpoint))).rejects.toMatchObject({ code: 'UPSTREAM_UNREACHABLE' })
  })
})

describe('UP-1: who the upstream is', () => {
  const refused = async (
    wish: LeafWish,
    options: { name?: string; trust?: readonly string[] } = {},
  ): Promise<unknown> => {
    const server = await dohServer(answering, wish)
    const error: unknown = await ask(upstreamAt(server.endpoint, options)).catch((thrown: unknown) => thrown)
    expect(server.asked).toEqual([])
    return error
  }

  it('another name, other dates, another root: UPSTREAM_UNTRUSTED and nothing sent', async () => {
    const nowMs = Date.now()
    expect(await refused({ dnsNames: ['other.test'] })).toMatchObject({
      code: 'UPSTREAM_UNTRUSTED',
      message: expect.stringContaining('another name'),
    })
    expect(await refused({ notBeforeMs: nowMs - 2 * DAY_MS, notAfterMs: nowMs - DAY_MS })).toMatchObject({
      code: 'UPSTREAM_UNTRUSTED',
      message: expect.stringContaining('expired'),
    })
    expect(await refused({}, { trust: [(await TestAuthority.create()).rootPem] })).toMatchObject({
      code: 'UPSTREAM_UNTRUSTED',
    })
  })

  it.each(['127.0.0.1', '2001:db8::1'])(
    'an address, %s, is checked against the addresses of the certificate',
    async (name) => {
      const server = await dohServer(answering, { ipAddresses: ['127.0.0.1', '2001:db8::1'] })
      expect((await ask(upstreamAt(server.endpoint, { name }))).kind).toBe('answer')
      expect(server.asked[0]?.headers[':authority']).toBe(
        `${name.includes(':') ? `[${name}]` : name}:${server.endpoint.port}`,
      )
      expect(await refused({ dnsNames: ['dns.test'] }, { name })).toMatchObject({ code: 'UPSTREAM_UNTRUSTED' })
    },
  )

  it('a server that does not speak HTTP/2 is Fault UPSTREAM_BROKEN', async () => {
    const { keyPem, chainPem } = await authority.material()
    const server = createTlsServer({ key: keyPem, cert: chainPem })
    server.on('tlsClientError', () => {})
    const endpoint = await listenOn(server, LOOPBACK)
    closeAfterTest(server)
    await expect(ask(upstreamAt(endpoint))).rejects.toMatchObject({
      code: 'UPSTREAM_BROKEN',
      message: 'up does not speak HTTP/2',
    })
  })
})
