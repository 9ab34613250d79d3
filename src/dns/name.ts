import { HEADER_BYTES } from './wire.ts'

/** Domain names, wire and text (RFC 1035 §3.1, §4.1.4, §5.1). Text has no trailing dot, except the root: `.`. */

/** Length octets and the root's zero included (RFC 1035 §2.3.4). */
export const NAME_BYTES_MAX = 255
export const LABEL_BYTES_MAX = 63
/** More hops than any compressor makes; without a limit a chain of pointers costs seconds per message. */
const POINTER_HOPS_MAX = 16

const POINTER = 0xc0
const DOT = 0x2e
const BACKSLASH = 0x5c

/** Offset just after the name, or -1. The bound makes a hostile packet cost at most 255 steps. */
export function skipName(wire: Uint8Array, start: number): number {
  for (let at = start; at < wire.length && at - start < NAME_BYTES_MAX; at += wire[at]! + 1) {
    const length = wire[at]!
    if (length === 0) return at + 1
    // A pointer ends the name (RFC 1035 §4.1.4). Where it leads is judged by whoever reads the name.
    if (length >= POINTER) return at + 2 <= wire.length ? at + 2 : -1
    if (length > LABEL_BYTES_MAX) return -1
  }
  return -1
}

/** As skipName, for places where a pointer is forbidden: the question, SVCB targets (RFC 9460 §2.2), DNR names. */
export function skipPlainName(wire: Uint8Array, start: number): number {
  for (let at = start; at < wire.length && at - start < NAME_BYTES_MAX; at += wire[at]! + 1) {
    const length = wire[at]!
    if (length === 0) return at + 1
    if (length > LABEL_BYTES_MAX) return -1
  }
  return -1
}

/** Presentation text of the name at `start`, or undefined. A pointer must lead strictly backwards. */
export function readName(wire: Uint8Array, start: number): string | undefined {
  let text = ''
  let at = start
  let lowest = start
  let hops = 0
  // Each turn takes a pointer (at most 16) or a label (at most 127), so the loop is short whatever the packet holds.
  for (let bytes = 1; bytes <= NAME_BYTES_MAX; ) {
    const length = wire[at]
    if (length === undefined) return undefined
    if (length === 0) return text === '' ? '.' : text.slice(0, -1)
    if (length >= POINTER) {
      const low = wire[at + 1]
      if (low === undefined || ++hops > POINTER_HOPS_MAX) return undefined
      const target = ((length & 0x3f) << 8) | low
      if (target >= lowest || target < HEADER_BYTES) return undefined
      at = lowest = target
      continue
    }
    if (length > LABEL_BYTES_MAX || at + 1 + length > wire.length) return undefined
    text += `${labelText(wire, at + 1, at + 1 + length)}.`
    at += 1 + length
    bytes += 1 + length
  }
  return undefined
}

/** Uncompressed wire form of presentation text, with or without a trailing dot; undefined when it is no name. */
export function nameToWire(text: string): Uint8Array | undefined {
  if (text === '.') return new Uint8Array(1)
  if (text === '' || text.length > NAME_TEXT_MAX) return undefined
  const wire = new Uint8Array(NAME_BYTES_MAX)
  let labelStart = 0
  let end = 1
  for (let at = 0; at < text.length; ) {
    let octet = text.charCodeAt(at++)
    if (octet === DOT) {
      if (end === labelStart + 1) return undefined // an empty label
      wire[labelStart] = end - labelStart - 1
      labelStart = end++
      if (end > NAME_BYTES_MAX) return undefined
      continue
    }
    if (octet === BACKSLASH) {
      const escape = readEscape(text, at)
      if (!escape) return undefined
      octet = escape.octet
      at = escape.end
    }
    // Letters beyond ASCII have to arrive as A-labels (RFC 5890): guessing an encoding would make another name.
    else if (octet > 0x7e || octet < 0x21) return undefined
    if (end - labelStart > LABEL_BYTES_MAX || end >= NAME_BYTES_MAX) return undefined
    wire[end++] = octet
  }
  const isOpen = end > labelStart + 1 // no trailing dot: the root label is still owed
  if (isOpen) wire[labelStart] = end - labelStart - 1
  const length = isOpen ? end + 1 : end
  return length <= NAME_BYTES_MAX ? wire.slice(0, length) : undefined
}
/** Every octet escaped as \DDD. */
const NAME_TEXT_MAX = NAME_BYTES_MAX * 4

/** A copy with ASCII letters in lower case (RFC 4343 §3). Length octets are below `A`, so they need no special care. */
export function lowerName(name: Uint8Array): Uint8Array {
  return Uint8Array.from(name, lowerOctet)
}

export function lowerOctet(octet: number): number {
  return octet >= 0x41 && octet <= 0x5a ? octet | 0x20 : octet
}

/** Letter case aside, is `name` the zone's apex or below it? Both in presentation text. */
export function isUnder(name: string, zone: string): boolean {
  const below = withoutTrailingDot(name.toLowerCase())
  const apex = withoutTrailingDot(zone.toLowerCase())
  if (apex === '') return true
  if (!below.endsWith(apex)) return false
  const cut = below.length - apex.length - 1
  return cut === -1 || (below[cut] === '.' && !isEscaped(below, cut))
}

function withoutTrailingDot(text: string): string {
  return text.endsWith('.') && !isEscaped(text, text.length - 1) ? text.slice(0, -1) : text
}

/** An odd number of backslashes before the character takes its meaning away. */
function isEscaped(text: string, at: number): boolean {
  let backslashes = 0
  while (text[at - 1 - backslashes] === '\\') backslashes++
  return backslashes % 2 === 1
}

/** `.` and `\` get a backslash, what is not printable becomes \DDD (RFC 1035 §5.1). */
function labelText(wire: Uint8Array, start: number, end: number): string {
  let text = ''
  for (let at = start; at < end; at++) {
    const octet = wire[at]!
    if (octet === DOT || octet === BACKSLASH) text += `\\${String.fromCharCode(octet)}`
    else if (octet > 0x20 && octet < 0x7f) text += String.fromCharCode(octet)
    else text += `\\${String(octet).padStart(3, '0')}`
  }
  return text
}

/** What follows a backslash: three digits of a decimal octet, or one character taken literally. */
function readEscape(text: string, at: number): { octet: number; end: number } | undefined {
  const digits = /^\d{3}/.exec(text.slice(at, at + 3))?.[0]
  if (digits !== undefined) return Number(digits) <= 0xff ? { octet: Number(digits), end: at + 3 } : undefined
  const octet = text.charCodeAt(at)
  if (Number.isNaN(octet) || octet > 0x7e || octet < 0x20 || (octet >= 0x30 && octet <= 0x39)) return undefined
  return { octet, end: at + 1 }
}
