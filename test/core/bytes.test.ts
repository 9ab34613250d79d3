import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { concatBytes, equalBytes, fromBase64url, fromHex, toBase64url, toHex } from '../../src/core/bytes.ts'

const bytes = fc.uint8Array({ maxLength: 40 })

it('joins parts in order', () => {
  expect([...concatBytes([Uint8Array.of(1), new Uint8Array(0), Uint8Array.of(2, 3)])]).toEqual([1, 2, 3])
  expect(concatBytes([])).toHaveLength(0)
})

it('compares contents', () => {
  expect(equalBytes(Uint8Array.of(1, 2), Buffer.from([1, 2]))).toBe(true)
  expect(equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1))).toBe(false)
  expect(equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 3))).toBe(false)
})

describe('hex', () => {
  it('goes there and back, also for a window into a larger buffer', () => {
    fc.assert(
      fc.property(bytes, (value) => equalBytes(fromHex(toHex(value))!, value)),
      { seed: 7 },
    )
    expect(toHex(Uint8Array.of(0, 10, 255, 7).subarray(1, 3))).toBe('0aff')
  })
  it.each(['a', '0x00', 'zz', '00 ', '0\n'])('refuses %j', (text) => expect(fromHex(text)).toBeUndefined())
})

describe('base64url', () => {
  it('goes there and back', () => {
    fc.assert(
      fc.property(bytes, (value) => equalBytes(fromBase64url(toBase64url(value))!, value)),
      { seed: 7 },
    )
  })
  it.each(['a', 'ab==', 'a+b/', 'ab c', 'abcd\n', 'äöüß'])('refuses %j', (text) =>
    expect(fromBase64url(text)).toBeUndefined(),
  )
})
