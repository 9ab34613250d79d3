import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createSecureServer, type ServerHttp2Stream } from 'node:http2'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, expect, it, onTestFinished } from 'vitest'
import { systemClock } from '../../src/core/clock.ts'
import { RCODE } from '../../src/dns/codes.ts'
import { readExtendedErrors } from '../../src/dns/edns.ts'
import { parseMessage } from '../../src/dns/message.ts'
import { MessageView } from '../../src/dns/view.ts'
import { type Endpoint, endpointText, listenOn } from '../../src/net/bind.ts'
import type { TlsMaterial } from '../../src/net/tls.ts'
import { loadRouterConfig } from '../../src/router/config.ts'
import { derivePresence } from '../../src/router/discovery/derive.ts'
import { udpListener } from '../../src/router/listen/udp.ts'
import { createResolving } from '../../src/router/resolving.ts'
import { BROKEN, cutAnswer, drip, FORGED, RIGHT, rightAnswer, STRANGERS } from '../support/faulty-upstream.ts'
import { silentLog } from '../support/log.ts'
import { queryWire, responseWire } from '../support/query.ts'
import { writeRouterSettings } from '../support/router-settings.ts'
import {
  closeAfterTest,
  closedPort,
  LOOPBACK,
  plainServer,
  streamServer,
  udpClient,
  udpServer,
} from '../support/sockets.ts'
import { TestAuthority } from '../support/tls.ts'

/**
 * What a client is told when an upstream is at fault, in whatever way: through a UDP listener, all layers of a settings
 * file and a real connection. One question each, and they are asked side by side, because silence takes its five seconds.
 */

/** No reachable authority: nobody said anything. Network error: somebody is wrong. (RFC 8914 §4.23, §4.24) */
const SILENT = 22
const WRONG = 23
const ANSWER_MS_MAX = 5_000
/** What a busy machine may add. */
const SLACK_MS = 3_000
/** Everything but silence shows itself long before. */
const AT_ONCE_MS = 2_500

interface Upstream {
  readonly url: string
  /** Octets that came to it in clear, where nothing of a question may be among them. */
  readonly read?: Buffer[]
}
type Told = 'answer' | typeof SILENT | typeof WRONG
type Case = readonly [told: Told, open: () => Promise<Upstream>]
type Reply = (wire: Uint8Array) => void

let authority: TestAuthority
let material: TlsMaterial
beforeAll(async () => {
  authority = await TestAuthority.create()
  material = await authority.material()
})

const udp = (answer: (wire: Uint8Array, reply: Reply) => void) => async (): Promise<Upstream> => ({
  url: `udp://${endpointText((await udpServer(answer)).endpoint)}`,
})
const stream =
  (scheme: 'tcp' | 'tls', answer: (wire: Uint8Array, reply: Reply, socket: Socket, asked: number) => void) =>
  async (): Promise<Upstream> => {
    let asked = 0
    const { endpoint } = await streamServer(
      (wire, reply, socket) => answer(wire, reply, socket, asked++),
      scheme === 'tls' ? { material } : {},
    )
    return { url: urlOf(scheme, endpoint) }
  }
const urlOf = (scheme: 'tcp' | 'tls' | 'https', endpoint: Endpoint, name = 'dns.test'): string => {
  if (scheme === 'tcp') return `tcp://${endpointText(endpoint)}`
  return `${scheme}://${endpointText(endpoint)}${scheme === 'https' ? '/dns-query' : ''}#${name}`
}

/** TCP of our own making, where TLS was to be. */
const raw = (serve: (socket: Socket) => void) => async (): Promise<Upstream> => {
  const read: Buffer[] = []
  const server = createServer((socket) => {
    socket.on('data', (chunk) => read.push(chunk))
    serve(socket)
  })
  return { url: urlOf('tls', await opened(server)), read }
}
async function opened(server: Server): Promise<Endpoint> {
  const endpoint = await listenOn(server, LOOPBACK)
  closeAfterTest(server)
  return endpoint
}

const doh = (answer: (wire: Buffer, stream: ServerHttp2Stream) => void) => async (): Promise<Upstream> => {
  const server = createSecureServer({ key: material.keyPem, cert: material.chainPem })
  server.on('sessionError', () => {})
  server.on('stream', (stream) => {
    const chunks: Buffer[] = []
    stream.on('error', () => {})
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.on('end', () => answer(Buffer.concat(chunks), stream))
  })
  return { url: urlOf('https', await opened(server)) }
}
const respond = (stream: ServerHttp2Stream, status: number, type: string, body: Uint8Array): void => {
  stream.respond({ ':status': status, 'content-type': type })
  stream.end(body)
}
const DNS_MESSAGE = 'application/dns-message'

/** A certificate that is wrong; the name that is expected may be too. */
const untrusted = (made: () => Promise<TlsMaterial>, name?: string) => async (): Promise<Upstream> => {
  const { endpoint } = await streamServer((wire, reply) => reply(responseWire(wire, [FORGED])), {
    material: await made(),
  })
  return { url: urlOf('tls', endpoint, name) }
}

/** From another port, and then from the right one, if at all. */
const fromAnotherPort = (isAnswered: boolean) => async (): Promise<Upstream> => {
  const other = createSocket('udp4')
  other.bind(0, '127.0.0.1')
  await once(other, 'listening')
  const server = createSocket('udp4')
  onTestFinished(() => void [other.close(), server.close()])
  server.on('message', (wire, { port, address }) => {
    other.send(responseWire(wire, [FORGED]), port, address, () => {
      if (isAnswered) server.send(rightAnswer(wire), port, address)
    })
  })
  server.bind(0, '127.0.0.1')
  await once(server, 'listening')
  return { url: `udp://127.0.0.1:${server.address().port}` }
}

const DAY_MS = 86_400_000
const FAULTS: Readonly<Record<string, Case>> = {
  ...cases('SEC-3: UDP, before the answer: ', STRANGERS, (forge) => [
    'answer',
    udp((wire, reply) => [forge(wire), rightAnswer(wire)].forEach((one) => reply(one))),
  ]),
  ...cases('UDP: ', STRANGERS, (forge) => [SILENT, udp((wire, reply) => reply(forge(wire)))]),
  ...cases('UDP: ', BROKEN, (broken) => [WRONG, udp((wire, reply) => reply(broken(wire)))]),
  'SEC-3: UDP, before the answer: from another port': ['answer', fromAnotherPort(true)],
  'UDP: from another port': [SILENT, fromAnotherPort(false)],
  'UDP: silence': [SILENT, udp(() => {})],
  'UDP: a closed port': [WRONG, async () => ({ url: `udp://127.0.0.1:${await closedPort()}` })],
  'UDP: cut, and no TCP': [WRONG, udp((wire, reply) => reply(cutAnswer(wire)))],
  'FWD-2: UDP: cut, and whole over TCP': [
    'answer',
    async () => {
      const { tcp } = await plainServer(
        (wire, reply) => reply(rightAnswer(wire)),
        (wire, reply) => reply(cutAnswer(wire)),
      )
      return { url: `udp://${endpointText(tcp.endpoint)}` }
    },
  ],
  ...ofStreams('tcp'),
  ...ofStreams('tls'),
  'UP-1: TLS: another name': [WRONG, untrusted(() => authority.material(), 'other.test')],
  'UP-1: TLS: expired': [WRONG, untrusted(() => authority.material({ notAfterMs: Date.now() - DAY_MS / 2 }))],
  'UP-1: TLS: not valid yet': [WRONG, untrusted(() => authority.material({ notBeforeMs: Date.now() + DAY_MS / 2 }))],
  'UP-1: TLS: an unknown root': [WRONG, untrusted(async () => (await TestAuthority.create()).material())],
  'TLS: closed at once': [WRONG, raw((socket) => void socket.destroy())],
  'TLS: reset in the handshake': [WRONG, raw((socket) => void socket.once('data', () => socket.resetAndDestroy()))],
  'TLS: another protocol': [
    WRONG,
    raw((socket) => void socket.once('data', () => socket.write('HTTP/1.1 400 Bad\r\n\r\n'))),
  ],
  'TLS: no handshake': [SILENT, raw(() => {})],
  'TLS: a foreign ALPN': [
    WRONG,
    async () => ({ url: urlOf('tls', (await streamServer(() => {}, { material, alpn: ['h2'] })).endpoint) }),
  ],
  'HTTPS: silence': [SILENT, doh(() => {})],
  'HTTPS: 500': [WRONG, doh((wire, stream) => respond(stream, 500, DNS_MESSAGE, rightAnswer(wire)))],
  'HTTPS: another type': [WRONG, doh((wire, stream) => respond(stream, 200, 'text/html', rightAnswer(wire)))],
  'HTTPS: garbage': [WRONG, doh((_, stream) => respond(stream, 200, DNS_MESSAGE, Buffer.alloc(40, 0xff)))],
  'HTTPS: another question': [
    WRONG,
    doh((_, stream) => respond(stream, 200, DNS_MESSAGE, responseWire(queryWire('other.example'), [FORGED]))),
  ],
  'HTTPS: the stream is reset': [WRONG, doh((_, stream) => stream.close(2))],
  'HTTPS: the connection is closed': [WRONG, doh((_, stream) => stream.session?.destroy())],
  ...cases('HTTPS: ', BROKEN, (broken) => [
    WRONG,
    doh((wire, stream) => respond(stream, 200, DNS_MESSAGE, broken(wire))),
  ]),
}

function ofStreams(scheme: 'tcp' | 'tls'): Record<string, Case> {
  const name = scheme.toUpperCase()
  return {
    ...cases(`${name}, before the answer: `, STRANGERS, (forge) => [
      'answer',
      stream(scheme, (wire, reply) => [forge(wire), rightAnswer(wire)].forEach((one) => reply(one))),
    ]),
    ...cases(`${name}: `, BROKEN, (broken) => [WRONG, stream(scheme, (wire, reply) => reply(broken(wire)))]),
    [`${name}: cut, where there is room`]: [WRONG, stream(scheme, (wire, reply) => reply(cutAnswer(wire)))],
    [`${name}: silence`]: [SILENT, stream(scheme, () => {})],
    [`${name}: a slow drip`]: ['answer', stream(scheme, (wire, _, socket) => void drip(socket, rightAnswer(wire)))],
    [`${name}: half a frame`]: [
      SILENT,
      stream(scheme, (_wire, _reply, socket) => socket.write(Buffer.of(0xff, 0xff, 1))),
    ],
    [`${name}: no frames`]: [WRONG, stream(scheme, (_wire, _reply, socket) => socket.write('\0\x05HTTP/1.1 400'))],
    [`${name}: reset each time`]: [WRONG, stream(scheme, (_wire, _reply, socket) => void socket.destroy())],
    [`${name}: reset once`]: [
      'answer',
      stream(scheme, (wire, reply, socket, asked) => (asked === 0 ? socket.destroy() : reply(rightAnswer(wire)))),
    ],
  }
}

function cases<T>(prefix: string, table: Readonly<Record<string, T>>, make: (one: T) => Case): Record<string, Case> {
  return Object.fromEntries(Object.entries(table).map(([name, one]) => [prefix + name, make(one)]))
}

interface Outcome {
  readonly rcode: number
  readonly codes: readonly number[]
  readonly addresses: readonly unknown[]
  readonly tookMs: number
}

/** One router with this upstream; one question to its UDP listener. */
async function askThrough({ url }: Upstream, directory: string): Promise<Outcome> {
  const file = await writeRouterSettings(
    await mkdtemp(join(directory, 'router-')),
    `access: { allow: [127.0.0.0/8] }
upstreams: [{ url: "${url}"${/^(tls|https):/.test(url) ? ', trust: ../root.pem' : ''} }]
state: .
`,
  )
  const config = await loadRouterConfig(file)
  const presence = derivePresence({ name: config.identity.name, ...config.advertise }, [], undefined)
  const context = { clock: systemClock, log: silentLog, presence: () => presence, isClockTrusted: () => true }
  const resolving = await createResolving(config, context)
  onTestFinished(() => resolving.stop())
  const listener = udpListener(LOOPBACK, { clock: systemClock, log: silentLog })
  await listener.start(resolving.resolver)
  onTestFinished(() => listener.stop(0))
  const client = await udpClient(listener.endpoint, ANSWER_MS_MAX + SLACK_MS)
  const startMs = performance.now()
  client.send(queryWire('a.example', 1, { edns: { udpSize: 1232, version: 0, dnssecOk: false, options: [] } }))
  const wire = await client.next()
  const { edns } = MessageView.over(wire)!
  return {
    rcode: wire[3]! & 0x0f,
    codes: edns ? readExtendedErrors(edns).map(({ code }) => code) : [],
    addresses: parseMessage(wire)!.answers.map(({ data }) => (data as { address: string }).address),
    tookMs: performance.now() - startMs,
  }
}

it('SEC-3, UP-1: every fault of an upstream is the right rcode and extended error, in time', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'hearth-faults-'))
  onTestFinished(() => rm(directory, { recursive: true }))
  await writeFile(join(directory, 'root.pem'), authority.rootPem)
  const judged = Object.entries(FAULTS).map(async ([name, [told, open]]) => {
    const upstream = await open()
    const { tookMs, ...outcome } = await askThrough(upstream, directory)
    const isInTime = tookMs < (told === SILENT ? ANSWER_MS_MAX + SLACK_MS : AT_ONCE_MS + SLACK_MS)
    const leaked = Buffer.concat(upstream.read ?? []).includes('example')
    return [name, told, { ...outcome, isInTime, leaked }] as const
  })
  const results = await Promise.all(judged)
  const expected = results.map(([name, told]) => {
    const answered = { rcode: RCODE.NOERROR, codes: [], addresses: [RIGHT] }
    const failed = { rcode: RCODE.SERVFAIL, codes: [told], addresses: [] }
    return [name, { ...(told === 'answer' ? answered : failed), isInTime: true, leaked: false }]
  })
  expect(Object.fromEntries(results.map(([name, , outcome]) => [name, outcome]))).toEqual(Object.fromEntries(expected))
  expect(results.length).toBeGreaterThan(50)
}, 60_000)
