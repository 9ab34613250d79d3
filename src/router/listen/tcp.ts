import { createServer, type Server, type Socket } from 'node:net'
import { explain } from '../../core/log.ts'
import { plainAddress } from '../../net/address.ts'
import { type Endpoint, listenOn } from '../../net/bind.ts'
import { ConnectionLimit } from '../../net/limit.ts'
import { createTlsServer, type TlsMaterial } from '../../net/tls.ts'
import type { Client, Resolver, Transport } from '../resolve/resolver.ts'
import { neverFailing } from './last-resort.ts'
import {
  CONNECTIONS,
  type ConnectionBounds,
  type EncryptedListener,
  type Listener,
  type ListenerContext,
  withinGrace,
} from './listener.ts'
import { type Connection, type Shared, serveConnection, sharedState } from './stream.ts'

/** How often connections are looked at that take too long over something. */
const CHECK_MS = 1_000

/** DNS over TCP (RFC 7766). Who may not ask is told so by the guard: REFUSED and an extended error. */
export function tcpListener(at: Endpoint, context: ListenerContext): Listener {
  const connections = new Connections('tcp', context)
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    if (connections.accept(socket)) connections.serve(socket)
    else socket.destroy()
  })
  return listenerOver('tcp', at, server, connections, context)
}

/** DNS over TLS (RFC 7858). Stubs that send no ALPN are served; one that offers only something else gets the alert. */
export function dotListener(at: Endpoint, material: TlsMaterial, context: ListenerContext): EncryptedListener {
  const connections = new Connections('dot', context)
  const admitted = (socket: Socket): boolean => context.admit?.(plainAddress(socket.remoteAddress ?? '')) ?? true
  const tls = createTlsServer(
    {
      alpn: ['dot'],
      material,
      halfOpen: true,
      accept: (socket) => admitted(socket) && connections.accept(socket),
    },
    (socket) => connections.serve(socket),
  )
  const listener = listenerOver('dot', at, tls.server, connections, context)
  return {
    ...listener,
    get endpoint() {
      return listener.endpoint
    },
    get material() {
      return tls.material
    },
    setMaterial: (next) => tls.setMaterial(next),
    rotateTickets: () => tls.rotateTickets(),
  }
}

/** A connection from accept(2) on; `served` is set once it may ask, which for TLS is after the handshake. */
interface Open {
  readonly accepted: Socket
  readonly client: Client
  served?: Connection
}

/** The connections of one listener. */
class Connections {
  resolver: Resolver | undefined
  readonly #transport: Transport
  readonly #bounds: () => ConnectionBounds
  readonly #limit: ConnectionLimit
  readonly #shared: Shared
  /** By address and port of the client, because TLS hands over another socket than the one that was accepted. */
  readonly #open = new Map<string, Open>()
  #checking: NodeJS.Timeout | undefined

  constructor(transport: Transport, context: ListenerContext) {
    this.#transport = transport
    this.#bounds = context.connections ?? (() => CONNECTIONS)
    this.#limit = new ConnectionLimit(CONNECTIONS.max, CONNECTIONS.maxPerClient)
    this.#shared = sharedState(context)
  }

  /** False: there is no place for it. Handshakes take a place too. */
  accept(socket: Socket): boolean {
    const key = keyOf(socket)
    if (key === undefined || !this.resolver) return false
    const { max, maxPerClient } = this.#bounds()
    this.#limit.totalMax = max
    this.#limit.perClientMax = maxPerClient
    const client = { address: plainAddress(socket.remoteAddress!), transport: this.#transport }
    const open: Open = { accepted: socket, client }
    const leave = this.#limit.admit(client.address, () => giveUp(open))
    if (!leave) return false
    this.#open.set(key, open)
    socket.once('close', () => {
      leave()
      // A client that went away may be back from the same port before we hear of it.
      if (this.#open.get(key) === open) this.#open.delete(key)
      if (this.#open.size === 0) this.#stopChecking()
    })
    this.#checking ??= setInterval(() => this.#check(), CHECK_MS).unref()
    return true
  }

  /** Its questions are answered from now on. */
  serve(socket: Socket): void {
    const open = this.#open.get(keyOf(socket) ?? '')
    if (!open || !this.resolver) return void socket.destroy() // it has gone, or we are stopping
    open.served = serveConnection(socket, open.client, this.resolver, this.#shared)
  }

  /** No new connections or questions; each connection ends when its open questions are answered. */
  finish(): void {
    this.resolver = undefined
    for (const { accepted, served } of this.#open.values()) {
      if (served) served.finish()
      else accepted.destroy()
    }
  }

  cut(): void {
    for (const { accepted } of this.#open.values()) accepted.destroy()
  }

  #check(): void {
    const nowMs = this.#shared.clock.monotonicMs()
    this.#shared.slowReaders.check(nowMs)
    for (const { served } of this.#open.values()) served?.check(nowMs)
  }

  #stopChecking(): void {
    clearInterval(this.#checking)
    this.#checking = undefined
  }
}

/** Undefined when the client has gone already. */
function keyOf({ remoteAddress, remotePort }: Socket): string | undefined {
  return remoteAddress === undefined ? undefined : `${remoteAddress} ${remotePort}`
}

/** A handshake under way is as good as idle: its client has asked nothing yet. */
function giveUp({ accepted, served }: Open): boolean {
  if (served) return served.giveUp()
  accepted.destroy()
  return true
}

function listenerOver(
  transport: Transport,
  at: Endpoint,
  server: Server,
  connections: Connections,
  { clock, log }: ListenerContext,
): Listener {
  let endpoint = at
  return {
    id: transport,
    transport,
    get endpoint() {
      return endpoint
    },
    async start(chain) {
      connections.resolver = neverFailing(chain, log)
      endpoint = await listenOn(server, at, (error) => log.error(explain(error), `${transport} listener failed`))
    },
    async stop(graceMs) {
      const closed = new Promise<void>((resolve) => void server.close(() => resolve()))
      connections.finish()
      await withinGrace(closed, graceMs, clock)
      connections.cut()
      await closed
    },
  }
}
