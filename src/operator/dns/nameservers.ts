import type { Endpoint } from '../../net/bind.ts'

/** The part of node:dns that is needed, so that tests can do without the world. Each throws when there is no such record. */
export interface SystemResolver {
  resolveCname(name: string): Promise<readonly string[]>
  resolveNs(name: string): Promise<readonly string[]>
  resolve4(name: string): Promise<readonly string[]>
  resolve6(name: string): Promise<readonly string[]>
}

/** One server to ask. The addresses are tried in turn: that one of them cannot be reached from here says nothing. */
export interface NameServer {
  /** For messages to people. */
  readonly name: string
  readonly addresses: readonly Endpoint[]
}

const ALIASES_MAX = 8
/** A zone has thirteen at most in practice. */
const SERVERS_MAX = 16
const ADDRESSES_MAX = 4
const DNS_PORT = 53

/** The authoritative servers of the zone that holds `name`, or what `name` is an alias of; none when nobody knows them. */
export async function nameServersOf(name: string, resolver: SystemResolver): Promise<readonly NameServer[]> {
  const labels = (await withoutAliases(name, resolver)).split('.')
  // A name has at most 127 labels, and the root's servers are nobody's.
  for (let depth = 0; depth < labels.length; depth++) {
    const names = await orNone(resolver.resolveNs(labels.slice(depth).join('.')))
    if (names.length === 0) continue
    const servers = await Promise.all(names.slice(0, SERVERS_MAX).map((server) => withAddresses(server, resolver)))
    return servers.filter(({ addresses }) => addresses.length > 0)
  }
  return []
}

/** The challenge may be kept elsewhere, behind a CNAME: the CA follows it, and so do we. */
async function withoutAliases(name: string, resolver: SystemResolver): Promise<string> {
  let at = name
  for (let aliases = 0; aliases < ALIASES_MAX; aliases++) {
    const [target] = await orNone(resolver.resolveCname(at))
    if (target === undefined) break
    at = target
  }
  return at
}

async function withAddresses(name: string, resolver: SystemResolver): Promise<NameServer> {
  const found = await Promise.all([orNone(resolver.resolve4(name)), orNone(resolver.resolve6(name))])
  return { name, addresses: found.flatMap((some) => some.slice(0, ADDRESSES_MAX)).map(atDnsPort) }
}

function atDnsPort(host: string): Endpoint {
  return { host, port: DNS_PORT }
}

async function orNone(lookup: Promise<readonly string[]>): Promise<readonly string[]> {
  return lookup.catch(() => [])
}
