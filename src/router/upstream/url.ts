import { isIP } from 'node:net'
import { Fault } from '../../core/fault.ts'
import type { Endpoint } from '../../net/bind.ts'

/** Where an upstream is and what its certificate must say. */
export interface UpstreamAddress {
  /** As written, for logs and status. */
  readonly id: string
  readonly scheme: Scheme
  /** Pinned. Empty: the host is a name that bootstrap resolvers have to look up (bootstrap.ts). */
  readonly endpoints: readonly Endpoint[]
  /** The host of the URL, without brackets. */
  readonly host: string
  readonly port: number
  /** Name the certificate must carry (RFC 8310 §8.1); the address itself when no name was given. */
  readonly name: string
  /** False: the URL has neither a host name nor a #NAME. */
  readonly isNamed: boolean
  readonly path: string
}

const DEFAULT_PORT = { udp: 53, tcp: 53, tls: 853, https: 443 } as const
type Scheme = keyof typeof DEFAULT_PORT
const SCHEMES = ['udp', 'tcp', 'tls', 'https'] as const satisfies readonly Scheme[]

/** Letters, digits and inner hyphens (RFC 1123 §2.1). */
const HOST_NAME = /^(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/i

/** What is said of an upstream that nobody can look up. */
export const NO_ADDRESS =
  'its host is a name, which nobody could look up for us; add `addresses: [IP, ...]` to it, or name resolvers that may be asked for it with `bootstrap: [udp://IP, ...]`'

/**
 * `udp://192.0.2.1`, `tcp://[2001:db8::1]:53`, `tls://9.9.9.9#dns.quad9.net`, `https://dns.example/dns-query`. `pinned`
 * are the addresses for a URL whose host is a name; `names` says whether there may be none, because somebody will look it
 * up. Throws a Fault that says what to write instead.
 */
export function parseUpstreamUrl(
  text: string,
  pinned: readonly string[] = [],
  names: 'need-addresses' | 'may-be-looked-up' = 'need-addresses',
): UpstreamAddress {
  const wrong = (reason: string): Fault => new Fault('CONFIG_INVALID', `upstream ${text}: ${reason}`)
  // A POST expands the URI template with no variables (RFC 8484 §4.1).
  const plain = text.replace('{?dns}', '')
  const url = URL.canParse(plain) ? new URL(plain) : undefined
  const scheme = SCHEMES.find((known) => url?.protocol === `${known}:`)
  if (!url || !scheme)
    throw wrong('expected udp://ADDRESS, tcp://ADDRESS, tls://ADDRESS#NAME or https://NAME/dns-query')
  if (url.username !== '' || url.password !== '') throw wrong('an upstream has no user name and no password')
  if (scheme !== 'https' && url.pathname + url.search !== '') throw wrong(`${scheme}:// has no path and no query`)
  const isVerified = scheme === 'tls' || scheme === 'https'
  if (!isVerified && url.hash !== '') throw wrong(`nobody is verified over ${scheme}://, so it takes no #NAME`)
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const port = url.port === '' ? DEFAULT_PORT[scheme] : Number(url.port)
  if (port === 0) throw wrong('there is no port 0')
  const addresses = addressesOf(host, pinned, wrong)
  if (addresses.length === 0 && !isVerified)
    throw wrong(`over ${scheme}:// nobody proves who he is, so a name that was looked up proves nothing; write its IP`)
  if (addresses.length === 0 && names === 'need-addresses') throw wrong(NO_ADDRESS)
  return {
    id: text,
    scheme,
    endpoints: addresses.map((address) => ({ host: address, port })),
    host,
    port,
    name: nameOf(host, url.hash, wrong),
    isNamed: url.hash !== '' || isIP(host) === 0,
    path: (url.pathname.length > 1 ? url.pathname : '/dns-query') + url.search,
  }
}

function addressesOf(host: string, pinned: readonly string[], wrong: (reason: string) => Fault): readonly string[] {
  const unusable = pinned.find((address) => isIP(address) === 0)
  if (unusable !== undefined) throw wrong(`${unusable} is not an IP address`)
  if (pinned.length > 0) return pinned
  return isIP(host) === 0 ? [] : [host]
}

function nameOf(host: string, hash: string, wrong: (reason: string) => Fault): string {
  const name = hash === '' ? host : hash.slice(1)
  if (isIP(name) === 0 && !HOST_NAME.test(name)) throw wrong(`${name} is not a name that a certificate could carry`)
  return name
}
