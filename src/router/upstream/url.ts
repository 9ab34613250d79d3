import { isIP } from 'node:net'
import { Fault } from '../../core/fault.ts'
import type { Endpoint } from '../../net/bind.ts'
import type { Resolver } from '../resolve/resolver.ts'
import { dohUpstream } from './doh.ts'
import { plainUpstream } from './plain.ts'
import { streamUpstream } from './stream.ts'

/** Where an upstream is and what its certificate must say. */
export interface UpstreamAddress {
  /** As written, for logs and status. */
  readonly id: string
  readonly scheme: Scheme
  /** Pinned: a resolver cannot look up its own upstream. */
  readonly endpoints: readonly Endpoint[]
  /** Name the certificate must carry (RFC 8310 §8.1); the address itself when no name was given. */
  readonly name: string
  readonly path: string
}

const DEFAULT_PORT = { udp: 53, tcp: 53, tls: 853, https: 443 } as const
type Scheme = keyof typeof DEFAULT_PORT

/**
 * `udp://192.0.2.1`, `tcp://[2001:db8::1]:53`, `tls://9.9.9.9#dns.quad9.net`, `https://dns.example/dns-query`. `pinned`
 * are the addresses for a URL whose host is a name. Throws a Fault that says what to write instead.
 */
export function parseUpstreamUrl(text: string, pinned: readonly string[] = []): UpstreamAddress {
  const wrong = (reason: string): Fault => new Fault('CONFIG_INVALID', `upstream ${text}: ${reason}`)
  const url = URL.canParse(text) ? new URL(text) : undefined
  const scheme = url?.protocol.slice(0, -1)
  if (!url || !scheme || !Object.hasOwn(DEFAULT_PORT, scheme))
    throw wrong('expected udp://ADDRESS, tcp://ADDRESS, tls://ADDRESS#NAME or https://NAME/dns-query')
  const known = scheme as Scheme
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const port = url.port === '' ? DEFAULT_PORT[known] : Number(url.port)
  if (url.username !== '' || url.password !== '' || (url.search !== '' && known !== 'https'))
    throw wrong('an upstream has no user name, password or query')
  const addresses = pinned.length > 0 ? pinned : [host]
  const unusable = addresses.find((address) => isIP(address) === 0)
  if (unusable !== undefined)
    throw wrong(
      pinned.length > 0
        ? `${unusable} is not an IP address`
        : 'its host is a name, which nobody could look up for us; add `addresses: [IP, ...]`',
    )
  return {
    id: text,
    scheme: known,
    endpoints: addresses.map((address) => ({ host: address, port })),
    name: url.hash === '' ? host : url.hash.slice(1),
    path: url.pathname === '/' || url.pathname === '' ? '/dns-query' : url.pathname,
  }
}

/** `trust`: PEM roots that replace the system's. Encrypted upstreams are always verified; there is no switch. */
export function createUpstream(address: UpstreamAddress, trust?: readonly string[]): Resolver {
  const { id, endpoints, name, path } = address
  const roots = trust ? { trust } : {}
  switch (address.scheme) {
    case 'udp':
      return plainUpstream({ id, endpoint: endpoints[0]! })
    case 'tcp':
      return streamUpstream({ id, endpoints })
    case 'tls':
      return streamUpstream({ id, endpoints, tls: { name, ...roots } })
    case 'https':
      return dohUpstream({ id, endpoints, name, path, ...roots })
  }
}
