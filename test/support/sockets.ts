import { randomInt } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { connect as connectTcp, createServer, type Server, type Socket } from 'node:net'
import {
  type ConnectionOptions,
  connect as connectTls,
  createServer as createTlsServer,
  type TLSSocket,
} from 'node:tls'
import { onTestFinished } from 'vitest'
import { FrameReader, frameOf } from '../../src/dns/frame.ts'
import { type Endpoint, listenOn } from '../../src/net/bind.ts'
import type { TlsMaterial } from '../../src/net/tls.ts'

/** Clients and servers on loopback, as small as a test can have them. All are closed when the test is over. */

export const LOOPBACK: Endpoint = { host: '127.0.0.1', port: 0 }

/** Longer than anything on loopback takes, shorter than the patience of the test runner. */
const PATIENCE_MS = 20_000

/** Waits for a promise, with words for what did not happen. */
export async function within<T>(what: string, promise: Promise<T>, ms = PATIENCE_MS): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not in ${ms} ms`)), ms)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

/** Sends datagrams from one socket and hands out what comes back, in order. */
export async function udpClient(
  to: Endpoint,
  patienceMs = PATIENCE_MS,
): Promise<{ send(wire: Uint8Array): void; next(): Promise<Uint8Array>; received: Uint8Array[] }> {
  const socket = createSocket('udp4')
  onTestFinished(() => new Promise<void>((resolve) => void socket.close(resolve)))
  const received: Uint8Array[] = []
  let wake = (): void => {}
  socket.on('message', (wire) => {
    received.push(wire)
    wake()
  })
  socket.connect(to.port, to.host)
  await once(socket, 'connect')
  let taken = 0
  return {
    received,
    send: (wire) => socket.send(wire),
    async next() {
      if (received.length <= taken)
        await within('a datagram', new Promise<void>((resolve) => (wake = resolve)), patienceMs)
      return received[taken++]!
    },
  }
}

export async function askUdp(to: Endpoint, wire: Uint8Array): Promise<Uint8Array> {
  const client = await udpClient(to)
  client.send(wire)
  return client.next()
}

/** A framed connection: messages in, messages out. */
export class StreamClient {
  readonly socket: Socket
  readonly messages: Uint8Array[] = []
  /** Settles when the other side has said that it sends no more; rejects never. */
  readonly ended: Promise<void>
  readonly closed: Promise<void>
  readonly #reader = new FrameReader()
  #taken = 0
  #wake = (): void => {}

  constructor(socket: Socket) {
    this.socket = socket
    this.ended = new Promise((resolve) => socket.once('end', resolve))
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()))
    socket.on('error', () => {})
    socket.on('close', () => this.#wake())
    socket.on('data', (chunk) => {
      this.#reader.push(chunk)
      for (let wire = this.#reader.next(); wire; wire = this.#reader.next()) this.messages.push(wire.slice())
      this.#wake()
    })
    onTestFinished(() => void socket.destroy())
  }

  send(...wires: readonly Uint8Array[]): void {
    this.socket.write(Buffer.concat(wires.map(frameOf)))
  }

  async next(): Promise<Uint8Array> {
    // A long message comes in several chunks.
    while (this.messages.length <= this.#taken && !this.socket.closed)
      await within('a message', new Promise<void>((resolve) => (this.#wake = resolve)))
    const wire = this.messages[this.#taken++]
    if (!wire) throw new Error('the connection was closed')
    return wire
  }

  async ask(wire: Uint8Array): Promise<Uint8Array> {
    this.send(wire)
    return this.next()
  }
}

export async function tcpClient(to: Endpoint): Promise<StreamClient> {
  const socket = connectTcp(to)
  await within('a TCP connection', once(socket, 'connect'))
  return new StreamClient(socket)
}

/** Rejects with the error of the handshake. */
export async function tlsSocket(to: Endpoint, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connectTls({ ...to, rejectUnauthorized: false, ...options })
  onTestFinished(() => void socket.destroy())
  await within('a TLS connection', once(socket, 'secureConnect'))
  return socket
}

export async function tlsClient(to: Endpoint, options: ConnectionOptions = {}): Promise<StreamClient> {
  return new StreamClient(await tlsSocket(to, options))
}

/** A UDP server; `answer` gets each datagram and a way to reply to its sender. */
export async function udpServer(
  answer: (wire: Buffer, reply: (wire: Uint8Array) => void) => void,
  port = 0,
): Promise<{ readonly endpoint: Endpoint; readonly received: Buffer[] }> {
  const socket = createSocket('udp4')
  onTestFinished(() => new Promise<void>((resolve) => void socket.close(resolve)))
  const received: Buffer[] = []
  socket.on('message', (wire, from) => {
    received.push(wire)
    answer(wire, (reply) => socket.send(reply, from.port, from.address))
  })
  socket.bind(port, '127.0.0.1')
  await once(socket, 'listening')
  return { endpoint: { host: '127.0.0.1', port: socket.address().port }, received }
}

export interface StreamServer {
  readonly endpoint: Endpoint
  /** Every message of every connection. */
  readonly received: Uint8Array[]
  /** What was read from each connection before it was decrypted or framed, chunk by chunk. */
  readonly chunks: Buffer[]
  readonly connections: Socket[]
}

/** A DNS server over TCP, or over TLS with `material`. */
export async function streamServer(
  answer: (wire: Uint8Array, reply: (wire: Uint8Array) => void, socket: Socket) => void,
  options: {
    readonly material?: TlsMaterial
    readonly alpn?: readonly string[]
    readonly at?: Endpoint
    readonly version?: 'TLSv1.2' | 'TLSv1.3'
  } = {},
): Promise<StreamServer> {
  const { material, alpn = ['dot'], at = LOOPBACK, version } = options
  const versions = version ? { minVersion: version, maxVersion: version } : {}
  const [received, chunks, connections]: [Uint8Array[], Buffer[], Socket[]] = [[], [], []]
  const serve = (socket: Socket): void => {
    connections.push(socket)
    const reader = new FrameReader()
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      chunks.push(chunk)
      reader.push(chunk)
      for (let wire = reader.next(); wire; wire = reader.next()) {
        received.push(wire.slice())
        answer(received.at(-1)!, (reply) => socket.write(frameOf(reply)), socket)
      }
    })
  }
  const server: Server = material
    ? createTlsServer({ key: material.keyPem, cert: material.chainPem, ALPNProtocols: [...alpn], ...versions }, serve)
    : createServer(serve)
  server.on('tlsClientError', () => {})
  const endpoint = await listenOn(server, at)
  closeAfterTest(server)
  return { endpoint, received, chunks, connections }
}

/** TCP and UDP on one port. */
export async function plainServer(
  overTcp: Parameters<typeof streamServer>[0],
  overUdp: Parameters<typeof udpServer>[0],
): Promise<{ readonly tcp: StreamServer; readonly udp: Awaited<ReturnType<typeof udpServer>> }> {
  for (;;) {
    const tcp = await streamServer(overTcp)
    try {
      return { tcp, udp: await udpServer(overUdp, tcp.endpoint.port) }
    } catch (error) {
      // Somebody else has the same port for UDP.
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
    }
  }
}

/** Ends the server and whatever is connected to it. */
export function closeAfterTest(server: Server): void {
  const raw = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    raw.add(socket)
    socket.on('error', () => {})
  })
  onTestFinished(async () => {
    const closed = new Promise<void>((resolve) => void server.close(() => resolve()))
    for (const socket of raw) socket.destroy()
    await closed
  })
}

/** A port of loopback on which nobody listens: none of those the kernel gives to the sockets of other tests. */
export async function closedPort(): Promise<number> {
  for (;;) {
    const server = createServer()
    const port = randomInt(10_000, EPHEMERAL_MIN)
    const isFree = await listenOn(server, { ...LOOPBACK, port }).then(
      () => true,
      () => false,
    )
    if (!isFree) continue
    await new Promise<void>((resolve) => void server.close(() => resolve()))
    return port
  }
}
/** The lowest that Linux gives out by itself (ip_local_port_range). */
const EPHEMERAL_MIN = 32_768

/** Passes bytes on between its clients and `to`, and keeps what the server sent, to be looked at before decryption. */
export async function wiretap(to: Endpoint): Promise<{ readonly endpoint: Endpoint; sent(): Buffer; forget(): void }> {
  let sent: Buffer[] = []
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const behind = connectTcp({ ...to, allowHalfOpen: true })
    onTestFinished(() => void behind.destroy())
    behind.on('error', () => client.destroy())
    behind.on('data', (chunk) => sent.push(chunk))
    client.pipe(behind).pipe(client)
  })
  const endpoint = await listenOn(server, LOOPBACK)
  closeAfterTest(server)
  return {
    endpoint,
    sent: () => Buffer.concat(sent),
    forget() {
      sent = []
    },
  }
}
