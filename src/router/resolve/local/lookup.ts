import { concatBytes } from '../../../core/bytes.ts'
import type { AuthoredRecord } from '../../../dns/build.ts'
import { RCODE, TYPE } from '../../../dns/codes.ts'
import { nameToWire, readName } from '../../../dns/name.ts'
import { nameKey } from '../name-key.ts'
import type { Finding, Node } from './tree.ts'
import { NOTHING_TTL_S, soaOf, type Zone } from './zone.ts'

/** What we ourselves know about one name and type. */
export interface Said {
  readonly rcode: number
  readonly answers: readonly AuthoredRecord[]
  /** What goes with the answers unasked. */
  readonly additionals?: readonly AuthoredRecord[]
  /** With no answers. */
  readonly soa?: AuthoredRecord
  /** The answers say that this is the name to look at. */
  readonly alias?: string
  /** For people. */
  readonly source: string
}

/**
 * What the place where the tree was left says, one name far: an alias is followed by the caller. Undefined: it is the next
 * layer's to answer. `name` is the name asked for, in the letter case of the asker.
 */
export function saidOf({ zone, node, by }: Finding, name: string, type: number): Said | undefined {
  if (!node) return missing(zone!)
  if (by === 'dname') return renamed(node, name)
  if (node.records.length === 0) {
    if (node.zone) return missing(node.zone)
    // A name between others is there, without data (RFC 8020 §2).
    return zone?.missing === 'ask on' ? undefined : nothing(RCODE.NOERROR, zone!)
  }
  const answers = recordsOf(node, type).map((record) => (by === 'name' ? record : { ...record, name }))
  const { source } = node
  if (answers.length === 0) {
    const soa = zone && zone.missing !== 'ask on' ? zone.soa : soaOf(name, NOTHING_TTL_S)
    return { rcode: RCODE.NOERROR, answers, soa, source }
  }
  const alias = type === TYPE.CNAME || type === TYPE.ANY ? undefined : targetOf(answers[0]!, TYPE.CNAME)
  return { rcode: RCODE.NOERROR, answers, source, ...(alias === undefined ? {} : { alias }) }
}

function missing(zone: Zone): Said | undefined {
  return zone.missing === 'ask on'
    ? undefined
    : nothing(RCODE[zone.missing === 'NODATA' ? 'NOERROR' : 'NXDOMAIN'], zone)
}

function nothing(rcode: number, { soa, source }: Zone): Said {
  return { rcode, answers: [], soa, source }
}

/** A CNAME stands for every type (RFC 1034 §3.6.2); ANY gets one set, which is enough (RFC 8482 §4.1). */
function recordsOf({ records }: Node, type: number): readonly AuthoredRecord[] {
  const wanted = type === TYPE.ANY ? records[0]!.type : type
  const found = records.filter((record) => record.type === wanted)
  return found.length > 0 ? found : records.filter((record) => record.type === TYPE.CNAME)
}

/** Below a DNAME every name is another one (RFC 6672 §2.2, §3.1). */
function renamed({ records, source }: Node, name: string): Said {
  const dname = records.find(({ type }) => type === TYPE.DNAME)!
  const target = targetOf(dname, TYPE.DNAME)!
  const suffixBytes = nameKey(dname.name).length
  const wire = nameToWire(name)!
  const alias = joined(wire.subarray(0, wire.length - suffixBytes), nameToWire(target)!)
  if (alias === undefined) return { rcode: RCODE.YXDOMAIN, answers: [dname], source }
  const cname = { name, type: TYPE.CNAME, ttl: dname.ttl, rdata: { host: alias } }
  return { rcode: RCODE.NOERROR, answers: [dname, cname], alias, source }
}

/** Undefined when the name gets longer than names may be. */
function joined(prefix: Uint8Array, target: Uint8Array): string | undefined {
  return readName(concatBytes([prefix, target]), 0)
}

function targetOf({ type, rdata }: AuthoredRecord, wanted: number): string | undefined {
  if (type !== wanted) return undefined
  if (rdata instanceof Uint8Array) return readName(rdata, 0)
  return 'host' in rdata ? rdata.host : undefined
}
