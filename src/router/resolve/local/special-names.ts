import type { AuthoredRecord } from '../../../dns/build.ts'
import { TYPE } from '../../../dns/codes.ts'
import { isUnder } from '../../../dns/name.ts'
import { reverseName } from '../../../dns/reverse-name.ts'
import { apexRecords, EMPTY_ZONE_TTL_S, NOTHING_TTL_S, soaOf, type Zone } from './zone.ts'

/** Names that must not be asked upstream (dns §9.8), each with what we say of it. */

interface SpecialName {
  readonly name: string
  readonly rule: string
  /**
   * `nothing`: no such name, the apex included. `zone`: SOA and NS at the apex, no such name below it unless we know a
   * host there. `empty`: every name is there and none has data. `loopback`: every name is this very host.
   */
  readonly is: 'nothing' | 'zone' | 'empty' | 'loopback'
}

const LOOPBACK = 'localhost'
const RESOLVER_ARPA = 'resolver.arpa'
export const HOME_ARPA = 'home.arpa'

const SPECIAL_NAMES: readonly SpecialName[] = [
  { name: LOOPBACK, rule: 'RFC 6761 §6.3', is: 'loopback' },
  { name: 'test', rule: 'RFC 6761 §6.2', is: 'nothing' },
  { name: 'invalid', rule: 'RFC 6761 §6.4', is: 'nothing' },
  { name: 'local', rule: 'RFC 6762 §22.1', is: 'nothing' },
  { name: 'onion', rule: 'RFC 7686 §2', is: 'nothing' },
  { name: 'alt', rule: 'RFC 9476', is: 'nothing' },
  { name: 'internal', rule: 'reserved by ICANN', is: 'nothing' },
  { name: HOME_ARPA, rule: 'RFC 8375 §4', is: 'zone' },
  { name: RESOLVER_ARPA, rule: 'RFC 9462 §6.4', is: 'empty' },
  { name: 'service.arpa', rule: 'RFC 9665 §8.4', is: 'zone' },
  { name: 'default.service.arpa', rule: 'RFC 9665 §8.4', is: 'zone' },
  { name: '6tisch.arpa', rule: 'RFC 9031', is: 'nothing' },
  { name: 'eap-noob.arpa', rule: 'RFC 9140', is: 'nothing' },
]

/** RFC 6303 §4, RFC 7793 §2. */
const REVERSE_ZONES: readonly string[] = [
  '0',
  '10',
  '127',
  '254.169',
  '168.192',
  '2.0.192',
  '100.51.198',
  '113.0.203',
  '255.255.255.255',
  ...numbers(16, 31).map((second) => `${second}.172`),
  ...numbers(64, 127).map((second) => `${second}.100`),
].map((labels) => `${labels}.in-addr.arpa`)

const REVERSE_ZONES_V6: readonly string[] = [
  reverseName('::')!,
  reverseName('::1')!,
  ...['d.f', '8.e.f', '9.e.f', 'a.e.f', 'b.e.f', '8.b.d.0.1.0.0.2'].map((nibbles) => `${nibbles}.ip6.arpa`),
]

const ALL: readonly SpecialName[] = [
  ...SPECIAL_NAMES,
  ...REVERSE_ZONES.map((name) => ({ name, rule: 'RFC 6303 §4', is: 'zone' }) as const),
  ...REVERSE_ZONES_V6.map((name) => ({ name, rule: 'RFC 6303 §4', is: 'zone' }) as const),
]

/** A special name with its zone and what is in it. */
export interface SpecialZone {
  readonly zone: Zone
  readonly records: readonly AuthoredRecord[]
}

/** The special names as zones. Those at or below a name that is asked upstream are left out. */
export function specialZones(askedUpstream: readonly string[]): readonly SpecialZone[] {
  return SPECIAL_ZONES.filter(
    ({ zone: { name } }) => isNeverForwarded(name) || !askedUpstream.some((domain) => isUnder(name, domain)),
  )
}

/** The loopback name and the zone of discovery stay ours whatever the settings say: clients' security rests on them. */
export function isNeverForwarded(name: string): boolean {
  return isUnder(name, LOOPBACK) || isUnder(name, RESOLVER_ARPA)
}

/** Whether the table has to do with the name: it holds the name, a parent of it or one below it. */
export function isSpecial(name: string): boolean {
  return ALL.some((special) => isUnder(name, special.name) || isUnder(special.name, name))
}

function zoneOf({ name, rule, is }: SpecialName): Zone {
  return {
    name,
    missing: is === 'empty' || is === 'loopback' ? 'NODATA' : 'NXDOMAIN',
    soa: is === 'nothing' ? soaOf(name, EMPTY_ZONE_TTL_S) : soaThatMayChange(name, is),
    source: `special-use name ${name} (${rule})`,
  }
}

/** The content of RFC 6303 §3, kept by clients for as long as it may take until a host is there. */
function soaThatMayChange(name: string, is: SpecialName['is']): AuthoredRecord {
  return soaOf(name, NOTHING_TTL_S, is === 'empty' ? NOTHING_TTL_S : EMPTY_ZONE_TTL_S)
}

function recordsOf({ name, is }: SpecialName): readonly AuthoredRecord[] {
  if (is === 'loopback') return [name, `*.${name}`].flatMap(loopbackRecords)
  if (is !== 'zone') return []
  const host = LOOPBACK_ADDRESSES.map((address) => reverseName(address)!).filter((reverse) => isUnder(reverse, name))
  const pointers = host.map((reverse) => ({
    name: reverse,
    type: TYPE.PTR,
    ttl: EMPTY_ZONE_TTL_S,
    rdata: { host: LOOPBACK },
  }))
  return [...apexRecords(name), ...pointers]
}

const LOOPBACK_ADDRESSES = ['127.0.0.1', '::1'] as const

function loopbackRecords(name: string): readonly AuthoredRecord[] {
  const [v4, v6] = LOOPBACK_ADDRESSES
  return [
    { name, type: TYPE.A, ttl: EMPTY_ZONE_TTL_S, rdata: { address: v4 } },
    { name, type: TYPE.AAAA, ttl: EMPTY_ZONE_TTL_S, rdata: { address: v6 } },
  ]
}

function numbers(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index)
}

const SPECIAL_ZONES: readonly SpecialZone[] = ALL.map((special) => ({
  zone: zoneOf(special),
  records: recordsOf(special),
}))
