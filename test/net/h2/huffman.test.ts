import { describe, expect, it } from 'vitest'
import { decodeHuffman } from '../../../src/net/h2/huffman.ts'
import { randomNumbers } from '../../dns/hostile.ts'

function decoded(hex: string): string | undefined {
  const bytes = Buffer.from(hex, 'hex')
  const target = Buffer.alloc(2 * bytes.length)
  const length = decodeHuffman(bytes, 0, bytes.length, target)
  return length < 0 ? undefined : target.toString('latin1', 0, length)
}

describe('the Huffman code of RFC 7541 appendix B', () => {
  it.each([
    ['f1e3c2e5f23a6ba0ab90f4ff', 'www.example.com'],
    ['a8eb10649cbf', 'no-cache'],
    ['25a849e95ba97d7f', 'custom-key'],
    ['6402', '302'],
    ['aec3771a4b', 'private'],
    ['d07abe941054d444a8200595040b8166e082a62d1bff', 'Mon, 21 Oct 2013 20:13:21 GMT'],
    [
      '94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007',
      'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1',
    ],
    ['', ''],
  ])('%s is %j', (hex, text) => {
    expect(decoded(hex)).toBe(text)
  })

  // Codes as the appendix prints them: the octet, its bits.
  it.each([
    [0x00, '1111111111000'],
    [0x01, '11111111111111111011000'],
    [0x0a, '111111111111111111111111111100'],
    [0x16, '111111111111111111111111111110'],
    [0x21, '1111111000'],
    [0x5c, '1111111111111110000'],
    [0x7f, '1111111111111111111111111100'],
    [0x80, '11111111111111100110'],
    [0xff, '11111111111111111111101110'],
    [0xfe, '111111111111111111111110000'],
  ])('octet %i is %s', (octet, bits) => {
    const padded = bits.padEnd(Math.ceil(bits.length / 8) * 8, '1')
    const bytes = Buffer.from(padded.match(/.{8}/g)!.map((eight) => Number.parseInt(eight, 2)))
    expect(decoded(bytes.toString('hex'))).toBe(String.fromCharCode(octet))
  })

  it.each([
    ['the end-of-string symbol', 'ffffffff'],
    ['the end-of-string symbol behind text', '1fffffffff'],
    ['more than seven bits of padding', '1fff'],
    ['padding that is not of ones', '18'],
    ['a code that is cut off', 'fffe'],
    ['nothing but padding of an octet', 'ff'],
  ])('RFC 7541 section 5.2: %s is refused', (_, hex) => {
    expect(decoded(hex)).toBeUndefined()
  })

  it('hostile input is decoded or refused, and never overruns its target', () => {
    const next = randomNumbers(7541)
    const target = Buffer.alloc(200)
    for (let round = 0; round < 100_000; round++) {
      const bytes = Buffer.from(
        Array.from({ length: 1 + (next() % 24) }, () => (next() % 3 === 0 ? 0xff : next() & 0xff)),
      )
      const length = decodeHuffman(bytes, 0, bytes.length, target)
      if (length < -1 || length > (bytes.length * 8) / 5) expect.fail(`${bytes.toString('hex')}: ${length}`)
    }
    expect(target.length).toBe(200)
  })
})
