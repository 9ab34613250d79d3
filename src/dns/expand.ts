import { concatBytes } from '../core/bytes.ts'
import { TYPE } from './codes.ts'
import { nameToWire, readName, skipName } from './name.ts'

/**
 * RDATA without a codec as octets that mean the same in any message. Some old types hold names that may be compressed
 * (RFC 3597 §4); copied as they are, their pointers would lead anywhere. Undefined when such a name is malformed.
 */
export function expandRdata(wire: Uint8Array, type: number, start: number, end: number): Uint8Array | undefined {
  const layout = LAYOUTS.get(type)
  if (!layout || start === end) return Uint8Array.from(wire.subarray(start, end))
  let at = start + layout.fixedBytes
  const parts = [wire.subarray(start, Math.min(at, end))]
  for (let names = layout.names; names > 0; names--) {
    const text = at < end ? readName(wire, at) : undefined
    const name = text === undefined ? undefined : nameToWire(text)
    at = skipName(wire, at)
    if (!name || at < 0 || at > end) return undefined
    parts.push(name)
  }
  return concatBytes([...parts, wire.subarray(at, end)])
}

interface Layout {
  /** Octets before the first name. */
  readonly fixedBytes: number
  readonly names: number
}

const ONE_NAME: Layout = { fixedBytes: 0, names: 1 }
const TWO_NAMES: Layout = { fixedBytes: 0, names: 2 }
const NUMBER_AND_NAME: Layout = { fixedBytes: 2, names: 1 }

/** RFC 1035 §3.3, RFC 1183, RFC 2163, RFC 2230, RFC 2535; numbers of types nobody names any more. */
const LAYOUTS: ReadonlyMap<number, Layout> = new Map([
  [3, ONE_NAME], // MD
  [4, ONE_NAME], // MF
  [7, ONE_NAME], // MB
  [8, ONE_NAME], // MG
  [9, ONE_NAME], // MR
  [14, TWO_NAMES], // MINFO
  [TYPE.RP, TWO_NAMES],
  [18, NUMBER_AND_NAME], // AFSDB
  [21, NUMBER_AND_NAME], // RT
  [TYPE.SIG, { fixedBytes: 18, names: 1 }],
  [26, { fixedBytes: 2, names: 2 }], // PX
  [30, ONE_NAME], // NXT
  [36, NUMBER_AND_NAME], // KX
])

/** The types whose RDATA needs expanding. */
export const EXPANDED_TYPES: readonly number[] = [...LAYOUTS.keys()]
