import { addressText, addressToBytes, isReachableAddress } from '../../../dns/address.ts'
import { type HostLine, type HostLines, hostLabel, readHostLines } from './host-lines.ts'

/** Lease files of DHCP servers. */

export const LEASE_FORMATS = ['auto', 'dnsmasq', 'odhcpd'] as const
export type LeaseFormat = (typeof LEASE_FORMATS)[number]

/** `auto` looks at the content: only odhcpd writes its leases behind a `#`. */
export function readLeases(text: string, format: LeaseFormat): HostLines {
  const isOdhcpd = format === 'odhcpd' || (format === 'auto' && /^#/m.test(text))
  return readHostLines(text, isOdhcpd ? odhcpdLease : dnsmasqLease)
}

/**
 * `1764000000 aa:bb:cc:dd:ee:ff 192.168.1.10 nas 01:aa:bb:cc:dd:ee:ff`; the time is the expiry, 0 is never. DHCPv6
 * leases have the same places, behind a line `duid …` of the server itself.
 */
function dnsmasqLease(whole: string, line: number): HostLine | string | undefined {
  if (whole === '' || whole.startsWith('duid ')) return undefined
  const [expiry = '', hardware, address, name, clientId, ...more] = whole.split(/\s+/)
  if (!/^\d{1,12}$/.test(expiry)) return 'it does not begin with a time'
  if (hardware === undefined || address === undefined || name === undefined || more.length > 0)
    return 'it does not have the five values of a dnsmasq lease'
  // In the place of the hardware address DHCPv6 has the number of one association of the client.
  const client = address.includes(':') ? clientId : hardware
  return leaseOf({ name, client, addresses: [address], expiryS: Number(expiry), line })
}

/**
 * `# br-lan 00030001aabbccddeeff 1 nas 1764000000 1 128 fd00::10/128 2001:db8::10/128`, for DHCPv4
 * `# br-lan aabbccddeeff ipv4 nas 1764000000 c0a8010a 32 192.168.1.10/32`; the expiry -1 is never. Lines without `#` say
 * the same once more in the form of hosts(5).
 */
function odhcpdLease(whole: string, line: number): HostLine | string | undefined {
  if (!whole.startsWith('#')) return undefined
  const [, client, , name, expiry, , , ...prefixes] = whole.slice(1).trim().split(/\s+/)
  if (name === undefined || expiry === undefined) return 'it does not have the values of an odhcpd lease'
  if (!/^-?\d{1,12}$/.test(expiry)) return 'its fifth value is no time'
  // Delegated prefixes stand in the same place, and are no addresses.
  const addresses = prefixes.flatMap((prefix) => /^(.*)\/(?:32|128)$/.exec(prefix)?.[1] ?? [])
  return leaseOf({ name, client, addresses, expiryS: Number(expiry), line })
}

interface Lease {
  readonly name: string
  readonly client: string | undefined
  readonly addresses: readonly string[]
  readonly expiryS: number
  readonly line: number
}

function leaseOf({ name, client, addresses, expiryS, line }: Lease): HostLine | string | undefined {
  const octets = addresses.map(addressToBytes)
  const wrong = octets.findIndex((address) => !address || !isReachableAddress(address))
  if (wrong >= 0) return `"${addresses[wrong]!.slice(0, 60)}" is no address of a host`
  const label = hostLabel(name)
  if (label === undefined || addresses.length === 0) return undefined
  const isJudged = expiryS * 1000 >= CLOCK_WAS_SET_MS
  return {
    addresses: octets.map((address) => addressText(address!)),
    names: [label],
    line,
    ...(client === undefined ? {} : { client }),
    ...(isJudged ? { expiresMs: expiryS * 1000 } : {}),
  }
}
/** An expiry before this was counted from a clock that did not know the time yet, or is a number of seconds from then. */
export const CLOCK_WAS_SET_MS = Date.UTC(2024, 0, 1)
