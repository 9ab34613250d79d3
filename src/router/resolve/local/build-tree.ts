import type { AuthoredRecord } from '../../../dns/build.ts'
import { TYPE } from '../../../dns/codes.ts'
import { isUnder } from '../../../dns/name.ts'
import { uint32 } from '../../../dns/wire.ts'
import { nameKey } from '../name-key.ts'
import type { HostRecords } from './home.ts'
import { HOME_ARPA, isNeverForwarded, specialZones } from './special-names.ts'
import { LocalTree } from './tree.ts'
import { apexRecords, EMPTY_ZONE_TTL_S, NOTHING_TTL_S, soaOf, type Zone } from './zone.ts'

/** A zone as the settings give it. */
export interface ConfiguredZone {
  readonly name: string
  readonly records: readonly (AuthoredRecord & { readonly source: string })[]
  /** A name it does not have is asked upstream. */
  readonly fallthrough: boolean
}

export interface LocalNames {
  /** Where the hosts are beside home.arpa. */
  readonly domain: string
  readonly zones: readonly ConfiguredZone[]
  /** Special names to ask upstream all the same, and domains that have upstreams of their own. */
  readonly askedUpstream: readonly string[]
}

/** Who comes later has the more to say: special names, domains asked upstream, zones of the settings, hosts. */
export function buildTree({ domain, zones, askedUpstream }: LocalNames, hosts: readonly HostRecords[]): LocalTree {
  const tree = new LocalTree()
  const forwarded = askedUpstream.filter((name) => name !== '.')
  const isStated = (name: string): boolean =>
    zones.some((zone) => zone.name === name) || (name === domain && name !== HOME_ARPA)
  for (const { zone, records } of specialZones(forwarded)) if (!isStated(zone.name)) tree.addZone(zone, records)
  const isForwarded = (name: string): boolean => forwarded.some((parent) => isUnder(name, parent))
  if (!isForwarded(domain) && !tree.has(domain)) tree.addZone(homeZone(domain), apexRecords(domain))
  for (const name of forwarded) if (!isNeverForwarded(name)) tree.addZone(passedOn(name))
  for (const zone of zones) addConfigured(tree, zone)
  for (const { name, records, source } of hosts) {
    // What the settings say of a name counts, and a host without a domain must not stand in the place of a zone.
    if (tree.has(name)) continue
    for (const record of records) tree.add(record, source)
  }
  return tree
}

function homeZone(name: string): Zone {
  const soa = soaOf(name, NOTHING_TTL_S, EMPTY_ZONE_TTL_S)
  return { name, missing: 'NXDOMAIN', soa, source: `the home's own domain ${name}` }
}

function passedOn(name: string): Zone {
  return { name, missing: 'ask on', soa: soaOf(name, NOTHING_TTL_S), source: `${name} as the settings pass it on` }
}

function addConfigured(tree: LocalTree, { name, records, fallthrough }: ConfiguredZone): void {
  const apex = records.filter((record) => nameKey(record.name) === nameKey(name))
  const written = apex.find(({ type }) => type === TYPE.SOA)
  const zone: Zone = {
    name,
    missing: fallthrough ? 'ask on' : 'NXDOMAIN',
    soa: written ? negative(written) : soaOf(name, NOTHING_TTL_S),
    source: `local zone ${name}`,
  }
  // With fallthrough, the rest of the zone lives upstream, and its SOA and NS too.
  const usual = fallthrough ? [] : apexRecords(name).filter(({ type }) => !apex.some((record) => record.type === type))
  tree.addZone(zone, usual)
  for (const { source, ...record } of records) tree.add(record, source)
}

/** RFC 2308 §3: the smaller of both says for how long there is nothing. */
function negative(soa: AuthoredRecord): AuthoredRecord {
  const minimum = soa.rdata instanceof Uint8Array ? uint32(soa.rdata, soa.rdata.length - 4) : NOTHING_TTL_S
  return { name: soa.name, type: soa.type, rdata: soa.rdata, ttl: Math.min(soa.ttl, minimum) }
}
