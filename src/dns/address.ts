/** IP addresses, text and octets. Zone indices (`fe80::1%eth0`) are no part of an address on the wire. */

/** Four or sixteen octets; undefined when the text is no address. */
export function addressToBytes(text: string): Uint8Array | undefined {
  return text.includes(':') ? ipv6ToBytes(text) : ipv4ToBytes(text)
}

/** Text of four or sixteen octets; IPv6 in the form of RFC 5952. */
export function addressText(octets: Uint8Array): string {
  return octets.length === 4 ? octets.join('.') : ipv6Text(octets)
}

/** Can a resolver be reached there from another host? Not at unspecified, loopback, multicast or broadcast addresses. */
export function isReachableAddress(octets: Uint8Array): boolean {
  if (octets.length === 4) return octets[0] !== 0 && octets[0] !== 127 && octets[0]! < 224
  if (octets[0] === 0xff) return false
  const isLow = octets.subarray(0, 15).every((octet) => octet === 0)
  if (isLow) return octets[15]! > 1
  const embedded = isMapped(octets) ? octets.subarray(12) : undefined
  return embedded === undefined || isReachableAddress(embedded)
}

function ipv4ToBytes(text: string): Uint8Array | undefined {
  if (!/^(?:(?:0|[1-9]\d{0,2})\.){3}(?:0|[1-9]\d{0,2})$/.test(text)) return undefined
  const numbers = text.split('.').map(Number)
  return numbers.every((number) => number <= 0xff) ? Uint8Array.from(numbers) : undefined
}

/** RFC 4291 §2.2, all three forms. */
function ipv6ToBytes(text: string): Uint8Array | undefined {
  if (text.length > IPV6_TEXT_MAX) return undefined
  const halves = text.split('::')
  if (halves.length > 2) return undefined
  const head = groupsOf(halves[0]!, halves.length === 1)
  const tail = halves.length === 2 ? groupsOf(halves[1]!, true) : []
  if (!head || !tail) return undefined
  const missing = IPV6_BYTES - head.length - tail.length
  // `::` stands for at least one group.
  if (halves.length === 2 ? missing < 2 : missing !== 0) return undefined
  const octets = new Uint8Array(IPV6_BYTES)
  octets.set(head)
  octets.set(tail, IPV6_BYTES - tail.length)
  return octets
}
const IPV6_BYTES = 16
const IPV6_TEXT_MAX = 45

/** Octets of colon-separated groups; the last one may be an IPv4 address when the text ends there. */
function groupsOf(text: string, endsAddress: boolean): number[] | undefined {
  if (text === '') return []
  const octets: number[] = []
  const groups = text.split(':')
  for (const [index, group] of groups.entries()) {
    if (/^[0-9a-f]{1,4}$/i.test(group)) {
      const value = Number.parseInt(group, 16)
      octets.push(value >> 8, value & 0xff)
      continue
    }
    const embedded = endsAddress && index === groups.length - 1 ? ipv4ToBytes(group) : undefined
    if (!embedded) return undefined
    octets.push(...embedded)
  }
  return octets
}

function ipv6Text(octets: Uint8Array): string {
  if (isMapped(octets)) return `::ffff:${octets.subarray(12).join('.')}`
  const groups: number[] = []
  for (let at = 0; at < IPV6_BYTES; at += 2) groups.push((octets[at]! << 8) | octets[at + 1]!)
  const { start, length } = longestZeroRun(groups)
  const hex = groups.map((group) => group.toString(16))
  if (length < 2) return hex.join(':')
  return `${hex.slice(0, start).join(':')}::${hex.slice(start + length).join(':')}`
}

/** The first of the longest runs of zero groups (RFC 5952 §4.2.3). */
function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 }
  let start = 0
  for (let at = 0; at < groups.length; at++) {
    if (groups[at] !== 0) start = at + 1
    else if (at + 1 - start > best.length) best = { start, length: at + 1 - start }
  }
  return best
}

/** ::ffff:0:0/96 (RFC 4291 §2.5.5.2). */
function isMapped(octets: Uint8Array): boolean {
  return octets.subarray(0, 10).every((octet) => octet === 0) && octets[10] === 0xff && octets[11] === 0xff
}
