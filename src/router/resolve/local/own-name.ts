import { isIPv6 } from 'node:net'
import type { AuthoredRecord } from '../../../dns/build.ts'
import { RCODE, TYPE } from '../../../dns/codes.ts'
import { designations, mayDesignate, type Presence } from '../../discovery/presence.ts'
import { nameKey } from '../name-key.ts'
import type { Said } from './lookup.ts'
import { NOTHING_TTL_S, soaOf } from './zone.ts'

/** How long clients keep what we say about ourselves. A failed designation is not asked again for this long (RFC 9462 §4.2). */
const TTL_S = 300
const RESOLVER_ARPA = 'resolver.arpa'
const DO53_PORT = 53

/** What one of our own names has of a type; without answers, the name is there but not with this type. */
export type OwnName = (type: number) => Said

/**
 * The names that come from what we are, not from settings, by `nameKey`: our own name, and `_dns.` before it
 * (RFC 9461 §3) and before resolver.arpa (RFC 9462 §4).
 */
export function ownNames(presence: Presence): ReadonlyMap<string, OwnName> {
  const { name } = presence
  const addresses = [...addressRecords(presence, TYPE.A), ...addressRecords(presence, TYPE.AAAA)]
  const own = new Map<string, OwnName>([[nameKey(name), (type) => said(name, addressRecords(presence, type))]])
  const designation = (owner: string, zone: string, allowed: boolean): void => {
    const records = allowed
      ? designations(presence).map((rdata) => ({ name: owner, type: TYPE.SVCB, ttl: TTL_S, rdata }))
      : []
    // RFC 9462 §4: whoever is sent to a name should not have to ask for its addresses.
    own.set(nameKey(owner), (type) => said(zone, type === TYPE.SVCB ? records : [], addresses))
  }
  const prefixes = presence.do53Port === DO53_PORT ? ['_dns.'] : ['_dns.', `_${presence.do53Port}._dns.`]
  for (const prefix of prefixes) {
    designation(prefix + RESOLVER_ARPA, RESOLVER_ARPA, mayDesignate(presence))
    designation(prefix + name, name, presence.certificate !== undefined)
  }
  return own
}

function addressRecords({ name, addresses }: Presence, type: number): readonly AuthoredRecord[] {
  return addresses
    .filter((address) => type === (isIPv6(address) ? TYPE.AAAA : TYPE.A))
    .map((address) => ({ name, type, ttl: TTL_S, rdata: { address } }))
}

function said(zone: string, answers: readonly AuthoredRecord[], additionals: readonly AuthoredRecord[] = []): Said {
  const source = 'what this router is: its name, addresses and certificate'
  if (answers.length > 0) return { rcode: RCODE.NOERROR, answers, additionals, source }
  return { rcode: RCODE.NOERROR, answers, soa: soaOf(zone, NOTHING_TTL_S), source }
}
