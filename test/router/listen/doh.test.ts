import { once } from 'node:events'
import { type ClientHttp2Session, connect as connectHttp2, constants } from 'node:http2'
import { Agent, request as requestHttps } from 'node:https'
import { connect as connectTcp } from 'node:net'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { toBase64url } from '../../../src/core/bytes.ts'
import { systemClock } from '../../../src/core/clock.ts'
import { RCODE, TYPE } from '../../../src/dns/codes.ts'
import { buildMessage, type Message, parseMessage } from '../../../src/dns/message.ts'
import { type Endpoint, endpointText } from '../../../src/net/bind.ts'
import { dohListener, type Http2Choice } from '../../../src/router/listen/doh.ts'
import type { EncryptedListener } from '../../../src/router/listen/listener.ts'
import { withCache } from '../../../src/router/resolve/cache.ts'
import { createGuard } from '../../../src/router/resolve/guard.ts'
import type { Outcome, Query, Resolver } from '../../../src/router/resolve/resolver.ts'
import { answerOf } from '../../../src/router/upstream/wire.ts'
import { recordingLog, silentLog } from '../../support/log.ts'
import { ManualClock, settle } from '../../support/manual-clock.ts'
import { queryWire, resolverOf, responseWire } from '../../support/query.ts'
import { LOOPBACK, tlsSocket, within } from '../../support/sockets.ts'
import { TestAuthority } from '../../support/tls.ts'

const DNS_MESSAGE = 'application/dns-message'
const answering = ({ view }: Query): Outcome =>
  answerOf(responseWire(view.wire, ['192.0.2.1']), 'test', 'unauthenticated')

/** As the chain does: a cache over an upstream, so that the age of answers is known. */
const cached = (fields: (query: Query) => Partial<Message>): Resolver =>
  withCache({ bytesMax: 1 << 20, clock: new ManualClock() }).layer(
    resolverOf(async (query) => {
      const { view } = query
      const questions = [{ name: view.questionName, type: view.questionType, class: view.questionClass }]
      const wire = buildMessage({
        id: view.id,
        isResponse: true,
        recursionAvailable: true,
        questions,
        ...fields(query),
      })
      return answerOf(wire, 'test', 'unauthenticated')
    }),
  )

let authority: TestAuthority
beforeAll(async () => {
  authority = await TestAuthority.create()
})

async function started(
  resolver: Resolver,
  options: { log?: typeof silentLog; at?: Endpoint; http2?: Http2Choice } = {},
): Promise<EncryptedListener> {
  const { log = silentLog, at = LOOPBACK, http2 = 'own' } = options
  const listener = dohListener(at, await authority.material(), { clock: systemClock, log }, http2)
  await listener.start(resolver)
  onTestFinished(() => listener.stop(0))
  return listener
}

interface Reply {
  readonly status: number
  readonly headers: Record<string, unknown>
  readonly body: Buffer
}

interface Asking {
  readonly method?: string
  readonly path?: string
  readonly headers?: Record<string, string>
  readonly body?: Uint8Array | undefined
}

type Ask = (asking: Asking) => Promise<Reply>

function http2Session(at: Endpoint): ClientHttp2Session {
  const session = connectHttp2(`https://${endpointText(at)}`, { rejectUnauthorized: false })
  session.on('error', () => {})
  onTestFinished(() => session.destroy())
  return session
}

function askHttp2(
  session: ClientHttp2Session,
  { method = 'GET', path = '/dns-query', headers = {}, body }: Asking,
): Promise<Reply> {
  const stream = session.request({ ':method': method, ':path': path, ...headers }, { endStream: body === undefined })
  const reply = new Promise<Reply>((resolve, reject) => {
    const chunks: Buffer[] = []
    let replied: Record<string, unknown> = {}
    stream.on('response', (found) => (replied = found))
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.on('end', () => {
      if (replied[':status'] === undefined) reject(new Error('the stream was closed'))
      else resolve({ status: Number(replied[':status']), headers: replied, body: Buffer.concat(chunks) })
    })
    stream.on('error', reject)
    stream.on('close', () => reject(new Error('the stream was closed')))
  })
  if (body !== undefined) stream.end(body)
  return within('an HTTP/2 response', reply)
}

function askHttp1(
  agent: Agent,
  at: Endpoint,
  { method = 'GET', path = '/dns-query', headers = {}, body }: Asking,
): Promise<Reply> {
  const reply = new Promise<Reply>((resolve, reject) => {
    const request = requestHttps({ ...at, method, path, headers, agent, rejectUnauthorized: false }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) }),
      )
    })
    request.on('error', reject)
    request.end(body)
  })
  return within('an HTTP/1.1 response', reply)
}

function http1Agent(): Agent {
  // Each socket is a handshake, and a hundred of them at a time can take a busy machine too long.
  const agent = new Agent({ keepAlive: true, maxSockets: 20 })
  onTestFinished(() => agent.destroy())
  return agent
}

const CLIENTS = {
  'HTTP/2': overHttp2,
  'HTTP/2 of Node': overHttp2,
  'HTTP/1.1': (at: Endpoint): Ask => {
    const agent = http1Agent()
    return (asking) => askHttp1(agent, at, asking)
  },
}
const choiceOf = (version: string): Http2Choice => (version === 'HTTP/2 of Node' ? 'node' : 'own')

function overHttp2(at: Endpoint): Ask {
  const session = http2Session(at)
  return (asking) => askHttp2(session, asking)
}

const get = (wire: Uint8Array): Asking => ({
  path: `/dns-query?dns=${toBase64url(wire)}`,
  headers: { accept: DNS_MESSAGE },
})
const post = (wire: Uint8Array): Asking => ({ method: 'POST', headers: { 'content-type': DNS_MESSAGE }, body: wire })

describe.each(['HTTP/2', 'HTTP/2 of Node', 'HTTP/1.1'] as const)('%s', (version) => {
  const open = async (resolver: Resolver, options: Parameters<typeof started>[1] = {}) => {
    const listener = await started(resolver, { http2: choiceOf(version), ...options })
    return { listener, ask: CLIENTS[version](listener.endpoint) }
  }

  it.each([
    ['GET', get],
    ['POST', post],
  ] as const)('DOH-1: %s is answered, and its id comes back', async (_, asking) => {
    const seen: Query[] = []
    const { ask } = await open(resolverOf((query) => (seen.push(query), answering(query))))
    for (const id of [0, 0xabcd]) {
      const { status, headers, body } = await ask(asking(queryWire('www.example.com', TYPE.A, { id })))
      expect([status, headers['content-type'], headers['content-length']]).toEqual([
        200,
        DNS_MESSAGE,
        String(body.length),
      ])
      expect(parseMessage(body)).toMatchObject({ id, answers: [{ data: { address: '192.0.2.1' } }] })
    }
    expect(seen[0]?.client).toEqual({ address: '127.0.0.1', transport: 'doh' })
  })

  it('DOH-1: many at once, answered as they finish', async () => {
    const { ask } = await open(resolverOf((query) => settle().then(() => answering(query))))
    const ids = Array.from({ length: 100 }, (_, id) => id)
    const replies = await Promise.all(ids.map((id) => ask(post(queryWire('a.example', TYPE.A, { id })))))
    expect(replies.map(({ body }) => parseMessage(body)?.id)).toEqual(ids)
  })

  it.each([
    ['404', { path: '/' }, 404],
    ['405', { method: 'PUT' }, 405],
    ['406', { path: `/dns-query?dns=${toBase64url(queryWire('a.example'))}`, headers: { accept: 'text/html' } }, 406],
    ['415', { method: 'POST', headers: { 'content-type': 'text/plain' }, body: queryWire('a.example') }, 415],
    ['400 without dns', {}, 400],
    ['400 for padding', { path: `/dns-query?dns=${toBase64url(queryWire('a.example'))}=` }, 400],
    ['400 for an empty body', post(new Uint8Array(0)), 400],
    ['400 for a response', post(responseWire(queryWire('a.example'), [])), 400],
    ['413 for 70 kB', post(new Uint8Array(70_000)), 413],
  ] as readonly [string, Asking, number][])('DOH-2: %s, and the connection lives on', async (_, asking, status) => {
    const { ask } = await open(resolverOf(answering))
    const reply = await ask(asking)
    expect([reply.status, reply.headers['content-type']]).toEqual([status, 'text/plain'])
    if (status === 405) expect(reply.headers['allow']).toBe('GET, HEAD, POST')
    expect((await ask(get(queryWire('a.example')))).status).toBe(200)
  })

  it('HEAD has the headers of GET and no body', async () => {
    const { ask } = await open(resolverOf(answering))
    const wire = queryWire('a.example')
    const [head, full] = [await ask({ ...get(wire), method: 'HEAD' }), await ask(get(wire))]
    expect(head.body.length).toBe(0)
    for (const name of ['content-type', 'content-length', 'cache-control'])
      expect(head.headers[name]).toBe(full.headers[name])
    expect((await ask({ method: 'HEAD', path: '/' })).status).toBe(404)
  })

  it('DOH-3: NXDOMAIN, SERVFAIL, FORMERR and NOTIMP are 200', async () => {
    const { ask } = await open(
      cached(({ view }) => ({ rcode: view.questionName === 'no.example' ? RCODE.NXDOMAIN : RCODE.SERVFAIL })),
    )
    for (const [wire, rcode] of [
      [queryWire('no.example'), RCODE.NXDOMAIN],
      [queryWire('broken.example'), RCODE.SERVFAIL],
      [queryWire('a.example', TYPE.A, { opcode: 5 }), RCODE.NOTIMP],
      [Buffer.concat([queryWire('a.example'), Buffer.of(1)]), RCODE.FORMERR],
    ] as const) {
      const { status, body, headers } = await ask(post(wire))
      expect([status, parseMessage(body)?.rcode, headers['cache-control']]).toEqual([200, rcode, 'no-store'])
    }
  })

  it('DOH-4: max-age is the least TTL of the answer, or what the SOA says of nothing; failures are no-store', async () => {
    const a = (ttl: number, address: string) => ({ name: 'a.example', type: TYPE.A, class: 1, ttl, data: { address } })
    const soa = { primary: 'ns.example', mailbox: 'x.example', serial: 1, refresh: 1, retry: 1, expire: 1, minimum: 45 }
    const authorities = [{ name: 'example', type: TYPE.SOA, class: 1, ttl: 900, data: soa }]
    const { ask } = await open(
      cached(({ view }) => {
        if (view.questionName === 'a.example') return { answers: [a(3709, '192.0.2.1'), a(128, '192.0.2.2')] }
        if (view.questionName === 'zero.example') return { answers: [a(0, '192.0.2.1')] }
        return view.questionName === 'none.example' ? { authorities } : { rcode: RCODE.SERVFAIL }
      }),
    )
    for (const [name, control] of [
      ['a.example', 'max-age=128'],
      ['a.example', 'max-age=128'],
      ['none.example', 'max-age=45'],
      ['zero.example', 'no-store'],
      ['broken.example', 'no-store'],
    ] as const)
      expect((await ask(get(queryWire(name)))).headers['cache-control']).toBe(control)
  })

  it('DOH-5: an answer of 5000 octets is whole, whatever size the client gives for UDP', async () => {
    const many = Array.from({ length: 320 }, (_, index) => `192.0.${index >> 8}.${index & 255}`)
    const { ask } = await open(
      resolverOf(({ view }) => answerOf(responseWire(view.wire, many), 'test', 'unauthenticated')),
    )
    const edns = { udpSize: 512, version: 0, dnssecOk: false, options: [] }
    const { body } = await ask(post(queryWire('a.example', TYPE.A, { edns })))
    expect(body.length).toBeGreaterThan(5_000)
    expect(parseMessage(body)).toMatchObject({ truncated: false })
  })

  it('PAD-1: padding when it was asked for', async () => {
    const { ask } = await open(resolverOf(answering))
    const options = [{ code: 12, data: new Uint8Array(4) }]
    const edns = { udpSize: 1232, version: 0, dnssecOk: false, options }
    expect((await ask(post(queryWire('a.example', TYPE.A, { edns })))).body.length).toBe(468)
    expect(
      (await ask(post(queryWire('a.example', TYPE.A, { edns: { ...edns, options: [] } })))).body.length,
    ).toBeLessThan(468)
  })

  it('DDR-5: an address as authority is accepted, v4 and v6, with and without port', async () => {
    const { ask, listener } = await open(resolverOf(answering))
    const name = version === 'HTTP/1.1' ? 'host' : ':authority'
    for (const authorityText of [
      '192.168.1.1',
      '192.168.1.1:443',
      '[fd7f:3a00:1::1]',
      `[::1]:${listener.endpoint.port}`,
      'dns.test',
    ]) {
      const asking = get(queryWire('a.example'))
      expect((await ask({ ...asking, headers: { ...asking.headers, [name]: authorityText } })).status).toBe(200)
    }
  })

  it('SEC-1: a client from outside gets 403 and no DNS', async () => {
    const { ask } = await open(createGuard(['192.0.2.0/24']).layer(resolverOf(answering)))
    const { status, body } = await ask(post(queryWire('a.example')))
    expect([status, body.toString()]).toEqual([403, 'not for you'])
  })

  it('a client over its rate gets 429 and when to come back', async () => {
    const { ask } = await open(resolverOf(() => ({ kind: 'drop', reason: 'rate-limit' })))
    const { status, headers } = await ask(post(queryWire('a.example')))
    expect([status, headers['retry-after'], headers['content-type']]).toEqual([429, '2', 'text/plain'])
  })

  it.each([
    [
      'thrown',
      () => {
        throw new TypeError('x is not a function')
      },
    ],
    ['rejected', () => Promise.reject(new TypeError('x is not a function'))],
  ] as const)('a bug in the resolver, %s, ends that request only: SERVFAIL', async (_, fail) => {
    const { log, lines } = recordingLog()
    const { ask } = await open(
      resolverOf((query) => (query.view.questionName === 'bug.example' ? fail() : answering(query))),
      { log },
    )
    const { status, headers, body } = await ask(post(queryWire('bug.example')))
    expect([status, headers['cache-control'], parseMessage(body)?.rcode]).toEqual([200, 'no-store', RCODE.SERVFAIL])
    expect((await ask(post(queryWire('a.example')))).status).toBe(200)
    expect(lines).toMatchObject([{ level: 'error', reason: 'x is not a function' }])
  })

  describe('stop', () => {
    it('lets open answers out and takes no new connections', async () => {
      let deliver = (): void => {}
      const resolver = resolverOf((query) => new Promise((resolve) => (deliver = () => resolve(answering(query)))))
      const { ask, listener } = await open(resolver)
      const asked = ask(post(queryWire('a.example')))
      await untilAsked(resolver, 1)
      const stopped = listener.stop(5_000)
      await settle()
      deliver()
      expect((await asked).status).toBe(200)
      await within('the stop', stopped, 2_000)
      await expect(tlsSocket(listener.endpoint)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    })

    it('does not wait for idle connections', async () => {
      const { ask, listener } = await open(resolverOf(answering))
      await ask(get(queryWire('a.example')))
      await within('the stop', listener.stop(5_000), 1_000)
    })

    it('waits for the time of grace and no longer', async () => {
      const resolver = resolverOf(() => new Promise(() => {}))
      const { ask, listener } = await open(resolver)
      const failed = expect(ask(post(queryWire('a.example')))).rejects.toThrow()
      await untilAsked(resolver, 1)
      await within('the stop', listener.stop(30), 1_000)
      await failed
    })
  })
})

describe.each(['own', 'node'] as const)('HTTP/2: %s', (http2) => {
  it('RFC 8484 section 4.1.1: the GET vector', async () => {
    const { endpoint } = await started(resolverOf(answering), { http2 })
    const reply = await askHttp2(http2Session(endpoint), {
      path: '/dns-query?dns=AAABAAABAAAAAAAAA3d3dwdleGFtcGxlA2NvbQAAAQAB',
      headers: { accept: DNS_MESSAGE },
    })
    expect(parseMessage(reply.body)).toMatchObject({ id: 0, questions: [{ name: 'www.example.com', type: TYPE.A }] })
  })

  it('a client that resets its stream while we resolve does no harm', async () => {
    let deliver = (): void => {}
    const resolver = resolverOf((query) =>
      query.view.questionName === 'slow.example'
        ? new Promise((resolve) => (deliver = () => resolve(answering(query))))
        : answering(query),
    )
    const { endpoint } = await started(resolver, { http2 })
    const session = http2Session(endpoint)
    for (let round = 1; round <= 3; round++) {
      const stream = session.request({ ':method': 'POST', ':path': '/dns-query', 'content-type': DNS_MESSAGE })
      stream.on('error', () => {})
      stream.end(queryWire('slow.example'))
      await untilAsked(resolver, 2 * round - 1)
      stream.close(constants.NGHTTP2_CANCEL)
      if (round === 1) await settle()
      deliver()
      expect((await askHttp2(session, post(queryWire('a.example')))).status).toBe(200)
    }
  })

  it('a body too large is refused before it has all come, and the rest of it is not waited for', async () => {
    const { endpoint } = await started(resolverOf(answering), { http2 })
    const stream = http2Session(endpoint).request({
      ':method': 'POST',
      ':path': '/dns-query',
      'content-type': DNS_MESSAGE,
    })
    stream.on('error', () => {})
    const response = once(stream, 'response')
    stream.write(new Uint8Array(70_000))
    const [headers] = await within('the refusal', response)
    expect(headers[':status']).toBe(413)
    await within('the end of the stream', once(stream.resume(), 'close'))
  })

  it('announces its bounds', async () => {
    const { endpoint } = await started(resolverOf(answering), { http2 })
    const session = http2Session(endpoint)
    await within('the settings', once(session, 'remoteSettings'))
    expect(session.remoteSettings).toMatchObject({
      maxConcurrentStreams: 128,
      maxHeaderListSize: 16_384,
      enablePush: false,
    })
  })

  it('RFC 9113 section 9.2.1: TLS 1.2 is not negotiated anew', async () => {
    const { endpoint } = await started(resolverOf(answering), { http2 })
    const socket = await tlsSocket(endpoint, { ALPNProtocols: ['h2'], maxVersion: 'TLSv1.2' })
    socket.on('error', () => {})
    socket.resume().renegotiate({ rejectUnauthorized: false }, () => {})
    await within('the end of the connection', once(socket, 'close'))
    expect(socket.destroyed).toBe(true)
  })

  it('something else than HTTP/2 under its name ends that connection only', async () => {
    const { endpoint } = await started(resolverOf(answering), { http2 })
    const socket = await tlsSocket(endpoint, { ALPNProtocols: ['h2'] })
    socket.on('error', () => {})
    socket.write('GET / HTTP/1.1\r\n\r\n')
    await within('the end of the connection', once(socket.resume(), 'close'))
    expect((await askHttp2(http2Session(endpoint), post(queryWire('a.example')))).status).toBe(200)
  })
})

describe('HTTP/1.1', () => {
  it('is spoken to a client without ALPN', async () => {
    const { endpoint } = await started(resolverOf(answering))
    const socket = await tlsSocket(endpoint)
    expect(socket.alpnProtocol).toBe(false)
    socket.write(
      `GET /dns-query?dns=${toBase64url(queryWire('a.example'))} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`,
    )
    let text = ''
    for await (const chunk of socket) text += String(chunk)
    expect(text).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
  })

  it('something else than HTTP gets 400 and the end', async () => {
    const { endpoint } = await started(resolverOf(answering))
    const socket = await tlsSocket(endpoint, { ALPNProtocols: ['http/1.1'] })
    socket.write('\0\0\0\0\r\n\r\n')
    let text = ''
    for await (const chunk of socket) text += String(chunk)
    expect(text).toMatch(/^HTTP\/1\.1 400 /)
  })
})

describe('handshakes', () => {
  it.each([
    [['h2'], 'h2'],
    [['http/1.1'], 'http/1.1'],
    [['http/1.1', 'h2'], 'h2'],
  ] as const)('ALPN %j: %s', async (offered, chosen) => {
    const { endpoint } = await started(resolverOf(answering))
    expect((await tlsSocket(endpoint, { ALPNProtocols: [...offered] })).alpnProtocol).toBe(chosen)
  })

  it('foreign ALPN only gets alert no_application_protocol', async () => {
    const { endpoint } = await started(resolverOf(answering))
    await expect(tlsSocket(endpoint, { ALPNProtocols: ['dot'] })).rejects.toMatchObject({
      code: expect.stringMatching(/NO_APPLICATION_PROTOCOL/),
    })
  })

  it('DDR-4: without SNI the same certificate is shown', async () => {
    const { endpoint } = await started(resolverOf(answering))
    expect((await tlsSocket(endpoint)).getPeerCertificate().subjectaltname).toBe('DNS:dns.test')
  })

  it('a new certificate: open connections live on, new ones see it', async () => {
    const listener = await started(resolverOf(answering))
    const session = http2Session(listener.endpoint)
    await askHttp2(session, post(queryWire('a.example')))
    listener.setMaterial(await authority.material({ dnsNames: ['new.test'] }))
    expect((await askHttp2(session, post(queryWire('a.example')))).status).toBe(200)
    expect((await tlsSocket(listener.endpoint)).getPeerCertificate().subjectaltname).toBe('DNS:new.test')
  })

  it('a port in use is Fault PORT_IN_USE', async () => {
    const { endpoint } = await started(resolverOf(answering))
    const second = dohListener(endpoint, await authority.material(), { clock: systemClock, log: silentLog })
    await expect(second.start(resolverOf(answering))).rejects.toMatchObject({ code: 'PORT_IN_USE' })
  })

  it('stop does not wait for a handshake that never comes, and leaves no timer behind', async () => {
    const clock = new ManualClock()
    const listener = dohListener(LOOPBACK, await authority.material(), { clock, log: silentLog })
    await listener.start(resolverOf(answering))
    const silent = connectTcp(listener.endpoint)
    silent.on('error', () => {})
    await once(silent, 'connect')
    await settle()
    const stopped = listener.stop(1_000)
    await clock.advance(1_000)
    await within('the stop', stopped, 1_000)
    expect(clock.sleeping).toBe(0)
  })
})

async function untilAsked(resolver: { readonly asked: number }, count: number): Promise<void> {
  await within(
    `question ${count}`,
    (async () => {
      while (resolver.asked < count) await settle()
    })(),
  )
}
