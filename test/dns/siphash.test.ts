import { expect, it } from 'vitest'
import { sipHash24 } from '../../src/dns/siphash.ts'
import { hex, hexOf } from './golden.ts'

const KEY = hex('000102030405060708090a0b0c0d0e0f')
const counting = (length: number): Uint8Array => Uint8Array.from({ length }, (_, index) => index)

// The first of the 64 vectors of the reference code: input 00 01 02 ... of each length.
it.each([
  [0, '310e0edd47db6f72'],
  [1, 'fd67dc93c539f874'],
  [2, '5a4fa9d909806c0d'],
  [3, '2d7efbd796666785'],
  [4, 'b7877127e09427cf'],
  [5, '8da699cd64557618'],
  [6, 'cee3fe586e46c9cb'],
  [7, '37d1018bf50002ab'],
  [8, '6224939a79f5f593'],
  [15, 'e545be4961ca29a1'],
])('SipHash-2-4 of %i octets', (length, hash) => {
  expect(hexOf(sipHash24(KEY, counting(length)))).toBe(hash)
})

it('does not depend on what was hashed before', () => {
  sipHash24(counting(16).toReversed(), counting(40))
  expect(hexOf(sipHash24(KEY, counting(15)))).toBe('e545be4961ca29a1')
})
