/** Addresses that no name of the Internet should have (dns rebinding), read in place. The caller checked the length. */

/** This host, RFC 1918, RFC 6598, loopback, link-local (RFC 6890). */
export function isPrivateIpv4(wire: Uint8Array, at: number, loopbackAllowed: boolean): boolean {
  const first = wire[at]!
  const second = wire[at + 1]!
  return (
    first === 0 ||
    first === 10 ||
    (first === 127 && !loopbackAllowed) ||
    (first === 100 && (second & 0xc0) === 64) ||
    (first === 169 && second === 254) ||
    (first === 172 && (second & 0xf0) === 16) ||
    (first === 192 && second === 168)
  )
}

/** `::`, `::1`, unique local, link-local, and IPv4 addresses in IPv6 clothes (RFC 4291 §2.5.5, RFC 6052 §2.1). */
export function isPrivateIpv6(wire: Uint8Array, at: number, loopbackAllowed: boolean): boolean {
  const first = wire[at]!
  if ((first & 0xfe) === 0xfc) return true
  if (first === 0xfe) return (wire[at + 1]! & 0xc0) === 0x80
  if (first !== 0) return false
  if (isNat64(wire, at)) return isPrivateIpv4(wire, at + 12, loopbackAllowed)
  for (let index = 1; index < 10; index++) if (wire[at + index] !== 0) return false
  const tail = (wire[at + 10]! << 8) | wire[at + 11]!
  // ::a.b.c.d has `::` and `::1` among it: both are in 0/8.
  return (tail === 0 || tail === 0xffff) && isPrivateIpv4(wire, at + 12, loopbackAllowed)
}

/** 64:ff9b::/96, which a NAT64 in the network turns into the IPv4 address at its end. */
function isNat64(wire: Uint8Array, at: number): boolean {
  if (wire[at + 1] !== 0x64 || wire[at + 2] !== 0xff || wire[at + 3] !== 0x9b) return false
  for (let index = 4; index < 12; index++) if (wire[at + index] !== 0) return false
  return true
}
