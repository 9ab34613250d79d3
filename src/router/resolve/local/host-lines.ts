import { addressText, addressToBytes, isReachableAddress } from '../../../dns/address.ts'

/** A host as one line of a file tells it. */
export interface HostLine {
  /** In the spelling of RFC 5952. */
  readonly addresses: readonly string[]
  /** Lower case, without a final dot; the first one is what the addresses are called. */
  readonly names: readonly string[]
  /** Counted from 1. */
  readonly line: number
  /** Of a lease: what tells its client from others with the same name. */
  readonly client?: string
  /** On the wall clock; absent when it has no end, or the end cannot be judged. */
  readonly expiresMs?: number
}

export interface HostLines {
  readonly hosts: readonly HostLine[]
  /** The first line that is damaged, and how many there are. */
  readonly damaged?: { readonly line: number; readonly problem: string; readonly count: number }
}

/** More than any home has, read in a tenth of a second; a block list does not belong here. */
export const HOST_LINES_MAX = 5_000
/** A line of /etc/hosts with a dozen names has 300 characters, an odhcpd lease with eight addresses 500. */
const LINE_CHARACTERS_MAX = 4_096
const LABEL_CHARACTERS_MAX = 63
export const NAME_CHARACTERS_MAX = 253

/** Reads a file line by line; a damaged line is left out and counted. `read` gives a host, nothing, or the problem in words. */
export function readHostLines(
  text: string,
  read: (line: string, number: number) => HostLine | string | undefined,
): HostLines {
  const hosts: HostLine[] = []
  let damaged: { line: number; problem: string; count: number } | undefined
  for (const [index, line] of text.split('\n').entries()) {
    const isLong = line.length > LINE_CHARACTERS_MAX
    const found =
      hosts.length >= HOST_LINES_MAX
        ? `there are more than ${HOST_LINES_MAX} hosts before it`
        : isLong
          ? `it is longer than ${LINE_CHARACTERS_MAX} characters`
          : read(line.trim(), index + 1)
    if (found === undefined) continue
    if (typeof found !== 'string') hosts.push(found)
    else if (damaged) damaged.count++
    else damaged = { line: index + 1, problem: found, count: 1 }
    if (hosts.length >= HOST_LINES_MAX && damaged) break
  }
  return { hosts, ...(damaged ? { damaged } : {}) }
}

/** hosts(5): an address and its names; `#` begins a comment. Loopback and multicast addresses name nobody in the LAN. */
export function readHostsFile(text: string): HostLines {
  return readHostLines(text, (whole, line) => {
    const [first = '', ...names] = whole.replace(/#.*/, '').trim().split(/\s+/)
    if (first === '') return undefined
    const octets = addressToBytes(first.replace(/%.*/, ''))
    if (!octets) return `"${first.slice(0, 60)}" is no address`
    const wrong = names.find((name) => !isHostName(name.toLowerCase()))
    if (names.length === 0) return 'the address has no name'
    if (wrong !== undefined) return `"${wrong.slice(0, 60)}" is no host name`
    const isNobody = octets.every((octet) => octet === 0)
    if (!isReachableAddress(octets) && !isNobody) return undefined
    return { addresses: [addressText(octets)], names: names.map((name) => name.toLowerCase().replace(/\.$/, '')), line }
  })
}

/** RFC 1123 §2.1, with the underscores that people write all the same. */
function isHostName(name: string): boolean {
  const labels = name.replace(/\.$/, '').split('.')
  return (
    name.length <= NAME_CHARACTERS_MAX &&
    labels.every((label) => /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/.test(label))
  )
}

/**
 * The label under which a device that calls itself `text` is known, or undefined when nothing of it can be one
 * (RFC 1123 §2.1). A device may send a full name; its domain is not for it to choose.
 */
export function hostLabel(text: string): string | undefined {
  // odhcpd and dnsmasq mark what they cannot use with characters no name has.
  if (text === '*' || text === '-' || text.includes('\\')) return undefined
  const label = text
    .split('.', 1)[0]!
    .slice(0, LABEL_CHARACTERS_MAX)
    .toLowerCase()
    .replaceAll(/[^a-z0-9-]+/g, '-')
    .replaceAll(/^-+|-+$/g, '')
  return label === '' ? undefined : label
}
