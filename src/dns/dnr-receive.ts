import { addressText, isReachableAddress } from './address.ts'
import { DNR_CODE, type DnrInstance } from './dnr.ts'
import { readName, skipPlainName } from './name.ts'
import { parseSvcbParams } from './svcb.ts'
import type { SvcbParams } from './svcb-params.ts'
import { uint16, uint32 } from './wire.ts'

/**
 * DNR as a client receives it: every check of RFC 9463 §3.1.8, so that tests and `hearth advertise` judge our own
 * advertisements by it. Undefined means the client discards the option.
 */
export function parseDnrDhcpv4(payload: Uint8Array): readonly DnrInstance[] | undefined {
  const instances: DnrInstance[] = []
  // Each turn takes at least two octets.
  for (let at = 0; at < payload.length; ) {
    if (at + 2 > payload.length) return undefined
    const end = at + 2 + uint16(payload, at)
    const instance = end > payload.length ? undefined : parseInstance(payload.subarray(at + 2, end), DHCPV4)
    if (!instance) return undefined
    instances.push(instance.value)
    at = end
  }
  return instances.length > 0 ? inOrder(instances) : undefined
}

/** Joins the options 162 of a DHCPv4 message in the order they came (RFC 3396 §7), then reads the whole. */
export function parseDnrDhcpv4Option(options: Uint8Array): readonly DnrInstance[] | undefined {
  const parts: Uint8Array[] = []
  // Each turn takes at least one octet.
  for (let at = 0; at < options.length; ) {
    const code = options[at]!
    if (code === DHCPV4_END) break
    if (code === DHCPV4_PAD) {
      at++
      continue
    }
    const end = at + 2 + (options[at + 1] ?? 0)
    if (at + 2 > options.length || end > options.length) return undefined
    if (code === DNR_CODE.dhcpv4) parts.push(options.subarray(at + 2, end))
    at = end
  }
  return parts.length > 0 ? parseDnrDhcpv4(Buffer.concat(parts)) : undefined
}
const DHCPV4_PAD = 0
const DHCPV4_END = 255

/** The content of one DHCPv6 option 144. */
export function parseDnrDhcpv6(payload: Uint8Array): DnrInstance | undefined {
  return parseInstance(payload, DHCPV6)?.value
}

/** With code and length. */
export function parseDnrDhcpv6Option(option: Uint8Array): DnrInstance | undefined {
  if (option.length < 4 || uint16(option, 0) !== DNR_CODE.dhcpv6 || uint16(option, 2) !== option.length - 4) {
    return undefined
  }
  return parseDnrDhcpv6(option.subarray(4))
}

export interface DnrAdvertisement {
  readonly instance: DnrInstance
  /** 0: stop using it now. */
  readonly lifetimeS: number
}

/** A whole neighbour discovery option. */
export function parseDnrRa(option: Uint8Array): DnrAdvertisement | undefined {
  if (option.length < 16 || option[0] !== DNR_CODE.ra || option[1]! * 8 !== option.length) return undefined
  const parsed = parseInstance(Buffer.concat([option.subarray(2, 4), option.subarray(8)]), RA)
  // What is left over is padding to the next unit of eight octets, and only that.
  if (!parsed || parsed.rest >= 8) return undefined
  return { instance: parsed.value, lifetimeS: uint32(option, 4) }
}

interface Layout {
  readonly addressOctets: 4 | 16
  /** Octets of the name's and the addresses' length field. */
  readonly lengthOctets: 1 | 2
  /** Whether SvcParams have a length, and padding may follow. */
  readonly hasParamsLength: boolean
}

const DHCPV4: Layout = { addressOctets: 4, lengthOctets: 1, hasParamsLength: false }
const DHCPV6: Layout = { addressOctets: 16, lengthOctets: 2, hasParamsLength: false }
const RA: Layout = { addressOctets: 16, lengthOctets: 2, hasParamsLength: true }

function parseInstance(octets: Uint8Array, layout: Layout): { value: DnrInstance; rest: number } | undefined {
  const name = lengthAnd(octets, 2, layout.lengthOctets)
  if (!name || name.data.length < 2 || skipPlainName(name.data, 0) !== name.data.length) return undefined
  const priority = uint16(octets, 0)
  const text = readName(name.data, 0)
  if (text === undefined || priority === 0) return undefined
  // In the ADN-only form of an advertisement everything after the name is padding (RFC 9463 §3.1.6, erratum 7804).
  const isPadding = layout.hasParamsLength && octets.length - name.end < 8
  if (name.end === octets.length || isPadding) {
    return { value: { priority, name: text, addresses: [] }, rest: octets.length - name.end }
  }
  const addresses = lengthAnd(octets, name.end, layout.lengthOctets)
  const usable = addresses && reachable(addresses.data, layout.addressOctets)
  if (!usable || usable.length === 0) return undefined
  const params = layout.hasParamsLength
    ? lengthAnd(octets, addresses.end, 2)
    : { data: octets.subarray(addresses.end), end: octets.length }
  const parsed = params && usableParams(params.data)
  return (
    parsed && { value: { priority, name: text, addresses: usable, params: parsed }, rest: octets.length - params.end }
  )
}

/** Loopback and multicast addresses are passed over (RFC 9463 §4.2, §5.2, §6.2). */
function reachable(octets: Uint8Array, size: number): string[] | undefined {
  if (octets.length === 0 || octets.length % size !== 0) return undefined
  const addresses = Array.from({ length: octets.length / size }, (_, index) =>
    octets.subarray(index * size, (index + 1) * size),
  )
  return addresses.filter(isReachableAddress).map(addressText)
}

/** No hints (RFC 9463 §3.1.5); alpn, because the scheme has no default; dohpath for DNS over HTTPS (RFC 9461 §5). */
function usableParams(octets: Uint8Array): SvcbParams | undefined {
  const params = parseSvcbParams(octets)
  if (!params?.alpn || params.ipv4hint || params.ipv6hint) return undefined
  const overHttp = params.alpn.includes('h2') || params.alpn.includes('h3')
  return overHttp && params.dohpath === undefined ? undefined : params
}

function lengthAnd(octets: Uint8Array, at: number, lengthOctets: 1 | 2): { data: Uint8Array; end: number } | undefined {
  if (at + lengthOctets > octets.length) return undefined
  const length = lengthOctets === 1 ? octets[at]! : uint16(octets, at)
  const start = at + lengthOctets
  const end = start + length
  return end <= octets.length ? { data: octets.subarray(start, end), end } : undefined
}

/** Lowest priority number first; the order of equals is the sender's. */
function inOrder(instances: readonly DnrInstance[]): readonly DnrInstance[] {
  return instances.toSorted((a, b) => a.priority - b.priority)
}
