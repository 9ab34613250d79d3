import type { SvcbRecord } from '../../dns/svcb.ts'
import { isPrivateAddress } from '../../net/address.ts'

/**
 * What clients may be told about this resolver, in one immutable value: every face (DDR, `_dns.<name>`, the name's own
 * addresses, DNR) is derived from it, and a change replaces it whole (design §3.6).
 */
export interface Presence {
  /** The authentication domain name, lower case, without a trailing dot (RFC 9463 §3.1). */
  readonly name: string
  /** Where clients of the LAN reach us. */
  readonly addresses: readonly string[]
  readonly do53Port: number
  /** Absent: no believable certificate is loaded, so nothing encrypted is advertised. */
  readonly certificate?: PresenceCertificate
  readonly endpoints: readonly EncryptedEndpoint[]
  /** Clients that ask by the special name of RFC 9462 are told nothing, by the settings. */
  readonly ddr?: 'off'
}

export interface PresenceCertificate {
  readonly notAfterMs: number
  readonly ipAddresses: readonly string[]
}

export interface EncryptedEndpoint {
  /** Lower is preferred (RFC 9460 §2.4.1). */
  readonly priority: number
  readonly alpn: readonly string[]
  readonly port: number
  /** The URI template of RFC 8484, for HTTP endpoints. */
  readonly dohPath?: string
}

const DOT_PORT = 853
const HTTPS_PORT = 443

/** DoT and DoH are told apart, because one `port` would hold for every protocol of its record (RFC 9461 §4.2). */
export function encryptedEndpoints(ports: { readonly dot?: number; readonly doh?: number }): EncryptedEndpoint[] {
  const endpoints: EncryptedEndpoint[] = []
  if (ports.dot !== undefined) endpoints.push({ priority: 1, alpn: ['dot'], port: ports.dot })
  if (ports.doh !== undefined)
    endpoints.push({ priority: 2, alpn: ['h2'], port: ports.doh, dohPath: '/dns-query{?dns}' })
  return endpoints
}

/** One SVCB record per endpoint (RFC 9461, RFC 9462 §4). The port is written only when it is not the protocol's own. */
export function designations({ name, endpoints }: Presence): SvcbRecord[] {
  return endpoints.map(({ priority, alpn, port, dohPath }) => ({
    priority,
    target: name,
    params: {
      alpn,
      ...(port === (dohPath === undefined ? DOT_PORT : HTTPS_PORT) ? {} : { port }),
      ...(dohPath === undefined ? {} : { dohpath: dohPath }),
    },
  }))
}

/**
 * Whether `_dns.resolver.arpa` may name our endpoints. A verifying client needs the Do53 address in the certificate
 * (RFC 9462 §4.2); an opportunistic one takes a private address on the same host (§4.3). On a public address without
 * either, the answer could only fail, and a client would not ask again for its TTL.
 */
export function mayDesignate(presence: Presence): boolean {
  const { certificate, addresses, endpoints, ddr } = presence
  if (ddr === 'off' || !certificate || endpoints.length === 0 || addresses.length === 0) return false
  return addresses.every((address) => certificate.ipAddresses.includes(address) || isPrivateAddress(address))
}
