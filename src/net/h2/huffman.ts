/**
 * RFC 7541 appendix B. The code is canonical: shorter codes first, codes of one length in the order of their symbols, so
 * their lengths say everything. 256 is the end-of-string symbol.
 */
// biome-ignore format: sixteen symbols a line
const CODE_LENGTHS = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
  28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
   6, 10, 10, 12, 13,  6,  8, 11, 10, 10,  8, 11,  8,  6,  6,  6,
   5,  5,  5,  6,  6,  6,  6,  6,  6,  6,  7,  8, 15,  6, 12, 10,
  13,  6,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,
   7,  7,  7,  7,  7,  7,  7,  7,  8,  7,  8, 13, 19, 13, 14,  6,
  15,  5,  6,  5,  6,  5,  6,  6,  6,  5,  7,  7,  6,  6,  6,  5,
   6,  7,  6,  5,  5,  6,  7,  7,  7,  7,  7, 15, 11, 14, 13, 28,
  20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
  24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
  22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
  21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
  26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
  19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
  20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
  26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
  30,
]
const END_OF_STRING = 256
const CODE_BITS_MAX = 30
/** Codes this short are found in one step; that is every letter and digit but a few. */
const QUICK_BITS = 8

/** Symbols in the order of their codes. */
const SYMBOLS = new Uint16Array(CODE_LENGTHS.length)
/** Per length: the first code of that length, how many there are, and where their symbols begin. */
const FIRST_CODE = new Uint32Array(CODE_BITS_MAX + 1)
const CODE_COUNT = new Uint16Array(CODE_BITS_MAX + 1)
const FIRST_SYMBOL = new Uint16Array(CODE_BITS_MAX + 1)
/** By the next QUICK_BITS bits: the symbol, and its length above it; 0 when the code is longer. */
const QUICK = new Uint16Array(1 << QUICK_BITS)
fillTables()

/**
 * Writes the decoded octets to `target` and returns their number, or -1: an end-of-string symbol, more than seven bits of
 * padding, or padding that is not the beginning of that symbol (RFC 7541 §5.2). `target` must have room for 8/5 of the input.
 */
export function decodeHuffman(bytes: Uint8Array, start: number, end: number, target: Uint8Array): number {
  const bitsEnd = end * 8
  let bit = start * 8
  let length = 0
  while (bit < bitsEnd) {
    const at = bit >> 3
    // Ones behind the end: padding then looks like the end-of-string symbol, which no short code begins.
    const next = at + 1 < end ? bytes[at + 1]! : 0xff
    const window = (((bytes[at]! << 8) | next) >> (8 - (bit & 7))) & 0xff
    const quick = QUICK[window]!
    if (quick !== 0) {
      bit += quick >> 8
      if (bit > bitsEnd) return -1
      target[length++] = quick
    } else if (bitsEnd - bit < QUICK_BITS) {
      const ones = (1 << (bitsEnd - bit)) - 1
      return (bytes[at]! & ones) === ones ? length : -1
    } else {
      const symbol = longSymbol(bytes, bit + QUICK_BITS, bitsEnd, window)
      if (symbol < 0 || symbol === END_OF_STRING) return -1
      bit += CODE_LENGTHS[symbol]!
      target[length++] = symbol
    }
  }
  return length
}

/** `code`: the bits before `start`, which are not all of a code yet. */
function longSymbol(bytes: Uint8Array, start: number, bitsEnd: number, code: number): number {
  let longer = code
  for (let bit = start, bits = QUICK_BITS + 1; bits <= CODE_BITS_MAX && bit < bitsEnd; bit++, bits++) {
    longer = longer * 2 + ((bytes[bit >> 3]! >> (7 - (bit & 7))) & 1)
    const offset = longer - FIRST_CODE[bits]!
    if (offset >= 0 && offset < CODE_COUNT[bits]!) return SYMBOLS[FIRST_SYMBOL[bits]! + offset]!
  }
  return -1
}

function fillTables(): void {
  let code = 0
  let count = 0
  for (let bits = 1; bits <= CODE_BITS_MAX; bits++) {
    code *= 2
    FIRST_CODE[bits] = code
    FIRST_SYMBOL[bits] = count
    for (let symbol = 0; symbol < CODE_LENGTHS.length; symbol++) {
      if (CODE_LENGTHS[symbol] !== bits) continue
      SYMBOLS[count++] = symbol
      if (bits <= QUICK_BITS) {
        const from = code << (QUICK_BITS - bits)
        QUICK.fill((bits << 8) | symbol, from, from + (1 << (QUICK_BITS - bits)))
      }
      code++
    }
    CODE_COUNT[bits] = code - FIRST_CODE[bits]!
  }
}
