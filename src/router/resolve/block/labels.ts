import { HEADER_BYTES } from '../../../dns/wire.ts'

/** A name of 255 octets has no more (RFC 1035 §2.3.4). */
const LABELS_MAX = 127
const POINTER_HOPS_MAX = 16
const POINTER = 0xc0

/** Where the labels of the name looked at last start, leftmost first. One name at a time. */
export const labelStarts = new Uint16Array(LABELS_MAX)

/** Finds the labels of the name at `start`, through compression, and returns their number; 0 for the root and for what is no name. */
export function findLabels(wire: Uint8Array, start: number): number {
  let count = 0
  let at = start
  let lowest = start
  let hops = 0
  while (count < LABELS_MAX) {
    const length = wire[at]
    if (length === undefined) return 0
    if (length === 0) return count
    if (length >= POINTER) {
      const target = ((length & 0x3f) << 8) | (wire[at + 1] ?? 0)
      // Strictly backwards, or the walk would never end.
      if (++hops > POINTER_HOPS_MAX || target >= lowest || target < HEADER_BYTES) return 0
      at = lowest = target
      continue
    }
    if (length >= 0x40 || at + 1 + length > wire.length) return 0
    labelStarts[count++] = at
    at += 1 + length
  }
  return 0
}
