import assert from 'node:assert'
import { isIPv6, type Server, type Socket } from 'node:net'
import { Fault } from '../core/fault.ts'

export interface Endpoint {
  readonly host: string
  readonly port: number
}

/** `192.0.2.1:53`, `[2001:db8::1]:53`. */
export function endpointText({ host, port }: Endpoint): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`
}

/** An error of bind(2) in words the reader can act on. */
export function bindFault(error: NodeJS.ErrnoException, at: Endpoint): Error {
  const where = endpointText(at)
  if (error.code === 'EADDRINUSE') return new Fault('PORT_IN_USE', `${where} is in use`, { address: where }, error)
  if (error.code === 'EACCES')
    return new Fault('PORT_FORBIDDEN', `no right to listen on ${where}`, { address: where }, error)
  if (error.code === 'EADDRNOTAVAIL')
    return new Fault(
      'ADDRESS_UNKNOWN',
      `no interface of this machine has the address of ${where}`,
      { address: where },
      error,
    )
  return error
}

/**
 * Resolves with the address really bound (port 0 picks one). `onError` hears what fails later: an accept(2) that finds no
 * memory must not end the process.
 */
export function listenOn(server: Server, at: Endpoint, onError: (error: Error) => void = () => {}): Promise<Endpoint> {
  return new Promise((resolve, reject) => {
    const refused = (error: NodeJS.ErrnoException): void => reject(bindFault(error, at))
    server.once('error', refused)
    server.listen({ host: at.host, port: at.port, backlog: BACKLOG }, () => {
      server.removeListener('error', refused)
      server.on('error', onError)
      const bound = server.address()
      assert(bound !== null && typeof bound !== 'string', 'it listens on an IP address')
      resolve({ host: bound.address, port: bound.port })
    })
  })
}
const BACKLOG = 511

/** The open connections of a server, also those whose TLS handshake is under way. */
export function connectionsOf(server: Server): ReadonlySet<Socket> {
  const open = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    open.add(socket)
    socket.once('close', () => open.delete(socket))
  })
  return open
}
