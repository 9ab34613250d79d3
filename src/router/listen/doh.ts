import type { Socket } from 'node:net'
import { explain } from '../../core/log.ts'
import { plainAddress } from '../../net/address.ts'
import { connectionsOf, type Endpoint, listenOn } from '../../net/bind.ts'
import { ConnectionLimit } from '../../net/limit.ts'
import { createTlsServer, type TlsMaterial } from '../../net/tls.ts'
import { dohOverHttp1 } from './doh-http1.ts'
import { dohOverNodeHttp2 } from './doh-http2-node.ts'
import { dohOverOwnHttp2 } from './doh-http2-own.ts'
import type { DohProtocol } from './doh-protocol.ts'
import { dohService } from './doh-service.ts'
import { neverFailing } from './last-resort.ts'
import { CONNECTIONS, type EncryptedListener, type ListenerContext, withinGrace } from './listener.ts'

/** Which HTTP/2 is spoken: our own, or the one that comes with Node. */
export type Http2Choice = 'own' | 'node'

/** DNS over HTTPS (RFC 8484) on HTTP/2 and HTTP/1.1. */
export function dohListener(
  at: Endpoint,
  material: TlsMaterial,
  context: ListenerContext,
  http2Choice: Http2Choice = 'own',
): EncryptedListener {
  const { clock, log } = context
  const limit = new ConnectionLimit(CONNECTIONS.max, CONNECTIONS.maxPerClient)
  const stopping = new AbortController()
  let protocols: { readonly http1: DohProtocol; readonly http2: DohProtocol } | undefined
  let endpoint = at

  /** Handshakes take a place too, and who may not ask gets none. */
  const accept = (socket: Socket): boolean => {
    const address = plainAddress(socket.remoteAddress ?? '')
    const { max, maxPerClient } = context.connections?.() ?? CONNECTIONS
    limit.totalMax = max
    limit.perClientMax = maxPerClient
    const leave = context.admit?.(address) === false ? undefined : limit.admit(address)
    if (leave) socket.once('close', leave)
    return leave !== undefined
  }
  const tls = createTlsServer({ alpn: ['h2', 'http/1.1'], material, accept }, (socket) => {
    if (!protocols) return void socket.destroy()
    const address = plainAddress(socket.remoteAddress ?? '')
    socket.on('error', () => socket.destroy())
    socket.setNoDelay(true)
    const client = { address, transport: 'doh' } as const
    if (socket.alpnProtocol !== 'h2') return protocols.http1.take(socket, client)
    socket.disableRenegotiation() // of TLS 1.2 (RFC 9113 §9.2.1)
    protocols.http2.take(socket, client)
  })

  const open = connectionsOf(tls.server)

  return {
    id: 'doh',
    transport: 'doh',
    get endpoint() {
      return endpoint
    },
    get material() {
      return tls.material
    },
    setMaterial: (next) => tls.setMaterial(next),
    rotateTickets: () => tls.rotateTickets(),
    async start(chain) {
      const service = dohService(neverFailing(chain, log), clock, stopping.signal, context.answersDiffer)
      protocols = {
        http1: dohOverHttp1(service),
        http2: http2Choice === 'own' ? dohOverOwnHttp2(service, clock, log) : dohOverNodeHttp2(service),
      }
      endpoint = await listenOn(tls.server, at, (error) => log.error(explain(error), 'doh listener failed'))
    },
    async stop(graceMs) {
      const closed = new Promise<void>((resolve) => void tls.server.close(() => resolve()))
      protocols?.http2.finish()
      protocols?.http1.finish()
      await withinGrace(closed, graceMs, clock)
      stopping.abort()
      for (const socket of open) socket.destroy()
      await closed
    },
  }
}
