import { once } from 'node:events'
import { connect, Socket } from 'node:net'
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { systemClock } from '../../../src/core/clock.ts'
import { buildAnswer } from '../../../src/dns/build.ts'
import { EDNS_OPTION, RCODE, TYPE } from '../../../src/dns/codes.ts'
import { frameOf } from '../../../src/dns/frame.ts'
import { parseMessage } from '../../../src/dns/message.ts'
import { MessageView } from '../../../src/dns/view.ts'
import type { Endpoint } from '../../../src/net/bind.ts'
import type { EncryptedListener, Listener, ListenerContext } from '../../../src/router/listen/listener.ts'
import { dotListener, tcpListener } from '../../../src/router/listen/tcp.ts'
import type { Outcome, Query, Resolver } from '../../../src/router/resolve/resolver.ts'
import { answerOf } from '../../../src/router/upstream/wire.ts'
import { recordingLog, silentLog } from '../../support/log.ts'
import { ManualClock, settle } from '../../support/manual-clock.ts'
import { queryWire, resolverOf, responseWire } from '../../support/query.ts'
import { LOOPBACK, StreamClient, tcpClient, tlsClient, tlsSocket, wiretap, within } from '../../support/sockets.ts'
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

const tcp = (resolver: Resolver, log = silentLog, more: Partial<ListenerContext> = {}): Promise<Listener> =>
  started(tcpListener(LOOPBACK, { clock: systemClock, log, ...more }), resolver)

const dot = async (
  resolver: Resolver,
  log = silentLog,
  more: Partial<ListenerContext> = {},
): Promise<EncryptedListener> =>
  started(dotListener(LOOPBACK, await authority.material(), { clock: systemClock, log, ...more }), resolver)

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

    it('frees the port at once', async () => {
      const resolver = resolverOf(answering)
      const { listener, client } = await open(resolver)
      await client.ask(queryWire('a.example'))
      await listener.stop(5_000)
      const next =
        transport === 'tcp'
          ? tcpListener(listener.endpoint, { clock: systemClock, log: silentLog })
          : dotListener(listener.endpoint, await authority.material(), { clock: systemClock, log: silentLog })
      await started(next, resolver)
      const again = transport === 'tcp' ? await tcpClient(next.endpoint) : await tlsClient(next.endpoint)
      expect(MessageView.over(await again.ask(queryWire('a.example', TYPE.A, { id: 8 })))?.id).toBe(8)
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

  it('stop does not wait for a handshake that never comes, not even its time of grace', async () => {
    const { endpoint, stop } = await dot(resolverOf(answering))
    const silent = connect(endpoint)
    onTestFinished(() => void silent.destroy())
    silent.on('error', () => {})
    await once(silent, 'connect')
    await settle()
    await within('the stop', stop(10_000), 1_000)
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

  const bounded = (max: number, maxPerClient: number) => ({ connections: () => ({ max, maxPerClient }) })
  const from = async (localAddress: string, to: Endpoint): Promise<StreamClient> => {
    const socket = connect({ ...to, localAddress })
    await once(socket, 'connect')
    return new StreamClient(socket)
  }

  it('when all places are taken, the oldest idle connection of whoever has most is ended for somebody else', async () => {
    const resolver = resolverOf((query) =>
      query.view.questionName === 'slow.example' ? new Promise(() => {}) : answering(query),
    )
    const { endpoint } = await tcp(resolver, silentLog, bounded(3, 3))
    const asking = await from('127.0.0.1', endpoint)
    asking.send(queryWire('slow.example'))
    await untilAsked(resolver, 1)
    const idle = [await from('127.0.0.1', endpoint), await from('127.0.0.1', endpoint)]
    for (const client of idle) await client.ask(queryWire('a.example'))
    const refused = await from('127.0.0.1', endpoint)
    await within('the refusal', refused.closed)
    const other = await from('127.0.0.2', endpoint)
    expect((await other.ask(queryWire('a.example'))).length).toBeGreaterThan(12)
    await within('the end of an idle one', idle[0]!.closed)
    expect([asking.socket.closed, idle[1]!.socket.closed]).toEqual([false, false])
  })

  it('handshakes under way take places too, and give them up', async () => {
    const { endpoint } = await dot(resolverOf(answering), silentLog, bounded(2, 2))
    const silent = [await from('127.0.0.1', endpoint), await from('127.0.0.1', endpoint)]
    const refused = await from('127.0.0.1', endpoint)
    await within('the refusal', refused.closed)
    const other = await tlsClient(endpoint, { localAddress: '127.0.0.2' } as ConnectionOptions)
    expect((await other.ask(queryWire('a.example'))).length).toBeGreaterThan(12)
    await within('the end of the first handshake', silent[0]!.closed)
  })

  it('new bounds hold without a new listener', async () => {
    let max = 16
    const { endpoint } = await tcp(resolverOf(answering), silentLog, {
      connections: () => ({ max, maxPerClient: max }),
    })
    const first = await from('127.0.0.1', endpoint)
    await first.ask(queryWire('a.example'))
    max = 1
    await within('the refusal', (await from('127.0.0.1', endpoint)).closed)
    expect((await first.ask(queryWire('a.example'))).length).toBeGreaterThan(12)
  })
})

describe('SEC-1: who may not connect', () => {
  const admit = (address: string): boolean => address !== '127.0.0.2'

  it('is closed on DoT before any TLS work', async () => {
    const { endpoint } = await dot(resolverOf(answering), silentLog, { admit })
    const socket = connect({ ...endpoint, localAddress: '127.0.0.2' })
    const received: Buffer[] = []
    socket.on('error', () => {}).on('data', (chunk) => received.push(chunk))
    await within('the end of the connection', once(socket, 'close'))
    expect(received).toEqual([])
    expect((await (await tlsClient(endpoint)).ask(queryWire('a.example'))).length).toBeGreaterThan(12)
  })

  it('is left to the guard on TCP, which refuses', async () => {
    const resolver = resolverOf(answering)
    const { endpoint } = await tcp(resolver, silentLog, { admit })
    const socket = connect({ ...endpoint, localAddress: '127.0.0.2' })
    await once(socket, 'connect')
    await new StreamClient(socket).ask(queryWire('a.example'))
    expect(resolver.asked).toBe(1)
  })
})

describe('on the wire', () => {
  /** Types of the TLS records, which are readable whatever is in them. */
  const recordTypes = (bytes: Buffer): number[] => {
    const types: number[] = []
    for (let at = 0; at + 5 <= bytes.length; at += 5 + bytes.readUInt16BE(at + 3)) types.push(bytes[at]!)
    return types
  }
  const [ALERT, APPLICATION_DATA] = [21, 23]

  it('DOT-2: length and message are one TLS record', async () => {
    const { endpoint } = await dot(resolverOf(answering))
    const tap = await wiretap(endpoint)
    const client = await tlsClient(tap.endpoint)
    await client.ask(queryWire('a.example')) // the tickets are there, too
    for (let id = 1; id < 5; id++) {
      tap.forget()
      await client.ask(queryWire('a.example', TYPE.A, { id }))
      expect(recordTypes(tap.sent())).toEqual([APPLICATION_DATA])
    }
  })

  it.each([
    ['after 10 s', [], 100],
    ['after the 30 s that were announced', [{ code: EDNS_OPTION.TCP_KEEPALIVE, data: new Uint8Array(0) }], 300],
  ] as const)('DOT-6: an idle connection is closed %s, with close_notify', async (_, options, idleMs) => {
    // A hundred times as fast.
    const { setTimeout } = Socket.prototype
    vi.spyOn(Socket.prototype, 'setTimeout').mockImplementation(function (this: Socket, ms, ...rest) {
      return setTimeout.call(this, ms / 100, ...rest)
    })
    onTestFinished(() => void vi.restoreAllMocks())
    const { endpoint } = await dot(resolverOf(answering))
    const tap = await wiretap(endpoint)
    const client = await tlsClient(tap.endpoint, { maxVersion: 'TLSv1.2' }) // in 1.3 an alert looks like data
    await client.ask(queryWire('a.example', TYPE.A, { edns: { udpSize: 1232, version: 0, dnssecOk: false, options } }))
    const sinceMs = performance.now()
    tap.forget()
    await within('the end of the connection', client.ended)
    expect(performance.now() - sinceMs).toBeGreaterThan(idleMs - 20)
    expect(recordTypes(tap.sent())).toEqual([ALERT])
    await within('the close', client.closed)
  })

  it('an octet a second is no sign of life: the connection is closed five seconds after the message began', async () => {
    const clock = new ManualClock()
    await clock.advance(1)
    const listener = await started(
      dotListener(LOOPBACK, await authority.material(), { clock, log: silentLog }),
      resolverOf(answering),
    )
    const client = await tlsClient(listener.endpoint)
    client.socket.write(Buffer.of(0))
    await settle()
    const begun = performance.now()
    while (clock.sleeping === 0 && performance.now() - begun < 50) await settle()
    await clock.advance(5_000)
    client.socket.write(Buffer.of(40))
    await within('the end of the connection', client.closed) // the listener looks every second
  })
})

describe('many', () => {
  it('DOT-1: 200 connections with 50 questions each: every answer is the right one', async () => {
    // The address says whose question it was. Every third one is answered later, so that answers overtake each other.
    const resolver = resolverOf(({ view }) => {
      const [, of, id] = /^host-(\d+)-(\d+)/.exec(view.questionName)!
      const data = { address: `10.0.${Number(of)}.${Number(id)}` }
      const answers = [{ name: view.questionName, type: TYPE.A, ttl: 300, rdata: data }]
      const wire = buildAnswer(view, { rcode: RCODE.NOERROR, authoritative: false, answers })
      const outcome: Outcome = { kind: 'answer', wire, from: 'test' }
      return view.id % 3 === 0 ? settle().then(() => outcome) : outcome
    })
    const { endpoint } = await dot(resolver)
    const clients = await Promise.all(Array.from({ length: 200 }, () => tlsClient(endpoint)))
    const template = Buffer.from(queryWire('host-000-00.example'))
    const digitsAt = template.indexOf('000-00')
    const question = (of: number, id: number): Buffer => {
      const wire = Buffer.from(template)
      wire.write(`${String(of).padStart(3, '0')}-${String(id).padStart(2, '0')}`, digitsAt)
      wire.writeUInt16BE(id, 0)
      return wire
    }
    await Promise.all(
      clients.map(async (client, of) => {
        client.send(...Array.from({ length: 50 }, (_, id) => question(of, id)))
        // Compared by hand: 10,000 times `expect` would take longer than everything else.
        const right = new Set<number>()
        for (let count = 0; count < 50; count++) {
          const answer = Buffer.from(await client.next())
          const id = answer.readUInt16BE(0)
          const isSame = answer.subarray(12, template.length).equals(question(of, id).subarray(12))
          if (isSame && answer.subarray(-4).equals(Buffer.of(10, 0, of, id))) right.add(id)
        }
        expect(right.size).toBe(50)
      }),
    )
    expect(resolver.asked).toBe(10_000)
  })

  it('resets at every stage of a connection leave nothing behind', async () => {
    const waiting = new Set<AbortSignal>()
    const resolver = resolverOf((_query, signal) => (waiting.add(signal), new Promise(() => {})))
    const { endpoint } = await dot(resolver)
    const before = openSockets()
    for (let round = 0; round < 10; round++) {
      const sockets = await Promise.all(
        Array.from({ length: 30 }, async (_, index) => {
          const raw = await rawSocket(endpoint)
          if (index % 3 === 0) return raw
          const tls = connectTls({ socket: raw, rejectUnauthorized: false })
          tls.on('error', () => {})
          await once(tls, 'secureConnect')
          tls.write(index % 3 === 1 ? frameOf(queryWire('a.example')) : Buffer.of(0, 40, 1))
          return raw
        }),
      )
      await within('the questions', untilAsked(resolver, 10 * (round + 1)))
      for (const socket of sockets) socket.resetAndDestroy()
    }
    await within('the end of all connections', untilOpen(before))
    expect(waiting.size).toBe(100)
    expect([...waiting].every(({ aborted }) => aborted)).toBe(true)
  })

  it.each([
    ['tcp', tcp],
    ['dot', dot],
  ] as const)(
    'connections that send nothing leave nothing behind: %s',
    async (_, listen) => {
      const { endpoint } = await listen(resolverOf(answering))
      const before = openSockets()
      const heapAfterVisit = async (): Promise<number> => {
        const sockets = await Promise.all(Array.from({ length: 500 }, () => rawSocket(endpoint)))
        for (const socket of sockets) socket.destroy()
        await within('the end of all connections', untilOpen(before))
        return heapInUse()
      }
      const heaps: number[] = []
      for (let visit = 0; visit < 5; visit++) heaps.push(await heapAfterVisit())
      // What connections leave behind grows with every visit; code that is compiled meanwhile, in some of them.
      const growths = heaps.slice(1).map((heap, visit) => heap - heaps[visit]!)
      expect(Math.min(...growths)).toBeLessThan(500 * 100)
      const client = await rawSocket(endpoint)
      expect(client.closed).toBe(false)
      client.destroy()
    },
    60_000,
  )

  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const heapInUse = (): number => {
    collect()
    return process.memoryUsage().heapUsed
  }
  const openSockets = (): number => process.getActiveResourcesInfo().filter((kind) => kind === 'TCPSocketWrap').length
  const untilOpen = async (count: number): Promise<void> => {
    while (openSockets() > count) await settle()
  }
  const rawSocket = async (to: Endpoint): Promise<Socket> => {
    const socket = connect(to)
    socket.on('error', () => {})
    await once(socket, 'connect')
    return socket
  }
})

async function untilAsked(resolver: { readonly asked: number }, count: number): Promise<void> {
  await within(
    `question ${count}`,
    (async () => {
      while (resolver.asked < count) await settle()
    })(),
  )
}
