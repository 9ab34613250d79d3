import { concatBytes, equalBytes } from '../../core/bytes.ts'
import { TYPE } from '../codes.ts'
import { type Section, walkRecords } from '../records.ts'
import { putUint16, putUint32 } from '../wire.ts'
import { ancestorOf, type CanonicalName, labelCount, nameAt, octetsOf, wildcardUnder } from './name.ts'
import { expandedRdata } from './rdata.ts'
import { parseRrsig, type Rrsig } from './rrsig.ts'

/** The records of one owner and type (RFC 2181 §5), in canonical form, with the signatures over them. */
export interface Rrset {
  readonly section: Section
  readonly name: CanonicalName
  readonly type: number
  readonly class: number
  /** The smallest TTL of its records and signatures, as sent. */
  readonly ttlS: number
  /** In canonical form and order, without duplicates (RFC 4034 §6.3). Empty: signatures over nothing. */
  readonly rdatas: readonly Uint8Array[]
  readonly signatures: readonly Rrsig[]
  /** Where its records and signatures start in the message. */
  readonly starts: readonly number[]
  readonly ttlOffsets: readonly number[]
}

/** No honest answer comes near; each set may cost signatures. */
const RRSETS_MAX = 256
/** Two algorithms in a roll-over make four; more are not looked at. */
const SIGNATURES_KEPT_MAX = 16

interface Growing {
  readonly section: Section
  readonly name: CanonicalName
  readonly type: number
  readonly class: number
  ttlS: number
  readonly rdatas: Uint8Array[]
  readonly signatures: Rrsig[]
  readonly starts: number[]
  readonly ttlOffsets: number[]
}

/** Every RRset of a message without OPT; undefined when a record is malformed or there are too many sets. */
export function readRrsets(message: {
  readonly wire: Uint8Array
  readonly questionEnd: number
}): readonly Rrset[] | undefined {
  const { wire } = message
  const sets = new Map<string, Growing>()
  const records = walkRecords(message)
  while (records.next()) {
    const { section, type, class: of, nameStart, ttlOffset, ttl, rdataStart, end } = records
    const name = nameAt(wire, nameStart)
    const rrsig = type === TYPE.RRSIG ? parseRrsig(wire, rdataStart, end) : undefined
    const rdata = type === TYPE.RRSIG ? undefined : expandedRdata(wire, type, rdataStart, end, 'canonical')
    if (name === undefined || (!rrsig && !rdata)) return undefined
    const covered = rrsig?.typeCovered ?? type
    const key = `${section} ${covered} ${of} ${name}`
    let set = sets.get(key)
    if (!set) {
      if (sets.size === RRSETS_MAX) return undefined
      set = {
        section,
        name,
        type: covered,
        class: of,
        ttlS: ttl,
        rdatas: [],
        signatures: [],
        starts: [],
        ttlOffsets: [],
      }
      sets.set(key, set)
    }
    if (rdata) set.rdatas.push(rdata)
    else if (rrsig && set.signatures.length < SIGNATURES_KEPT_MAX) set.signatures.push(rrsig)
    set.ttlS = Math.min(set.ttlS, ttl)
    set.starts.push(nameStart)
    set.ttlOffsets.push(ttlOffset)
  }
  if (records.malformed) return undefined
  return [...sets.values()].map((set) => ({ ...set, rdatas: inCanonicalOrder(set.rdatas) }))
}

/** RFC 4034 §6.3: as left-justified octet strings, an absent octet before a zero one; duplicates are one record. */
export function inCanonicalOrder(rdatas: readonly Uint8Array[]): readonly Uint8Array[] {
  const sorted = rdatas.toSorted((a, b) => Buffer.compare(a, b))
  return sorted.filter((rdata, index) => index === 0 || !equalBytes(rdata, sorted[index - 1]!))
}

/** The octets a signature is made over (RFC 4034 §3.1.8.1); undefined when the signature has more labels than the owner. */
export function signedData(
  set: Pick<Rrset, 'name' | 'type' | 'class' | 'rdatas'>,
  rrsig: Pick<Rrsig, 'labels' | 'originalTtlS' | 'signedPart'>,
): Uint8Array | undefined {
  const owner = signedOwner(set.name, rrsig.labels)
  if (owner === undefined) return undefined
  const name = octetsOf(owner)
  const parts: Uint8Array[] = [rrsig.signedPart]
  for (const rdata of set.rdatas) {
    const fixed = new Uint8Array(10)
    putUint16(fixed, 0, set.type)
    putUint16(fixed, 2, set.class)
    putUint32(fixed, 4, rrsig.originalTtlS)
    putUint16(fixed, 8, rdata.length)
    parts.push(name, fixed, rdata)
  }
  return concatBytes(parts)
}

/** The wildcard that the owner came of, or the owner itself (RFC 4035 §5.3.2). A `*` of the owner's own is not counted. */
function signedOwner(name: CanonicalName, labels: number): CanonicalName | undefined {
  const own = signedLabels(name)
  if (labels > own) return undefined
  return labels === own ? name : wildcardUnder(ancestorOf(name, labels))
}

/** RFC 4034 §3.1.3: neither the root nor a leftmost `*` is counted. */
export function signedLabels(name: CanonicalName): number {
  return labelCount(name) - (name.startsWith('\x01*') ? 1 : 0)
}
