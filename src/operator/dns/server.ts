import { createSocket } from 'node:dgram'
import { createServer, isIPv6, type Socket } from 'node:net'
import { explain, type Log } from '../../core/log.ts'
import { buildReply, truncatedReply } from '../../dns/answer.ts'
import { RCODE } from '../../dns/codes.ts'
import { appendOpt, type OptFields, optBytes } from '../../dns/edns.ts'
import { FrameReader, frameOf } from '../../dns/frame.ts'
import { examineQuery } from '../../dns/query.ts'
import type { MessageView } from '../../dns/view.ts'
import { plainAddress } from '../../net/address.ts'
import { bindFault, type Endpoint, listenOn } from '../../net/bind.ts'
import { ConnectionLimit, WorkLimit } from '../../net/limit.ts'
import { type Respond, withoutRecursion } from './respond.ts'

/** What fits into every path without fragments, and no more for anyone: a reply must not be worth forging a query. */
const UDP_BYTES_MAX = 1232
const CLASSIC_UDP_BYTES_MAX = 512
const TCP_BYTES_MAX = 65_535
/** Each waits for the store. Over it a datagram is dropped; resolvers ask again. */
const OPEN_QUERIES_MAX = 1024
const OPEN_QUERIES_PER_CLIENT_MAX = 256
const CONNECTIONS_MAX = 256
const CONNECTIONS_PER_CLIENT_MAX = 32
/** From one answer to the next whole question. */
const TCP_IDLE_MS = 10_000

export interface DnsServer {
  /** In the order of `listen`; port 0 picked one. */
  readonly endpoints: readonly Endpoint[]
  close(): Promise<void>
}

interface Service {
  readonly respond: Respond
  readonly log: Log
  readonly connections: ConnectionLimit
  readonly tcpIdleMs: number
}

/** A DNS server over UDP and TCP (RFC 1035 §4.2, RFC 7766) in front of `respond`. Throws a Fault when an address is taken. */
export async function openDnsServer(options: {
  readonly listen: readonly Endpoint[]
  readonly respond: Respond
  readonly log: Log
  readonly tcpIdleMs?: number
}): Promise<DnsServer> {
  const { respond, log, tcpIdleMs = TCP_IDLE_MS } = options
  const connections = new ConnectionLimit(CONNECTIONS_MAX, CONNECTIONS_PER_CLIENT_MAX)
  const service: Service = { respond: neverFailing(respond, log), log, connections, tcpIdleMs }
  const endpoints: Endpoint[] = []
  const opened: (() => Promise<void>)[] = []
  const close = async (): Promise<void> => void (await Promise.all(opened.splice(0).map((end) => end())))
  try {
    for (const at of options.listen) {
      const udp = await openUdp(at, service)
      opened.push(udp.close)
      const tcp = await openTcp({ ...at, port: udp.endpoint.port }, service)
      opened.push(tcp.close)
      endpoints.push(udp.endpoint)
    }
  } catch (error) {
    await close()
    throw error
  }
  return { endpoints, close }
}

interface Opened {
  readonly endpoint: Endpoint
  readonly close: () => Promise<void>
}

function openUdp(at: Endpoint, { respond, log }: Service): Promise<Opened> {
  const socket = createSocket(isIPv6(at.host) ? 'udp6' : 'udp4')
  const open = new WorkLimit(OPEN_QUERIES_MAX, OPEN_QUERIES_PER_CLIENT_MAX)
  let isOpen = true

  const answer = async (wire: Uint8Array, from: Endpoint): Promise<void> => {
    const client = plainAddress(from.host)
    // Nobody can receive at port 0.
    if (from.port === 0 || !open.hasRoomFor(client)) return
    open.begin(client)
    const reply = await replyTo(wire, respond, 'udp')
    open.end(client)
    if (reply && isOpen) socket.send(reply, from.port, from.host)
  }

  return new Promise((resolve, reject) => {
    socket.once('error', (error) => reject(bindFault(error, at)))
    socket.bind(at.port, at.host, () => {
      socket.removeAllListeners('error')
      socket.on('error', (error) => log.error(explain(error), 'UDP socket of the DNS server failed'))
      socket.on('message', (wire, { address, port }) => void answer(wire, { host: address, port }))
      const { address, port } = socket.address()
      const close = (): Promise<void> => {
        isOpen = false
        return new Promise((closed) => void socket.close(closed))
      }
      resolve({ endpoint: { host: address, port }, close })
    })
  })
}

async function openTcp(at: Endpoint, service: Service): Promise<Opened> {
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    serveConnection(socket, service)
  })
  const endpoint = await listenOn(server, at, (error) => service.log.error(explain(error), 'DNS over TCP failed'))
  const close = (): Promise<void> => {
    for (const socket of sockets) socket.destroy()
    return new Promise((closed) => void server.close(() => closed()))
  }
  return { endpoint, close }
}

/** One question after the other; while one is answered, nothing more is read. */
function serveConnection(socket: Socket, { respond, connections, tcpIdleMs }: Service): void {
  const reader = new FrameReader()
  let isBusy = false
  const giveUp = (): boolean => {
    if (!isBusy) socket.destroy()
    return !isBusy
  }
  const leave = connections.admit(plainAddress(socket.remoteAddress ?? ''), giveUp)
  if (!leave) return void socket.destroy()
  // Not put off by single octets: only a whole question is a sign of life.
  const idle = setTimeout(() => socket.destroy(), tcpIdleMs)

  const answerAll = async (): Promise<void> => {
    for (let wire = reader.next(); wire && !socket.destroyed; wire = reader.next()) {
      const reply = await replyTo(wire, respond, 'tcp')
      // Whoever sends responses is no client.
      if (!reply) return void socket.destroy()
      await new Promise<void>((sent) => void socket.write(frameOf(reply), () => sent()))
      idle.refresh()
    }
    if (reader.violation !== undefined) socket.destroy()
  }

  socket.on('error', () => {})
  socket.once('close', () => {
    clearTimeout(idle)
    leave()
  })
  socket.on('end', () => socket.end())
  socket.on('data', (chunk: Uint8Array) => {
    isBusy = true
    socket.pause()
    reader.push(chunk)
    void answerAll().then(() => {
      isBusy = false
      socket.resume()
    })
  })
}

/** Undefined: nothing is owed. */
async function replyTo(wire: Uint8Array, respond: Respond, transport: 'udp' | 'tcp'): Promise<Uint8Array | undefined> {
  const examined = examineQuery(wire)
  if (examined.kind === 'drop') return undefined
  if (examined.kind === 'error') return withoutRecursion(examined.reply)
  const { view } = examined
  return fitted(view, await respond(view), transport)
}

/** Our OPT record for theirs (RFC 6891 §6.1.1), and TC instead of records that do not fit (RFC 2181 §9). */
function fitted(query: MessageView, answer: Uint8Array, transport: 'udp' | 'tcp'): Uint8Array {
  const { edns } = query
  const opt = edns && { udpSize: UDP_BYTES_MAX, dnssecOk: edns.dnssecOk }
  const udpBytes = edns ? Math.min(edns.udpSize, UDP_BYTES_MAX) : CLASSIC_UDP_BYTES_MAX
  const whole = withOpt(answer, opt)
  if (whole.length <= (transport === 'udp' ? udpBytes : TCP_BYTES_MAX)) return whole
  return withOpt(withoutRecursion(truncatedReply(query, answer)), opt)
}

function withOpt(message: Uint8Array, opt: OptFields | undefined): Uint8Array {
  if (!opt) return message
  const whole = new Uint8Array(message.length + optBytes(opt, message.length))
  whole.set(message)
  appendOpt(whole, 0, message.length, opt)
  return whole
}

/** SERVFAIL when the store fails; said once until it works again. */
function neverFailing(respond: Respond, log: Log): Respond {
  let isFailing = false
  return async (query) => {
    try {
      const answer = await respond(query)
      isFailing = false
      return answer
    } catch (error) {
      if (!isFailing) log.error(explain(error), 'the DNS server cannot read its records')
      isFailing = true
      return withoutRecursion(buildReply(query, { rcode: RCODE.SERVFAIL }))
    }
  }
}
