import { isIPv6 } from 'node:net'
import type { AuthoredRecord } from '../../../dns/build.ts'
import { TYPE } from '../../../dns/codes.ts'
import { isUnder } from '../../../dns/name.ts'
import { reverseName } from '../../../dns/reverse-name.ts'
import { HOST_LINES_MAX, type HostLine, NAME_CHARACTERS_MAX } from './host-lines.ts'
import { CLOCK_WAS_SET_MS } from './leases.ts'
import { HOME_ARPA, isNeverForwarded } from './special-names.ts'

/** The hosts of this home, as all files together tell it. */

/** A line and where it is from. */
export interface KnownHost extends HostLine {
  readonly file: string
  readonly kind: 'hosts file' | 'lease file'
}

/** A name, or a reverse name, with all its records. */
export interface HostRecords {
  readonly name: string
  readonly records: readonly AuthoredRecord[]
  /** For people: `lease file /tmp/dhcp.leases line 3`. */
  readonly source: string
}

/** A host as people look at it. */
export interface HostStatus {
  /** What it is called first of all. */
  readonly name: string
  readonly addresses: readonly string[]
  readonly source: string
}

export interface Home {
  readonly hosts: readonly HostRecords[]
  readonly status: readonly HostStatus[]
  /** Address → what it is called. */
  readonly nameByAddress: ReadonlyMap<string, string>
  /** On the wall clock: when a lease ends and this is to be made anew. */
  readonly staleAtMs: number
}

export interface HomeNames {
  /** Where the hosts are beside home.arpa. */
  readonly domain: string
  /** The router's own name, which no host can take. */
  readonly ownName: string
}

/** Addresses of a home change with its devices; a client keeps an old one no longer than this. */
export const HOST_TTL_S = 60
/** Names that make clients trust whoever has them (proxies, tunnels): not for a device to choose. */
const NOT_FOR_DEVICES: readonly string[] = ['localhost', 'wpad', 'isatap']

/**
 * A name in a hosts file is that file's alone. Among leases the newest has the name, for IPv4 and IPv6 apart, since two
 * servers may hand them out.
 */
export function homeOf(known: readonly KnownHost[], names: HomeNames, nowMs: number): Home {
  const ranked = inOrder(alive(known, nowMs)).slice(0, HOST_LINES_MAX)
  const claims = new Claims()
  const nameByAddress = new Map<string, string>()
  for (const host of ranked) {
    const taken = host.names.filter((name) => mayHave(host, name, names)).map((name) => spellings(name, names.domain))
    for (const address of host.addresses) {
      const won = taken.filter((spelled) => spelled.map((name) => claims.add(name, address, host)).includes(true))
      if (won[0] && !nameByAddress.has(address)) nameByAddress.set(address, won[0][0]!)
    }
  }
  const hosts = claims.hosts()
  const addressesByName = new Map<string, string[]>()
  for (const [address, name] of nameByAddress) {
    hosts.push(pointer(address, name, claims.sourceOf(name)))
    addressesByName.set(name, [...(addressesByName.get(name) ?? []), address])
  }
  const status = [...addressesByName].map(([name, addresses]) => ({ name, addresses, source: claims.sourceOf(name) }))
  const ends = ranked.map(({ expiresMs = Infinity }) => expiresMs)
  const staleAtMs = nowMs < CLOCK_WAS_SET_MS ? CLOCK_WAS_SET_MS : ends.reduce((a, b) => Math.min(a, b), Infinity)
  return { hosts, status, nameByAddress, staleAtMs }
}

/** A clock that was never set cannot judge. */
function alive(known: readonly KnownHost[], nowMs: number): readonly KnownHost[] {
  return nowMs < CLOCK_WAS_SET_MS ? known : known.filter(({ expiresMs = Infinity }) => expiresMs > nowMs)
}

/** Hosts files as written, then leases, the one made last before the others: it is the one that ends last. */
function inOrder(known: readonly KnownHost[]): readonly KnownHost[] {
  const [fixed, leased] = [known.filter(isFixed), known.filter((host) => !isFixed(host))]
  const end = ({ expiresMs = Number.MAX_SAFE_INTEGER }: KnownHost): number => expiresMs
  return [...fixed, ...leased.toReversed().sort((a, b) => end(b) - end(a))]
}

function isFixed({ kind }: KnownHost): boolean {
  return kind === 'hosts file'
}

function mayHave(host: KnownHost, name: string, { ownName }: HomeNames): boolean {
  if (isNeverForwarded(name) || name === ownName) return false
  const label = name.split('.', 1)[0]!
  return isFixed(host) || (!NOT_FOR_DEVICES.includes(label) && label !== ownName.split('.', 1)[0])
}

/** `nas` is nas.DOMAIN, nas.home.arpa and nas; a name with a domain of its own is just that. The first is the preferred one. */
function spellings(name: string, domain: string): readonly string[] {
  const homes = domain === HOME_ARPA ? [HOME_ARPA] : [domain, HOME_ARPA]
  const home = homes.find((zone) => isUnder(name, zone) && name !== zone)
  const label = home === undefined ? name : name.slice(0, -home.length - 1)
  const names = label.includes('.') ? [name] : [...homes.map((zone) => `${label}.${zone}`), label]
  return names.filter(({ length }) => length <= NAME_CHARACTERS_MAX)
}

interface Claim {
  readonly records: AuthoredRecord[]
  readonly addresses: Set<string>
  readonly sources: Set<string>
  /** By type of record. */
  readonly holders: Map<number, KnownHost>
}

/** Who has which name. */
class Claims {
  readonly #byName = new Map<string, Claim>()

  /** False when the name is another host's. */
  add(name: string, address: string, host: KnownHost): boolean {
    const type = isIPv6(address) ? TYPE.AAAA : TYPE.A
    const claim: Claim = this.#byName.get(name) ?? {
      records: [],
      addresses: new Set(),
      sources: new Set(),
      holders: new Map(),
    }
    if (isTaken(claim, type, host) || claim.records.length >= ADDRESSES_PER_NAME_MAX) return false
    claim.holders.set(type, host)
    // A line often has a name twice, with its domain and without.
    if (!claim.addresses.has(address)) claim.records.push({ name, type, ttl: HOST_TTL_S, rdata: { address } })
    claim.addresses.add(address)
    claim.sources.add(sourceOf(host))
    this.#byName.set(name, claim)
    return true
  }

  hosts(): HostRecords[] {
    return [...this.#byName].map(([name, { records }]) => ({ name, records, source: this.sourceOf(name) }))
  }

  sourceOf(name: string): string {
    return [...(this.#byName.get(name)?.sources ?? [])].slice(0, SOURCES_SHOWN_MAX).join(', ')
  }
}
/** A host with many networks has a dozen; with more an answer would not fit in a datagram. */
const ADDRESSES_PER_NAME_MAX = 32
/** A host has a line for each family and network. */
const SOURCES_SHOWN_MAX = 4

function isTaken({ holders }: Claim, type: number, host: KnownHost): boolean {
  if (isFixed(host)) return false
  if ([...holders.values()].some(isFixed)) return true
  const holder = holders.get(type)
  return holder !== undefined && !isSameClient(holder, host)
}

/** dnsmasq has a lease for each address. */
function isSameClient(a: KnownHost, b: KnownHost): boolean {
  return a === b || (a.client !== undefined && a.client === b.client)
}

function pointer(address: string, host: string, source: string): HostRecords {
  const name = reverseName(address)!
  return { name, records: [{ name, type: TYPE.PTR, ttl: HOST_TTL_S, rdata: { host } }], source }
}

function sourceOf({ kind, file, line }: KnownHost): string {
  return `${kind} ${file} line ${line}`
}
