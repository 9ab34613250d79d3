import { concatBytes } from '../core/bytes.ts'
import { TAG } from './der-reader.ts'

/** One DER value: tag, shortest length (X.690 §10.1), the parts one after the other. */
export function der(tag: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const length = parts.reduce((sum, part) => sum + part.length, 0)
  return concatBytes([Uint8Array.of(tag, ...lengthBytes(length)), ...parts])
}

function lengthBytes(length: number): number[] {
  if (length < 0x80) return [length]
  const bytes: number[] = []
  for (let left = length; left > 0; left = Math.floor(left / 256)) bytes.unshift(left % 256)
  return [0x80 + bytes.length, ...bytes]
}

export const sequence = (...parts: readonly Uint8Array[]): Uint8Array => der(TAG.sequence, ...parts)
export const octetString = (content: Uint8Array): Uint8Array => der(TAG.octetString, content)
export const bitString = (content: Uint8Array): Uint8Array => der(TAG.bitString, Uint8Array.of(0), content)
export const nullValue = (): Uint8Array => der(TAG.null)
export const trueValue = (): Uint8Array => der(TAG.boolean, Uint8Array.of(0xff))

/** SET OF: DER sorts the members by their encoding (X.690 §11.6). */
export const setOf = (members: readonly Uint8Array[]): Uint8Array =>
  der(TAG.set, ...members.toSorted((a, b) => Buffer.compare(a, b)))

/** An INTEGER from its magnitude, big end first. */
export function integer(magnitude: Uint8Array): Uint8Array {
  let start = 0
  while (start < magnitude.length - 1 && magnitude[start] === 0) start++
  const digits = magnitude.subarray(start)
  return der(TAG.integer, Uint8Array.of(...(digits[0]! >= 0x80 ? [0] : [])), digits)
}

export const smallInteger = (value: number): Uint8Array => integer(Uint8Array.of(value >> 8, value & 0xff))

/** A named-bit list: trailing zero bits are dropped (X.690 §11.2.2). */
export function namedBits(bits: readonly number[]): Uint8Array {
  const last = Math.max(-1, ...bits)
  const bytes = new Uint8Array((last >> 3) + 1)
  for (const bit of bits) bytes[bit >> 3]! |= 0x80 >> (bit & 7)
  return der(TAG.bitString, Uint8Array.of(last < 0 ? 0 : 7 - (last & 7)), bytes)
}

export function objectId(dotted: string): Uint8Array {
  const [first, second, ...others] = dotted.split('.').map(BigInt)
  return der(TAG.objectId, Uint8Array.from([first! * 40n + second!, ...others].flatMap(base128)))
}

function base128(arc: bigint): number[] {
  const bytes = [Number(arc & 0x7fn)]
  for (let left = arc >> 7n; left > 0n; left >>= 7n) bytes.unshift(Number(left & 0x7fn) | 0x80)
  return bytes
}

export const text = (tag: number, value: string): Uint8Array => der(tag, Buffer.from(value, 'utf8'))

/** UTCTime until 2049, GeneralizedTime after (RFC 5280 §4.1.2.5). Fractions of a second cannot be written. */
export function time(ms: number): Uint8Array {
  const digits = new Date(ms).toISOString().slice(0, 19).replaceAll(/[-:T]/g, '')
  const isShort = digits >= '1950' && digits < '2050'
  return isShort ? text(TAG.utcTime, `${digits.slice(2)}Z`) : text(TAG.generalizedTime, `${digits}Z`)
}
