import { Fault } from '../core/fault.ts'
import { lowerName, nameToWire } from './name.ts'
import { MESSAGE_BYTES_MAX, putUint16, putUint32 } from './wire.ts'

/** Names in SVCB, SRV and other newer RDATA must not be compressed (RFC 3597 §4). */
export type NameForm = 'compressed' | 'plain'

/** A growing message. Names are compressed against those learnt before, letter case aside (RFC 1035 §4.1.4). */
export class WireWriter {
  length = 0
  /** Whether names written in compressed form may be pointed to by later ones. */
  learning = true
  #octets = new Uint8Array(512)
  /** Lower-case wire form of every suffix a pointer may lead to → its offset. */
  readonly #suffixes = new Map<string, number>()

  uint8(value: number): void {
    this.#reserve(1)
    this.#octets[this.length++] = value
  }
  uint16(value: number): void {
    this.#reserve(2)
    this.length = putUint16(this.#octets, this.length, value)
  }
  uint32(value: number): void {
    this.#reserve(4)
    this.length = putUint32(this.#octets, this.length, value)
  }
  octets(octets: Uint8Array): void {
    this.#reserve(octets.length)
    this.#octets.set(octets, this.length)
    this.length += octets.length
  }
  /** Overwrites what was left open, such as RDLENGTH. */
  patchUint16(at: number, value: number): void {
    putUint16(this.#octets, at, value)
  }

  /** Throws CONFIG_INVALID when the text is no name. */
  name(text: string, form: NameForm): void {
    const name = nameToWire(text)
    if (!name) throw new Fault('CONFIG_INVALID', `"${text}" is no domain name`)
    if (form === 'plain') return this.octets(name)
    const suffixes = suffixesOf(name)
    const known = suffixes.find(({ key }) => this.#suffixes.has(key))
    const start = this.length
    this.octets(name.subarray(0, known?.start ?? name.length))
    if (known) this.uint16(POINTER | this.#suffixes.get(known.key)!)
    if (this.learning) this.#learn(suffixes, start)
  }

  /** Makes the name that was written at `at` by other means known to later ones. */
  learn(name: Uint8Array, at: number): void {
    this.#learn(suffixesOf(name), at)
  }

  /** The message so far; a view that the next write may outdate. */
  toBytes(): Uint8Array {
    return this.#octets.subarray(0, this.length)
  }

  #learn(suffixes: readonly Suffix[], at: number): void {
    for (const { key, start } of suffixes) {
      // A pointer has fourteen bits.
      if (at + start < 0x4000 && !this.#suffixes.has(key)) this.#suffixes.set(key, at + start)
    }
  }

  #reserve(more: number): void {
    const needed = this.length + more
    if (needed > MESSAGE_BYTES_MAX) throw new RangeError('a DNS message has at most 65535 octets')
    if (needed <= this.#octets.length) return
    const larger = new Uint8Array(Math.max(needed, this.#octets.length * 2))
    larger.set(this.#octets.subarray(0, this.length))
    this.#octets = larger
  }
}
const POINTER = 0xc000

interface Suffix {
  readonly key: string
  readonly start: number
}

/** The name and each of its parents, the root excepted: a pointer would be longer than it. */
function suffixesOf(name: Uint8Array): Suffix[] {
  const lower = Buffer.from(lowerName(name))
  const suffixes: Suffix[] = []
  // A name has at most 127 labels.
  for (let start = 0; lower[start] !== 0; start += lower[start]! + 1) {
    suffixes.push({ key: lower.toString('latin1', start), start })
  }
  return suffixes
}
