import { uint16 } from '../../../dns/wire.ts'

/**
 * HalfSipHash-1-3 over a question, read in place with letters folded. Keyed, so that nobody outside can choose names
 * that fall on one place of the table.
 */
export class QuestionHash {
  readonly #key0: number
  readonly #key1: number

  /** Eight octets nobody can guess. */
  constructor(key: Uint8Array) {
    const view = new DataView(key.buffer, key.byteOffset, 8)
    this.#key0 = view.getInt32(0)
    this.#key1 = view.getInt32(4)
  }

  /** Of the name from `nameStart` to `nameEnd`, behind which the question's type and class are; `type` stands for the type. */
  of(wire: Uint8Array, nameStart: number, nameEnd: number, type: number, variant: number): number {
    let v0 = this.#key0
    let v1 = this.#key1
    let v2 = v0 ^ 0x6c79_6765
    let v3 = v1 ^ 0x7465_6462
    let at = nameStart - 8
    for (let finals = 0; finals < FINAL_ROUNDS; ) {
      let word = 0
      if (at < nameStart) word = at === nameStart - 8 ? (type << 16) | uint16(wire, nameEnd + 2) : variant
      else if (at < nameEnd) word = foldedWord(wire, at, nameEnd)
      else if (finals++ === 0) v2 ^= 0xff
      at += 4
      v3 ^= word
      v0 = (v0 + v1) | 0
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0
      v0 = (v0 << 16) | (v0 >>> 16)
      v2 = (v2 + v3) | 0
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2
      v0 = (v0 + v3) | 0
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0
      v2 = (v2 + v1) | 0
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2
      v2 = (v2 << 16) | (v2 >>> 16)
      v0 ^= word
    }
    return v1 ^ v3
  }
}

const FINAL_ROUNDS = 3

/** ASCII letters in lower case (RFC 4343 §3); length octets are below `A`. */
export const FOLDED = Uint8Array.from({ length: 256 }, (_, octet) =>
  octet >= 0x41 && octet <= 0x5a ? octet | 0x20 : octet,
)

/** Four octets of the name. The name ends with a zero octet, so the zeros that fill the last word change nothing. */
function foldedWord(wire: Uint8Array, at: number, end: number): number {
  if (at + 4 <= end)
    return (
      FOLDED[wire[at]!]! |
      (FOLDED[wire[at + 1]!]! << 8) |
      (FOLDED[wire[at + 2]!]! << 16) |
      (FOLDED[wire[at + 3]!]! << 24)
    )
  let word = 0
  for (let shift = 0; at < end; at++, shift += 8) word |= FOLDED[wire[at]!]! << shift
  return word
}
