/**
 * Reads strict DER (X.690 §10) in place. What a signature covers must have one reading only, so everything looser that
 * BER allows is refused: indefinite or padded lengths, padded integers, bytes after the end.
 * Costs one pass: nothing here recurses, callers open each level they know of.
 */
export class DerReader {
  readonly #bytes: Uint8Array
  #at = 0

  private constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  /** The value that fills `der` from the first to the last byte. */
  static whole(der: Uint8Array, tag: number): DerValue {
    const reader = new DerReader(der)
    const value = reader.take(tag)
    reader.end()
    return value
  }

  /** The inside of the value that fills `der` from the first to the last byte. */
  static over(der: Uint8Array, tag: number): DerReader {
    return DerReader.inside(DerReader.whole(der, tag))
  }

  static inside({ content }: DerValue): DerReader {
    return new DerReader(content)
  }

  get atEnd(): boolean {
    return this.#at === this.#bytes.length
  }

  /** The next value, which must have this tag when one is given. */
  take(tag?: number): DerValue {
    const start = this.#at
    const found = this.#bytes[start]
    if (found === undefined) throw new NotDer('a value is missing')
    if (tag !== undefined && found !== tag)
      throw new NotDer(`tag ${hexByte(found)} stands where ${hexByte(tag)} should`)
    // X.509 and PKCS#10 use no tag number above 30.
    if ((found & 0x1f) === 0x1f) throw new NotDer('a tag is longer than one byte')
    const { length, contentAt } = this.#lengthAt(start + 1)
    const end = contentAt + length
    if (end > this.#bytes.length) throw new NotDer('a value runs past the end')
    this.#at = end
    return { tag: found, content: this.#bytes.subarray(contentAt, end), der: this.#bytes.subarray(start, end) }
  }

  /** The next value if it has this tag: ASN.1 OPTIONAL. */
  maybe(tag: number): DerValue | undefined {
    return this.#bytes[this.#at] === tag ? this.take(tag) : undefined
  }

  /** The inside of the next value. */
  open(tag: number): DerReader {
    return DerReader.inside(this.take(tag))
  }

  /** Every value that is left. */
  *rest(tag?: number): Generator<DerValue> {
    while (!this.atEnd) yield this.take(tag)
  }

  /** Refuses bytes that no field of the structure owns. */
  end(): void {
    if (!this.atEnd) throw new NotDer(`${this.#bytes.length - this.#at} bytes too many`)
  }

  #lengthAt(at: number): { length: number; contentAt: number } {
    const first = this.#bytes[at]
    if (first === undefined) throw new NotDer('a length is missing')
    if (first < 0x80) return { length: first, contentAt: at + 1 }
    const count = first & 0x7f
    if (count === 0 || count > LENGTH_BYTES_MAX) throw new NotDer('a length that is indefinite or too large')
    let length = 0
    for (let index = 1; index <= count; index++) {
      const byte = this.#bytes[at + index]
      if (byte === undefined) throw new NotDer('a length is cut off')
      length = length * 256 + byte
    }
    if (length < 0x80 || length < 256 ** (count - 1)) throw new NotDer('a length in more bytes than needed')
    return { length, contentAt: at + 1 + count }
  }
}

export interface DerValue {
  readonly tag: number
  readonly content: Uint8Array
  /** Tag, length and content. */
  readonly der: Uint8Array
}

/** Thrown by everything that reads DER. Never leaves this folder: parseCsr and parseCertificate turn it into a Fault. */
export class NotDer extends Error {
  override readonly name = 'NotDer'
}

/** Four bytes of length reach 4 GiB; a certificate needs two. */
const LENGTH_BYTES_MAX = 4

export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  objectId: 0x06,
  utf8String: 0x0c,
  printableString: 0x13,
  teletexString: 0x14,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  universalString: 0x1c,
  bmpString: 0x1e,
  sequence: 0x30,
  set: 0x31,
} as const

/** `[number]` around one value without its own tag (IMPLICIT, primitive). */
export const implicitTag = (number: number): number => 0x80 + number

/** `[number]` around whole values (EXPLICIT, or IMPLICIT around a structure). */
export const constructedTag = (number: number): number => 0xa0 + number

export function booleanOf({ content }: DerValue): boolean {
  if (content.length !== 1 || (content[0] !== 0 && content[0] !== 0xff)) throw new NotDer('a BOOLEAN that is neither')
  return content[0] === 0xff
}

/** An INTEGER that counts something: not negative, small. */
export function countOf({ content }: DerValue): number {
  checkMinimal(content)
  if (content[0]! >= 0x80 || content.length > COUNT_BYTES_MAX) throw new NotDer('a number out of range')
  return content.reduce((number, byte) => number * 256 + byte, 0)
}
const COUNT_BYTES_MAX = 4

/** How many bits a positive INTEGER has: 2048 for an RSA-2048 modulus. */
export function bitLengthOf({ content }: DerValue): number {
  checkMinimal(content)
  if (content[0]! >= 0x80) throw new NotDer('a negative number')
  const leading = content[0] === 0 && content.length > 1 ? 1 : 0
  return (content.length - leading) * 8 - (Math.clz32(content[leading]!) - 24)
}

function checkMinimal(content: Uint8Array): void {
  const [first, second] = content
  if (first === undefined) throw new NotDer('an empty INTEGER')
  if (second !== undefined && ((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80)))
    throw new NotDer('an INTEGER in more bytes than needed')
}

/** The bytes of a BIT STRING that holds whole bytes: keys and signatures. */
export function bitStringBytes({ content }: DerValue): Uint8Array {
  if (content[0] !== 0) throw new NotDer('a BIT STRING that is not whole bytes')
  return content.subarray(1)
}

/** The numbers of the bits that are set in a named-bit list such as KeyUsage (X.680 §22: bit 0 is the leftmost). */
export function bitsOf({ content }: DerValue): number[] {
  const unused = content[0]
  if (unused === undefined || unused > 7 || (unused > 0 && content.length === 1)) throw new NotDer('a bad BIT STRING')
  const bits: number[] = []
  for (let bit = 0; bit < (content.length - 1) * 8; bit++)
    if (content[1 + (bit >> 3)]! & (0x80 >> (bit & 7))) bits.push(bit)
  if (bits.some((bit) => bit >= (content.length - 1) * 8 - unused)) throw new NotDer('a bit set where none is')
  return bits
}

/** Dotted text. Arcs may be longer than a double holds: 2.25 carries whole UUIDs (X.667). */
export function objectIdOf({ content }: DerValue): string {
  if (content.length === 0 || content.length > OBJECT_ID_BYTES_MAX || content.at(-1)! >= 0x80)
    throw new NotDer('a bad OBJECT IDENTIFIER')
  const arcs: bigint[] = []
  let arc = 0n
  let fresh = true
  for (const byte of content) {
    if (fresh && byte === 0x80) throw new NotDer('an OBJECT IDENTIFIER in more bytes than needed')
    arc = arc * 128n + BigInt(byte & 0x7f)
    fresh = byte < 0x80
    if (!fresh) continue
    arcs.push(arc)
    arc = 0n
  }
  const first = arcs[0]! < 80n ? arcs[0]! / 40n : 2n
  return [first, arcs[0]! - first * 40n, ...arcs.slice(1)].join('.')
}
const OBJECT_ID_BYTES_MAX = 64

/** Milliseconds since 1970. RFC 5280 §4.1.2.5: seconds present, no fractions, always Z. */
export function timeOf({ tag, content }: DerValue): number {
  const text = asciiOf(content)
  const digits =
    tag === TAG.utcTime ? /^(\d\d)(\d{10})Z$/ : tag === TAG.generalizedTime ? /^(\d{4})(\d{10})Z$/ : undefined
  const match = digits?.exec(text)
  if (!match) throw new NotDer(`"${text}" is not a time`)
  const year = Number(match[1]) + (tag === TAG.generalizedTime ? 0 : Number(match[1]) < 50 ? 2000 : 1900)
  const [month, day, hour, minute, second] = match[2]!.match(/../g)!
  const iso = `${String(year).padStart(4, '0')}-${month}-${day}T${hour}:${minute}:${second}.000Z`
  const ms = Date.parse(iso)
  // Date.parse turns 31 February into March; only a time that prints as it was read exists.
  if (Number.isNaN(ms) || new Date(ms).toISOString() !== iso) throw new NotDer(`"${text}" is not a time`)
  return ms
}

/** IA5String and its subsets: bytes above 127 have no meaning there. */
export function asciiOf(content: Uint8Array): string {
  if (content.some((byte) => byte >= 0x80)) throw new NotDer('a byte above 127 in an ASCII string')
  return Buffer.from(content).toString('latin1')
}

const hexByte = (byte: number): string => `0x${byte.toString(16).padStart(2, '0')}`
