import { addressToBytes } from './address.ts'

/** `10.1.168.192.in-addr.arpa` (RFC 1035 §3.5), `….ip6.arpa` nibble by nibble (RFC 3596 §2.5); undefined for what is no address. */
export function reverseName(address: string): string | undefined {
  const octets = addressToBytes(address)
  if (!octets) return undefined
  if (octets.length === 4) return `${octets.toReversed().join('.')}.in-addr.arpa`
  const nibbles = [...octets].flatMap((octet) => [octet >> 4, octet & 0x0f])
  return `${nibbles
    .toReversed()
    .map((nibble) => nibble.toString(16))
    .join('.')}.ip6.arpa`
}
