/** The 4 or 16 bytes of an address; undefined for any other text, also for an IPv6 address with a zone. */
export function ipToBytes(address: string): Uint8Array | undefined {
  return address.includes(':') ? ipv6Bytes(address) : ipv4Bytes(address)
}

/** Undefined unless there are 4 or 16 bytes. IPv6 is written as RFC 5952 asks. */
export function ipToText(bytes: Uint8Array): string | undefined {
  if (bytes.length === IPV4_BYTES) return bytes.join('.')
  if (bytes.length !== IPV6_BYTES) return undefined
  const groups = Array.from({ length: 8 }, (_, index) => bytes[index * 2]! * 256 + bytes[index * 2 + 1]!)
  const [start, length] = longestZeros(groups)
  const hex = groups.map((group) => group.toString(16))
  if (length < 2) return hex.join(':')
  return `${hex.slice(0, start).join(':')}::${hex.slice(start + length).join(':')}`
}

/** `192.168.0.0/16` → address and mask, as name constraints hold them (RFC 5280 §4.2.1.10). */
export function prefixToBytes(prefix: string): { readonly network: Uint8Array; readonly mask: Uint8Array } | undefined {
  const [, address, length] = /^([^/]+)\/(\d{1,3})$/.exec(prefix) ?? []
  const network = address === undefined ? undefined : ipToBytes(address)
  const bits = Number(length)
  if (!network || bits > network.length * 8) return undefined
  const mask = network.map((_, index) => 0xff00 >> Math.min(Math.max(bits - index * 8, 0), 8))
  return { network, mask }
}

const IPV4_BYTES = 4
const IPV6_BYTES = 16

function ipv4Bytes(address: string): Uint8Array | undefined {
  const parts = address.split('.')
  // No leading zeros: some programs read them as octal.
  if (parts.length !== IPV4_BYTES || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256))
    return undefined
  return Uint8Array.from(parts, Number)
}

function ipv6Bytes(address: string): Uint8Array | undefined {
  const halves = address.split('::')
  if (halves.length > 2) return undefined
  const [head, tail] = halves.map((half, index) => groupBytes(half, index === halves.length - 1))
  if (!head || (halves.length === 2 && !tail)) return undefined
  const missing = IPV6_BYTES - head.length - (tail?.length ?? 0)
  // `::` stands for at least one group of zeros.
  if (halves.length === 2 ? missing < 2 : missing !== 0) return undefined
  return Uint8Array.from([...head, ...Array.from({ length: missing }, () => 0), ...(tail ?? [])])
}

/** The bytes of `fe80:1` or, at the end of an address, `ffff:192.0.2.1`. */
function groupBytes(groups: string, isEnd: boolean): number[] | undefined {
  if (groups === '') return []
  const parts = groups.split(':')
  const bytes = parts.map((part, index) => {
    if (part.includes('.') && isEnd && index === parts.length - 1) return ipv4Bytes(part)
    return /^[0-9a-f]{1,4}$/i.test(part)
      ? [Number.parseInt(part, 16) >> 8, Number.parseInt(part, 16) & 0xff]
      : undefined
  })
  return bytes.every((each) => each !== undefined) ? bytes.flatMap((each) => [...each]) : undefined
}

/** Start and length of the first longest run of zero groups. */
function longestZeros(groups: readonly number[]): [start: number, length: number] {
  let best: [number, number] = [0, 0]
  for (let start = 0; start < groups.length; start++) {
    let end = start
    while (groups[end] === 0) end++
    if (end - start > best[1]) best = [start, end - start]
  }
  return best
}
