import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { Fault } from '../../core/fault.ts'
import { type Endpoint, endpointText } from '../../net/bind.ts'
import type { Attempt } from './happy-eyeballs.ts'
import { TlsSessions } from './sessions.ts'
import { connectionFault, judge, type Proof, provingOptions } from './trust.ts'

/** Connect and handshake together (dns §9.10). */
const CONNECT_MS_MAX = 3_000

export interface DialOptions {
  readonly id: string
  /** Absent: plain TCP. */
  readonly tls?: Proof & { readonly alpn: Alpn }
}

type Alpn = 'dot' | 'h2'
/** A server of DNS over TLS may say nothing about its protocol; one of DNS over HTTPS has two to choose from. */
const MUST_BE_CHOSEN = { dot: false, h2: true } as const satisfies Record<Alpn, boolean>

/** Connects to one address of an upstream; done when it has proved who it is. Until then nothing but the handshake is sent. */
export function dialler(options: DialOptions): (endpoint: Endpoint) => Attempt<Socket> {
  const { id, tls } = options
  if (!tls) return (endpoint) => settled(id, endpoint, connectTcp(endpoint), 'connect', () => undefined)
  const sessions = new TlsSessions()
  return (endpoint) => {
    const taken = sessions.take(endpoint)
    const resumed = taken ? { session: taken.session } : {}
    const socket: TLSSocket = connectTls({ ...endpoint, ...provingOptions(tls, tls.alpn), ...resumed })
    const proven = sessions.watch(socket, endpoint, taken)
    return settled(id, endpoint, socket, 'secureConnect', () => {
      const { objection, datesIgnored } = judge(socket, tls, id, endpoint)
      if (objection) return objection
      if (MUST_BE_CHOSEN[tls.alpn] && socket.alpnProtocol !== tls.alpn)
        return new Fault('UPSTREAM_BROKEN', `${id} does not speak HTTP/2`)
      if (!datesIgnored) proven()
      return undefined
    })
  }
}

function settled<S extends Socket>(
  id: string,
  endpoint: Endpoint,
  socket: S,
  event: 'connect' | 'secureConnect',
  objection: () => Fault | undefined,
): Attempt<S> {
  // A write per batch of questions is ours to time, not the kernel's.
  socket.setNoDelay(true)
  socket.unref()
  const done = new Promise<S>((resolve, reject) => {
    const failed = (fault: Fault): void => {
      clearTimeout(timer)
      socket.destroy()
      reject(fault)
    }
    const timer = setTimeout(() => {
      const where = `${id} (${endpointText(endpoint)})`
      failed(new Fault('UPSTREAM_TIMEOUT', `no connection to ${where} in ${CONNECT_MS_MAX} ms`))
    }, CONNECT_MS_MAX)
    timer.unref()
    // Later errors are followed by `close`, which whoever uses the socket listens to.
    socket.on('error', (error) => failed(connectionFault(error, id, endpoint)))
    socket.once('close', () => failed(connectionFault(new Error('closed during the handshake'), id, endpoint)))
    socket.once(event, () => {
      const fault = objection()
      if (fault) return failed(fault)
      clearTimeout(timer)
      resolve(socket)
    })
  })
  return { done, cancel: () => socket.destroy() }
}
