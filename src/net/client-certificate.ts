import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'

const NAME_CHARACTERS_MAX = 200

/**
 * The name in the certificate that a client has shown, where the server asks for one: its common name, or the first DNS
 * name. Undefined when there is none, or when it does not lead to the roots of the server.
 */
export function clientNameOf(socket: Socket): string | undefined {
  // Of an HTTP/2 stream the socket is a stand-in that passes on what is asked of it.
  const tls = socket as Partial<TLSSocket>
  if (tls.authorized !== true || typeof tls.getPeerCertificate !== 'function') return undefined
  const { subject, subjectaltname } = tls.getPeerCertificate()
  const [, dnsName] = /(?:^|, )DNS:([^,]+)/.exec(subjectaltname ?? '') ?? []
  const commonName = [subject?.CN ?? []].flat()[0]
  return (commonName ?? dnsName)?.replace(/[^\x20-\x7e]/g, '?').slice(0, NAME_CHARACTERS_MAX)
}
