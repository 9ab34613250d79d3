import { Fault } from '../../core/fault.ts'
import { type Endpoint, endpointText } from '../../net/bind.ts'

/** What OpenSSL and Node call a certificate we must not accept. */
const UNTRUSTED =
  /^(CERT_|ERR_TLS_CERT|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|INVALID_CA|PATH_LENGTH|INVALID_PURPOSE|HOSTNAME_MISMATCH|UNSPECIFIED)/

/** A failed connection in words the reader can act on. A certificate problem is never mistaken for a dead link. */
export function connectionFault(error: NodeJS.ErrnoException, upstream: string, endpoint: Endpoint): Fault {
  const facts = { upstream, address: endpointText(endpoint) }
  if (UNTRUSTED.test(error.code ?? ''))
    return new Fault('UPSTREAM_UNTRUSTED', `${upstream} is not who it should be: ${certificateProblem(error)}`, facts, error)
  return new Fault('UPSTREAM_UNREACHABLE', `no connection to ${upstream} (${endpointText(endpoint)})`, facts, error)
}

function certificateProblem(error: NodeJS.ErrnoException): string {
  if (error.code === 'CERT_HAS_EXPIRED') return 'its certificate has expired'
  if (error.code === 'CERT_NOT_YET_VALID') return 'its certificate is not valid yet'
  if (error.code === 'ERR_TLS_CERT_ALTNAME_INVALID') return 'its certificate is for another name'
  return 'its certificate does not lead to a trusted root'
}
