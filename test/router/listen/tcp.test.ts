import { once } from 'node:events'
import { connect } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { systemClock } from '../../../src/core/clock.ts'
import { EDNS_OPTION, RCODE, TYPE } from '../../../src/dns/codes.ts'
import { frameOf } from '../../../src/dns/frame.ts'
import { parseMessage } from '../../../src/dns/message.ts'
import { MessageView } from '../../../src/dns/view.ts'
import type { EncryptedListener, Listener } from '../../../src/router/listen/listener.ts'
import { dotListener, tcpListener } from '../../../src/router/listen/tcp.ts'
import type { Outcome, Query, Resolver } from '../../../src/router/resolve/resolver.ts'
import { answerOf } from '../../../src/router/upstream/wire.ts'
import { recordingLog, silentLog } from '../../support/log.ts'
import { ManualClock, settle } from '../../support/manual-clock.ts'
import { queryWire, resolverOf, responseWire } from '../../support/query.ts'
import { LOOPBACK, StreamClient, tcpClient, tlsClient, tlsSocket, within } from '../../support/sockets.ts'
import { TestAuthority } from '../../support/tls.ts'

const answering = ({ view }: Query): Outcome =>
  answerOf(responseWire(view.wire, ['192.0.2.1']), 'test', 'unauthenticated')

let authority: TestAuthority
beforeAll(async () => {
  authority = await TestAuthority.create()
})

async function started<L extends Listener>(listener: L, resolver: Resolver): Promise<L> {
  await listener.start(resolver)
  onTestFinished(() => listener.stop(0))
  return listener
}

const tcp = (resolver: Resolver, log = silentLog): Promise<Listener> =>
  started(tcpListener(LOOPBACK, { clock: systemClock, log }), resolver)

const dot = async (resolver: Resolver, log = silentLog): Promise<EncryptedListener> =>
  started(dotListener(LOOPBACK, await authority.material(), { clock: systemClock, log }), resolver)

/** Both transports pass these; `open` starts a listener and connects to it. */
const TRANSPORTS = {
  tcp: async (resolver: Resolver, log = silentLog) => {
    const listener = await tcp(resolver, log)
    return { listener, client: await tcpClient(listener.endpoint) }
  },
  dot: async (resolver: Resolver, log = silentLog) => {
    const listener = await dot(resolver, log)
    return { listener, client: await tlsClient(listener.endpoint) }
  },
}

describe.each(['tcp', 'dot'] as const)('%s', (transport) => {
  const open = TRANSPORTS[transport]

  it('answers, many on one connection, and knows its client', async () => {
    const seen: Query[] = []
    const { client } = await open(resolverOf((query) => (seen.push(query), answering(query))))
    for (let id = 1; id < 4; id++)
      expect(MessageView.over(await client.ask(queryWire('a.example', TYPE.A, { id })))?.id).toBe(id)
    expect(seen[0]?.client).toEqual({ address: '127.0.0.1', transport })
  })

  it('DOT-1: two queries in one segment, slow one first: the fast answer comes first', async () => {
    let deliver = (): void => {}
    const { client } = await open(
      resolverOf((query) =>
        query.view.questionName === 'slow.example'
          ? new Promise((resolve) => (deliver = () => resolve(answering(query))))
          : answering(query),
      ),
    )
    client.send(queryWire('slow.example', TYPE.A, { id: 1 }), queryWire('fast.example', TYPE.A, { id: 2 }))
    expect(MessageView.over(await client.next())?.id).toBe(2)
    deliver()
    expect(MessageView.over(await client.next())?.id).toBe(1)
  })

  it('DOT-3: a query split into single octets is answered', async () => {
    const { client } = await open(resolverOf(answering))
    client.socket.setNoDelay(true)
    for (const octet of frameOf(queryWire('a.example', TYPE.A, { id: 3 }))) {
      client.socket.write(Buffer.of(octet))
      await settle()
    }
    expect(MessageView.over(await client.next())?.id).toBe(3)
  })

  it('DOT-4: keepalive is announced to who asks for it', async () => {
    const { client } = await open(resolverOf(answering))
    const options = [{ code: EDNS_OPTION.TCP_KEEPALIVE, data: new Uint8Array(0) }]
    const reply = await client.ask(
      queryWire('a.example', TYPE.A, { edns: { udpSize: 1232, version: 0, dnssecOk: false, options } }),
    )
    expect(parseMessage(reply)?.edns?.options).toEqual([
      { code: EDNS_OPTION.TCP_KEEPALIVE, data: Uint8Array.of(0x01, 0x2c) },
    ])
  })

  it('PAD-1: padding only when encrypted', async () => {
    const { client } = await open(resolverOf(answering))
    const options = [{ code: EDNS_OPTION.PADDING, data: new Uint8Array(4) }]
    const reply = await client.ask(
      queryWire('a.example', TYPE.A, { edns: { udpSize: 1232, version: 0, dnssecOk: false, options } }),
    )
    expect(reply.length === 468).toBe(transport === 'dot')
  })

  it('sends a large answer whole, whatever size the client gives for UDP', async () => {
    const many = Array.from({ length: 500 }, (_, index) => `192.0.${index >> 8}.${index & 255}`)
    const { client } = await open(
      resolverOf(({ view }) => answerOf(responseWire(view.wire, many), 'test', 'unauthenticated')),
    )
    const edns = { udpSize: 512, version: 0, dnssecOk: false, options: [] }
    const reply = parseMessage(await client.ask(queryWire('a.example', TYPE.A, { edns })))
    expect(reply).toMatchObject({ truncated: false })
    expect(reply?.answers.length).toBe(500)
  })

  it.each([
    [
      'thrown',
      () => {
        throw new TypeError('x is not a function')
      },
    ],
    ['rejected', () => Promise.reject(new TypeError('x is not a function'))],
  ] as const)('a bug in the resolver, %s, ends that question only: SERVFAIL', async (_, fail) => {
    const { log, lines } = recordingLog()
    const { client } = await open(
      resolverOf((query) => (query.view.questionName === 'bug.example' ? fail() : answering(query))),
      log,
    )
    client.send(queryWire('a.example', TYPE.A, { id: 1 }), queryWire('bug.example', TYPE.A, { id: 2 }))
    const replies = [parseMessage(await client.next()), parseMessage(await client.next())]
    expect(replies).toMatchObject([
      { id: 1, rcode: RCODE.NOERROR },
      { id: 2, rcode: RCODE.SERVFAIL },
    ])
    expect(parseMessage(await client.ask(queryWire('b.example', TYPE.A, { id: 3 })))?.id).toBe(3)
    expect(lines).toMatchObject([{ level: 'error', reason: 'x is not a function' }])
  })

  it('a drop closes the connection', async () => {
    const { client } = await open(resolverOf(() => ({ kind: 'drop', reason: 'not-allowed' })))
    client.send(queryWire('a.example'))
    await within('the end of the connection', client.closed)
  })

  it('a connection that breaks the framing is closed, also when its client goes on sending', async () => {
    const { client } = await open(resolverOf(answering))
    client.socket.write(Buffer.of(0, 3, 1, 2, 3))
    await within('the end of the answers', client.ended)
    client.socket.write(Buffer.of(0))
    await within('the end of the connection', client.closed)
  })

  it('a client that closes its side is given what it is owed', async () => {
    let deliver = (): void => {}
    const resolver = resolverOf((query) => new Promise((resolve) => (deliver = () => resolve(answering(query)))))
    const { client } = await open(resolver)
    client.socket.end(frameOf(queryWire('a.example', TYPE.A, { id: 5 })))
    await untilAsked(resolver, 1)
    await settle()
    deliver()
    expect(MessageView.over(await client.next())?.id).toBe(5)
    await within('the end of the connection', client.closed)
  })

  describe('stop', () => {
    it('lets open answers out and takes no new work', async () => {
      let deliver = (): void => {}
      const resolver = resolverOf((query) => new Promise((resolve) => (deliver = () => resolve(answering(query)))))
      const { listener, client } = await open(resolver)
      client.send(queryWire('a.example', TYPE.A, { id: 1 }))
      await untilAsked(resolver, 1)
      const stopped = listener.stop(5_000)
      client.send(queryWire('b.example', TYPE.A, { id: 2 }))
      await settle()
      deliver()
      expect(MessageView.over(await client.next())?.id).toBe(1)
      await within('the stop', stopped, 2_000)
      await within('the end of the connection', client.closed)
      expect(resolver.asked).toBe(1)
    })

    it('does not wait for idle connections', async () => {
      const { listener, client } = await open(resolverOf(answering))
      await client.ask(queryWire('a.example'))
      await within('the stop', listener.stop(5_000), 1_000)
      await within('the end of the connection', client.closed)
    })

    it('waits for the time of grace and no longer', async () => {
      const resolver = resolverOf(() => new Promise(() => {}))
      const { listener, client } = await open(resolver)
      client.send(queryWire('a.example'))
      await untilAsked(resolver, 1)
      await within('the stop', listener.stop(30), 1_000)
    })

    it('leaves no timer behind', async () => {
      const clock = new ManualClock()
      const listener =
        transport === 'tcp'
          ? tcpListener(LOOPBACK, { clock, log: silentLog })
          : dotListener(LOOPBACK, await authority.material(), { clock, log: silentLog })
      await listener.start(resolverOf(answering))
      await listener.stop(60_000)
      await settle()
      expect(clock.sleeping).toBe(0)
    })
  })

  it('a port in use is Fault PORT_IN_USE', async () => {
    const { listener } = await open(resolverOf(answering))
    const second =
      transport === 'tcp'
        ? tcpListener(listener.endpoint, { clock: systemClock, log: silentLog })
        : dotListener(listener.endpoint, await authority.material(), { clock: systemClock, log: silentLog })
    await expect(second.start(resolverOf(answering))).rejects.toMatchObject({ code: 'PORT_IN_USE' })
  })
})

it('the signal of a question is aborted when its client has gone', async () => {
  const signals: AbortSignal[] = []
  const resolver = resolverOf((_query, signal) => (signals.push(signal), new Promise(() => {})))
  const client = await tcpClient((await tcp(resolver)).endpoint)
  client.send(queryWire('a.example'))
  await untilAsked(resolver, 1)
  client.socket.resetAndDestroy()
  if (!signals[0]!.aborted) await within('the signal', once(signals[0]!, 'abort'))
})

describe('dot handshakes', () => {
  it.each([
    ['DOT-5: no ALPN', {}, false],
    ['DOT-5: ALPN dot', { ALPNProtocols: ['dot'] }, 'dot'],
    ['DOT-5: ALPN dot among others', { ALPNProtocols: ['h2', 'dot'] }, 'dot'],
  ] as const)('%s is served', async (_, options, alpn) => {
    const { endpoint } = await dot(resolverOf(answering))
    const client = await tlsClient(
      endpoint,
      'ALPNProtocols' in options ? { ALPNProtocols: [...options.ALPNProtocols] } : {},
    )
    expect((client.socket as TLSSocket).alpnProtocol).toBe(alpn)
    expect((await client.ask(queryWire('a.example'))).length).toBeGreaterThan(12)
  })

  it('DOT-5: foreign ALPN only gets alert no_application_protocol', async () => {
    const { endpoint } = await dot(resolverOf(answering))
    await expect(tlsSocket(endpoint, { ALPNProtocols: ['h2', 'http/1.1'] })).rejects.toMatchObject({
      code: expect.stringMatching(/NO_APPLICATION_PROTOCOL/),
    })
  })

  it.each([
    ['without SNI', {}],
    ['with our name', { servername: 'dns.test' }],
    ['with any other name', { servername: 'other.test' }],
  ])('DDR-4: %s the same certificate is shown', async (_, options) => {
    const { endpoint } = await dot(resolverOf(answering))
    const socket = await tlsSocket(endpoint, options)
    expect(socket.getPeerCertificate().subjectaltname).toBe('DNS:dns.test')
  })

  it('the whole chain is sent: a client that knows the root believes it', async () => {
    const { endpoint } = await dot(resolverOf(answering))
    const socket = await tlsSocket(endpoint, {
      servername: 'dns.test',
      ca: authority.rootPem,
      rejectUnauthorized: true,
    })
    expect(socket.authorized).toBe(true)
    expect(socket.getProtocol()).toBe('TLSv1.3')
  })

  it('TLS 1.2 is served, 1.1 is not', async () => {
    const { endpoint } = await dot(resolverOf(answering))
    expect((await tlsSocket(endpoint, { maxVersion: 'TLSv1.2' })).getProtocol()).toBe('TLSv1.2')
    await expect(tlsSocket(endpoint, { minVersion: 'TLSv1', maxVersion: 'TLSv1.1' })).rejects.toThrow()
  })

  it('plain DNS on the port gets no plain answer', async () => {
    const { endpoint } = await dot(resolverOf(answering))
    const client = await tcpClient(endpoint)
    client.send(queryWire('a.example'))
    await within('the end of the connection', client.closed)
    expect(client.messages).toEqual([])
  })

  it('a new certificate: open connections live on, new ones see it', async () => {
    const listener = await dot(resolverOf(answering))
    const before = await tlsClient(listener.endpoint)
    const material = await authority.material({ dnsNames: ['new.test'] })
    listener.setMaterial(material)
    expect(listener.material).toBe(material)
    expect((await before.ask(queryWire('a.example'))).length).toBeGreaterThan(12)
    const after = await tlsSocket(listener.endpoint)
    expect(after.getPeerCertificate().subjectaltname).toBe('DNS:new.test')
  })

  it('a certificate for another key is refused and the old one stays', async () => {
    const listener = await dot(resolverOf(answering))
    const { material } = listener
    const { keyPem } = await authority.material()
    const { chainPem } = await authority.material({ dnsNames: ['new.test'] })
    expect(() => listener.setMaterial({ keyPem, chainPem })).toThrow(
      expect.objectContaining({ code: 'CERT_KEY_MISMATCH' }),
    )
    expect(listener.material).toBe(material)
    expect((await tlsSocket(listener.endpoint)).getPeerCertificate().subjectaltname).toBe('DNS:dns.test')
  })

  it('stop does not wait for a handshake that never comes', async () => {
    const { endpoint, stop } = await dot(resolverOf(answering))
    const silent = connect(endpoint)
    onTestFinished(() => void silent.destroy())
    silent.on('error', () => {})
    await once(silent, 'connect')
    await settle()
    await within('the stop', stop(30), 1_000)
  })

  it('a client that breaks off its handshake does no harm', async () => {
    const { endpoint } = await dot(resolverOf(answering))
    for (const bytes of ['', 'GET / HTTP/1.1\r\n\r\n', '\x16\x03\x01\x00\x05hello']) {
      const socket = connect(endpoint)
      socket.on('error', () => {})
      await once(socket, 'connect')
      socket.end(bytes, 'latin1')
      onTestFinished(() => void socket.destroy())
    }
    const half = connectTls({ ...endpoint, rejectUnauthorized: false })
    half.on('error', () => {})
    half.once('connect', () => half.destroy())
    await within('the end of the connection', once(half, 'close'))
    expect((await (await tlsClient(endpoint)).ask(queryWire('a.example'))).length).toBeGreaterThan(12)
  })
})

describe('the number of connections', () => {
  it('is bounded for each client', async () => {
    const { endpoint } = await tcp(resolverOf(answering))
    const clients: StreamClient[] = []
    for (let index = 0; index < 1024; index++) clients.push(await tcpClient(endpoint))
    const oneTooMany = await tcpClient(endpoint)
    await within('the refusal', oneTooMany.closed)
    clients[0]!.socket.destroy()
    const admitted = async (): Promise<boolean> => {
      const client = await tcpClient(endpoint)
      return client.ask(queryWire('a.example')).then(
        () => true,
        () => false,
      )
    }
    await within(
      'a free place',
      (async () => {
        while (!(await admitted())) await settle()
      })(),
    )
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
