import { addressToBytes } from '../dns/address.ts'

/** One host has at least a whole /64 of IPv6 addresses to choose from (RFC 4291 §2.5.4, RFC 8981). */
const IPV6_CLIENT_BYTES = 8

/**
 * What counts as one client against a bound: an IPv4 address, or a /64 of IPv6. Only good as a key. The address is in the
 * form of `plainAddress`.
 */
export function clientNetwork(address: string): string {
  if (!address.includes(':')) return address
  const octets = addressToBytes(address)
  return octets ? Buffer.from(octets.subarray(0, IPV6_CLIENT_BYTES)).toString('latin1') : address
}
