import { BlockList, isIP } from 'node:net'

/** Addresses of homes and links: RFC 1918, 3927, 4193, 4291 §2.5.6, and loopback. Not RFC 6598: behind it are other customers. */
const LAN_PREFIXES = [
  ['127.0.0.0', 8, 'ipv4'],
  ['10.0.0.0', 8, 'ipv4'],
  ['172.16.0.0', 12, 'ipv4'],
  ['192.168.0.0', 16, 'ipv4'],
  ['169.254.0.0', 16, 'ipv4'],
  ['::1', 128, 'ipv6'],
  ['fc00::', 7, 'ipv6'],
  ['fe80::', 10, 'ipv6'],
] as const

const LAN = new BlockList()
for (const [network, prefix, family] of LAN_PREFIXES) LAN.addSubnet(network, prefix, family)

/** True for an address no public CA may certify and no host of the Internet has. */
export function isPrivateAddress(address: string): boolean {
  const family = isIP(address)
  return family !== 0 && LAN.check(address, family === 6 ? 'ipv6' : 'ipv4')
}

/** Clients of a dual-stack socket show as `::ffff:192.0.2.1`; link-local ones carry a zone. Both parts are stripped. */
export function plainAddress(address: string): string {
  const zone = address.indexOf('%')
  const bare = zone < 0 ? address : address.slice(0, zone)
  return bare.startsWith('::ffff:') && bare.includes('.') ? bare.slice('::ffff:'.length) : bare
}

/** `lan`, an address, or a prefix such as `192.0.2.0/24`. */
export function isAccessEntry(entry: string): boolean {
  return entry === 'lan' || prefixOf(entry) !== undefined
}

/** Adds an entry that `isAccessEntry` accepted. */
export function addToAccess(list: BlockList, entry: string): void {
  const prefixes = entry === 'lan' ? LAN_PREFIXES : [prefixOf(entry)!]
  for (const [network, bits, family] of prefixes) list.addSubnet(network, bits, family)
}

function prefixOf(entry: string): readonly [string, number, 'ipv4' | 'ipv6'] | undefined {
  // No zones: a rule holds on every interface.
  const [, network = '', bitsText] = /^([^/%]+)(?:\/(\d{1,3}))?$/.exec(entry) ?? []
  const family = isIP(network)
  if (family === 0) return undefined
  const bitsMax = family === 6 ? 128 : 32
  const bits = bitsText === undefined ? bitsMax : Number(bitsText)
  return bits <= bitsMax ? [network, bits, family === 6 ? 'ipv6' : 'ipv4'] : undefined
}
