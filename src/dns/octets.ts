import { WireWriter } from './writer.ts'

/** The reader and writer that dns2 is given: it counts in bits, they work in octets. */

/** `offset` counts bits, because dns2 also moves it. */
export class OctetReader {
  readonly buffer: Uint8Array
  offset: number
  /** Set by the first record that is malformed: dns2 would go on, and an error per record costs more than a record. */
  spoiled = false

  constructor(buffer: Uint8Array, offset = 0) {
    this.buffer = buffer
    this.offset = offset
  }

  /** At most 32 bits. */
  read(bits: number): number {
    if (this.remaining() < bits) throw new RangeError('read past the end of the message')
    let value = 0
    if (this.offset % 8 === 0 && bits % 8 === 0) {
      const start = this.take(bits / 8)
      for (let at = start; at < start + bits / 8; at++) value = value * 256 + this.buffer[at]!
      return value
    }
    for (const end = this.offset + bits; this.offset < end; this.offset++) {
      value = value * 2 + ((this.buffer[this.offset >> 3]! >> (7 - (this.offset & 7))) & 1)
    }
    return value
  }

  /** Steps over whole octets and says where they began. */
  take(octets: number): number {
    const start = this.offset / 8
    this.offset += octets * 8
    return start
  }

  remaining(): number {
    return Math.max(0, this.buffer.length * 8 - this.offset)
  }
}

export class OctetWriter extends WireWriter {
  /** dns2 looks for its own table of names and makes one when this is missing. */
  readonly names = true
  #pending = 0
  #pendingBits = 0

  /** Only the header's flags are written in less than octets. */
  write(value: number, bits: number): void {
    if (this.#pendingBits === 0 && bits === 32) return this.uint32(value)
    if (this.#pendingBits === 0 && bits === 16) return this.uint16(value)
    this.#pending = (this.#pending << bits) | value
    this.#pendingBits += bits
    for (; this.#pendingBits >= 8; this.#pendingBits -= 8) this.uint8((this.#pending >> (this.#pendingBits - 8)) & 0xff)
    this.#pending &= (1 << this.#pendingBits) - 1
  }

  bitLength(): number {
    return this.length * 8 + this.#pendingBits
  }

  byteLength(): number {
    return this.length
  }

  /** dns2 fills in RDLENGTH this way, nothing else. */
  patch(bitOffset: number, value: number): void {
    this.patchUint16(bitOffset / 8, value)
  }

  /** dns2 asks after every record, so this must not copy. */
  toBuffer(): Buffer {
    const octets = this.toBytes()
    return Buffer.from(octets.buffer, octets.byteOffset, octets.length)
  }
}
