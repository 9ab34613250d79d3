/** The types that a name has, as NSEC and NSEC3 list them (RFC 4034 §4.1.2). */

/** Windows in ascending order, each of 1 to 32 octets. An empty list is in order (RFC 5155 §3.2.1). */
export function isTypeBitmap(octets: Uint8Array): boolean {
  let before = -1
  let at = 0
  // Each window takes at least three octets.
  while (at + 2 < octets.length) {
    const [window, length] = [octets[at]!, octets[at + 1]!]
    if (window <= before || length === 0 || length > WINDOW_BYTES_MAX) return false
    before = window
    at += 2 + length
  }
  return at === octets.length
}
const WINDOW_BYTES_MAX = 32

/** The bitmap must have passed `isTypeBitmap`. */
export function hasType(octets: Uint8Array, type: number): boolean {
  for (let at = 0; at < octets.length; at += 2 + octets[at + 1]!) {
    if (octets[at] !== type >> 8) continue
    const byte = (type & 0xff) >> 3
    return byte < octets[at + 1]! && (octets[at + 2 + byte]! & (0x80 >> (type & 7))) !== 0
  }
  return false
}
