import type { AuthoredRecord } from '../../../dns/build.ts'
import { TYPE } from '../../../dns/codes.ts'

/** A cut in the name space below which we, not the upstreams, say what there is. */
export interface Zone {
  readonly name: string
  /** Of a name that is not there. `ask on`: we know some names and leave the others to the next layer. */
  readonly missing: 'NXDOMAIN' | 'NODATA' | 'ask on'
  /** In answers without records; its TTL says for how long there is nothing (RFC 2308 §3). */
  readonly soa: AuthoredRecord
  /** For people: `special-use name test (RFC 6761 §6.2)`. */
  readonly source: string
}

/** How long clients keep that there is nothing where something may soon be: hosts come up, certificates arrive. */
export const NOTHING_TTL_S = 60
/** RFC 6303 §3, for what never changes. */
export const EMPTY_ZONE_TTL_S = 10_800

/** The SOA of a zone of ours with the content of RFC 6303 §3. */
export function soaOf(zone: string, ttl: number, minimum = ttl): AuthoredRecord {
  const rdata = {
    primary: zone,
    mailbox: 'nobody.invalid',
    serial: 1,
    refresh: 3600,
    retry: 1200,
    expire: 604_800,
    minimum,
  }
  return { name: zone, type: TYPE.SOA, ttl, rdata }
}

/** SOA and NS of a zone whose owner wrote none (RFC 6303 §3). */
export function apexRecords(zone: string): readonly AuthoredRecord[] {
  return [soaOf(zone, EMPTY_ZONE_TTL_S), { name: zone, type: TYPE.NS, ttl: EMPTY_ZONE_TTL_S, rdata: { host: zone } }]
}
