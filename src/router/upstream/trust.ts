import { isIP } from 'node:net'
import { type ConnectionOptions, checkServerIdentity } from 'node:tls'
import { Fault } from '../../core/fault.ts'
import { type Endpoint, endpointText } from '../../net/bind.ts'

/**
 * How we connect to an upstream that has to prove `name` (RFC 8310 §8.1). An address is no server name (RFC 6066 §3), but
 * it is looked for in the certificate all the same. `trust`: PEM roots instead of the system's.
 */
export function provingName(name: string, trust: readonly string[] | undefined, alpn: string): ConnectionOptions {
  return {
    servername: isIP(name) === 0 ? name : '',
    checkServerIdentity: (_host, certificate) => checkServerIdentity(name, certificate),
    ...(trust ? { ca: [...trust] } : {}),
    ALPNProtocols: [alpn],
    minVersion: 'TLSv1.2',
    rejectUnauthorized: true,
  }
}

/** What OpenSSL and Node call a certificate we must not accept. */
const UNTRUSTED =
  /^(CERT_|ERR_TLS_CERT|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|INVALID_CA|PATH_LENGTH|INVALID_PURPOSE|HOSTNAME_MISMATCH|UNSPECIFIED)/

/** A failed connection in words the reader can act on. A certificate problem is never mistaken for a dead link. */
export function connectionFault(error: NodeJS.ErrnoException, upstream: string, endpoint: Endpoint): Fault {
  const facts = { upstream, address: endpointText(endpoint) }
  if (UNTRUSTED.test(error.code ?? ''))
    return new Fault(
      'UPSTREAM_UNTRUSTED',
      `${upstream} is not who it should be: ${certificateProblem(error)}`,
      facts,
      error,
    )
  return new Fault('UPSTREAM_UNREACHABLE', `no connection to ${upstream} (${endpointText(endpoint)})`, facts, error)
}

function certificateProblem(error: NodeJS.ErrnoException): string {
  if (error.code === 'CERT_HAS_EXPIRED') return 'its certificate has expired'
  if (error.code === 'CERT_NOT_YET_VALID') return 'its certificate is not valid yet'
  if (error.code === 'ERR_TLS_CERT_ALTNAME_INVALID') return 'its certificate is for another name'
  return 'its certificate does not lead to a trusted root'
}
