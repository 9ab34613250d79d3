import { DynamicTable } from './dynamic-table.ts'
import { ConnectionError } from './error.ts'
import { type Field, type FieldKind, isFieldValue, KIND, kindOf, kindOfName } from './field.ts'
import { decodeHuffman } from './huffman.ts'
import { HEADER_BLOCK_BYTES_MAX } from './limits.ts'
import { STATIC_TABLE } from './static-table.ts'

/** Hears the fields of a block in order. */
export interface FieldSink {
  field(field: Field): void
}

/** No number in a block of at most HEADER_BLOCK_BYTES_MAX needs more; five octets would reach 2^35 (RFC 7541 §5.1). */
const INTEGER_OCTETS_MAX = 4
/** The shortest Huffman code has five bits. Filled and read within one call. */
const text = Buffer.allocUnsafeSlow(Math.ceil((HEADER_BLOCK_BYTES_MAX * 8) / 5))
/** Of the string read last: whether a field value may be made of it. Beside the string, to spare an object for each. */
let isValue = false

/** One direction of one connection (RFC 7541). Octets above 127 become the characters of the same number. */
export class HpackDecoder {
  readonly #table: DynamicTable
  readonly #tableBytesMax: number
  #bytes: Buffer = text
  #at = 0
  #end = 0

  /** `tableBytesMax`: what we announced in SETTINGS_HEADER_TABLE_SIZE. */
  constructor(tableBytesMax: number) {
    this.#tableBytesMax = tableBytesMax
    this.#table = new DynamicTable(tableBytesMax)
  }

  /** Reads a whole block. Throws ConnectionError COMPRESSION_ERROR: after that nothing of this connection can be read. */
  decode(bytes: Buffer, start: number, end: number, sink: FieldSink): void {
    this.#bytes = bytes
    this.#at = start
    this.#end = end
    this.#resizes()
    while (this.#at < end) {
      const first = bytes[this.#at]!
      if (first >= 0x80) sink.field(this.#indexed(this.#integer(0x7f)))
      else if (first >= 0x40) {
        const field = this.#literal(0x3f)
        this.#table.add(field)
        sink.field(field)
      } else if (first >= 0x20) throw broken('a table size update after a field')
      else sink.field(this.#literal(0x0f))
    }
    this.#bytes = text // not to keep a chunk alive
  }

  /** Only before the first field (RFC 7541 §4.2). */
  #resizes(): void {
    while (this.#at < this.#end && (this.#bytes[this.#at]! & 0xe0) === 0x20) {
      const bytesMax = this.#integer(0x1f)
      if (bytesMax > this.#tableBytesMax) throw broken('a table larger than our setting')
      this.#table.resize(bytesMax)
    }
  }

  #indexed(index: number): Field {
    const place = index - 1
    const field = place < STATIC_TABLE.length ? STATIC_TABLE[place] : this.#table.at(place - STATIC_TABLE.length)
    if (!field) throw broken('an index without an entry')
    return field
  }

  #literal(mask: number): Field {
    const index = this.#integer(mask)
    let name: string
    let nameKind: FieldKind
    if (index > 0) {
      const named = this.#indexed(index)
      name = named.name
      // The kind of an entry may be that of its value.
      nameKind = named.kind === KIND.FAULTY ? kindOfName(name) : named.kind
    } else {
      name = this.#string()
      nameKind = kindOfName(name)
    }
    const value = this.#string()
    return { name, value, kind: isValue ? kindOf(name, value, nameKind) : KIND.FAULTY }
  }

  #integer(mask: number): number {
    const prefix = this.#bytes[this.#at++]! & mask
    if (prefix < mask) return prefix
    let value = mask
    for (let octets = 0; octets < INTEGER_OCTETS_MAX; octets++) {
      if (this.#at >= this.#end) throw broken('a number that does not end')
      const octet = this.#bytes[this.#at++]!
      value += (octet & 0x7f) << (7 * octets)
      if (octet < 0x80) return value
    }
    throw broken('a number too large')
  }

  #string(): string {
    if (this.#at >= this.#end) throw broken('a field that does not end')
    const huffman = this.#bytes[this.#at]! >= 0x80
    const length = this.#integer(0x7f)
    const start = this.#at
    this.#at += length
    if (this.#at > this.#end) throw broken('a string that does not end')
    if (!huffman) {
      isValue = isFieldValue(this.#bytes, start, this.#at)
      return this.#bytes.toString('latin1', start, this.#at)
    }
    const decoded = decodeHuffman(this.#bytes, start, this.#at, text)
    if (decoded < 0) throw broken('a Huffman code that is none')
    isValue = isFieldValue(text, 0, decoded)
    return text.toString('latin1', 0, decoded)
  }
}

function broken(what: string): ConnectionError {
  return new ConnectionError('COMPRESSION_ERROR', `the header block has ${what}`)
}
