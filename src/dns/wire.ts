/** Big-endian integers in place (RFC 1035 §2.3.2), and the two sizes every message obeys. */

export const HEADER_BYTES = 12
/** The two-octet length prefix of RFC 1035 §4.2.2 cannot announce more. */
export const MESSAGE_BYTES_MAX = 65_535

/** The caller has checked that the octets are there. */
export function uint16(wire: Uint8Array, at: number): number {
  return (wire[at]! << 8) | wire[at + 1]!
}

export function uint32(wire: Uint8Array, at: number): number {
  return ((wire[at]! << 24) | (wire[at + 1]! << 16) | (wire[at + 2]! << 8) | wire[at + 3]!) >>> 0
}

/** Offset after what was written, as every `put` and `write` of this folder. */
export function putUint16(target: Uint8Array, at: number, value: number): number {
  target[at] = value >>> 8
  target[at + 1] = value
  return at + 2
}

export function putUint32(target: Uint8Array, at: number, value: number): number {
  target[at] = value >>> 24
  target[at + 1] = value >>> 16
  target[at + 2] = value >>> 8
  target[at + 3] = value
  return at + 4
}
