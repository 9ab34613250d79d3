/** A client as two numbers: an IPv4 address, or the /64 of an IPv6 one, which is what one subscriber or device can move in. */
export interface ClientKey {
  high: number
  low: number
}

const COLON = 0x3a
const DOT = 0x2e
const DIGIT_0 = 0x30
const LETTER_A = 0x61
const GROUPS = 8
/** Of the first half of an IPv6 address; no network has ::ffff:0:0/32 as its prefix, so IPv4 stands there. */
const IPV4_HIGH = 0x0000_ffff

/** The groups of the address being read. One at a time, so one array does. */
const groups = new Uint16Array(GROUPS + 1)

/**
 * Reads the text of an address as the system writes it (RFC 5952, lower case) into `key`, without making anything. Other
 * text gives some key, always the same one.
 */
export function readClientKey(address: string, key: ClientKey): void {
  let value = 0
  let count = 0
  let gap = -1
  let decimal = 0
  let ipv4 = 0
  const { length } = address
  for (let at = 0; at < length; at++) {
    const character = address.charCodeAt(at)
    if (character === DOT) {
      ipv4 = (ipv4 << 8) | decimal
      decimal = 0
    } else if (character === COLON) {
      if (at === 0) continue
      if (address.charCodeAt(at - 1) === COLON) {
        gap = count
        continue
      }
      if (count < GROUPS) groups[count++] = value
      value = 0
    } else {
      decimal = decimal * 10 + character - DIGIT_0
      value = (value << 4) | (character >= LETTER_A ? character - LETTER_A + 10 : character - DIGIT_0)
    }
  }
  if (count === 0 && gap < 0) {
    key.high = IPV4_HIGH
    key.low = ((ipv4 << 8) | (decimal & 0xff)) >>> 0
    return
  }
  if (address.charCodeAt(length - 1) !== COLON && count < GROUPS) groups[count++] = value
  key.high = ((group(0, count, gap) << 16) | group(1, count, gap)) >>> 0
  key.low = ((group(2, count, gap) << 16) | group(3, count, gap)) >>> 0
}

/** The group at `index` once `::` is written out. */
function group(index: number, count: number, gap: number): number {
  if (gap < 0 || index < gap) return index < count ? groups[index]! : 0
  const read = index - (GROUPS - count)
  return read >= gap ? groups[read]! : 0
}
