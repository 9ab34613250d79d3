import { createServer, type Server, type Socket } from 'node:net'
import { explain } from '../../core/log.ts'
import { plainAddress } from '../../net/address.ts'
import { connectionsOf, type Endpoint, listenOn } from '../../net/bind.ts'
import { ConnectionLimit } from '../../net/limit.ts'
import { createTlsServer, type TlsMaterial } from '../../net/tls.ts'
import type { Resolver, Transport } from '../resolve/resolver.ts'
import { neverFailing } from './last-resort.ts'
import { type EncryptedListener, type Listener, type ListenerContext, withinGrace } from './listener.ts'
import { gatherBuffer, serveConnection } from './stream.ts'

/** Open connections of one listener, in all and of one client: enough for a large home, not for an attack. */
const CONNECTIONS_MAX = 4096
const CONNECTIONS_PER_CLIENT_MAX = 1024

/** DNS over TCP (RFC 7766). */
export function tcpListener(at: Endpoint, context: ListenerContext): Listener {
  const connections = new Connections('tcp', context)
  const server = createServer({ allowHalfOpen: true }, (socket) => connections.take(socket))
  return listenerOver('tcp', at, server, connections, context)
}

/** DNS over TLS (RFC 7858). Stubs that send no ALPN are served; one that offers only something else gets the alert. */
export function dotListener(at: Endpoint, material: TlsMaterial, context: ListenerContext): EncryptedListener {
  const connections = new Connections('dot', context)
  const tls = createTlsServer({ alpn: ['dot'], material, halfOpen: true }, (socket) => connections.take(socket))
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
  }
}

/** The connections of one listener that ask questions. */
class Connections {
  resolver: Resolver | undefined
  readonly #transport: Transport
  readonly #context: ListenerContext
  readonly #limit = new ConnectionLimit(CONNECTIONS_MAX, CONNECTIONS_PER_CLIENT_MAX)
  readonly #gather = gatherBuffer()
  readonly #finishers = new Set<() => void>()

  constructor(transport: Transport, context: ListenerContext) {
    this.#transport = transport
    this.#context = context
  }

  take(socket: Socket): void {
    const address = plainAddress(socket.remoteAddress ?? '')
    const leave = this.#limit.admit(address)
    if (!leave || !this.resolver) {
      leave?.()
      socket.destroy()
      return
    }
    const client = { address, transport: this.#transport }
    const finish = serveConnection(socket, client, this.resolver, this.#gather, this.#context)
    this.#finishers.add(finish)
    socket.on('close', () => {
      leave()
      this.#finishers.delete(finish)
    })
  }

  /** No new questions; each connection ends when its open ones are answered. */
  finish(): void {
    for (const finish of this.#finishers) finish()
  }
}

function listenerOver(
  transport: Transport,
  at: Endpoint,
  server: Server,
  connections: Connections,
  { clock, log }: ListenerContext,
): Listener {
  // Those whose handshake is not done yet count too: against the bound, and when we stop.
  const open = connectionsOf(server)
  server.maxConnections = CONNECTIONS_MAX
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
      for (const socket of open) socket.destroy()
      await closed
    },
  }
}
