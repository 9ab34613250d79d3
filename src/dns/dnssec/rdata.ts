import { concatBytes } from '../../core/bytes.ts'
import { TYPE } from '../codes.ts'
import { lowerName, nameToWire, readName, skipName } from '../name.ts'

/** Where names stand in RDATA: what signatures are made over, and what may be moved to another message. */

/**
 * RDATA with its names uncompressed. `canonical` also puts them in lower case where RFC 4034 §6.2 lists the type;
 * RFC 6840 §5.1 takes NSEC off that list, and names in it cannot be compressed. Undefined when a name is malformed.
 */
export function expandedRdata(
  wire: Uint8Array,
  type: number,
  start: number,
  end: number,
  form: 'canonical' | 'as-sent',
): Uint8Array | undefined {
  const layout = LAYOUTS.get(type)
  if (!layout || start === end) return Uint8Array.from(wire.subarray(start, end))
  let at = layout.skip(wire, start)
  if (at > end) return undefined
  const parts = [wire.subarray(start, at)]
  for (let names = layout.names; names > 0; names--) {
    const text = at < end ? readName(wire, at) : undefined
    const name = text === undefined ? undefined : nameToWire(text)
    at = name ? skipName(wire, at) : -1
    if (!name || at < 0 || at > end) return undefined
    parts.push(form === 'canonical' ? lowerName(name) : name)
  }
  return concatBytes([...parts, wire.subarray(at, end)])
}

interface Layout {
  /** Offset of the first name. */
  skip(wire: Uint8Array, start: number): number
  readonly names: number
}

const after = (octets: number, names = 1): Layout => ({ skip: (_wire, start) => start + octets, names })

/** Order and preference, then three character-strings (RFC 3403 §4.1). */
const NAPTR: Layout = {
  skip(wire, start) {
    let at = start + 4
    for (let strings = 3; strings > 0; strings--) at += 1 + (wire[at] ?? 0)
    return at
  },
  names: 1,
}

/** The list of RFC 4034 §6.2. HINFO holds no name, A6 is historic (RFC 6563). */
const LAYOUTS: ReadonlyMap<number, Layout> = new Map([
  [TYPE.NS, after(0)],
  [3, after(0)], // MD
  [4, after(0)], // MF
  [TYPE.CNAME, after(0)],
  [TYPE.SOA, after(0, 2)],
  [7, after(0)], // MB
  [8, after(0)], // MG
  [9, after(0)], // MR
  [TYPE.PTR, after(0)],
  [14, after(0, 2)], // MINFO
  [TYPE.MX, after(2)],
  [TYPE.RP, after(0, 2)],
  [18, after(2)], // AFSDB
  [21, after(2)], // RT
  [TYPE.SIG, after(18)],
  [26, after(2, 2)], // PX
  [30, after(0)], // NXT
  [TYPE.SRV, after(6)],
  [TYPE.NAPTR, NAPTR],
  [36, after(2)], // KX
  [TYPE.DNAME, after(0)],
  [TYPE.RRSIG, after(18)],
])
