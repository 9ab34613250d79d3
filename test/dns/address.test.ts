import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { addressText, addressToBytes, isReachableAddress } from '../../src/dns/address.ts'
import { hexOf } from './golden.ts'

describe('addresses', () => {
  it.each([
    ['192.0.2.1', 'c0000201'],
    ['::', '00000000000000000000000000000000'],
    ['::1', '00000000000000000000000000000001'],
    ['2001:db8::1:0:0:1', '20010db8000000000001000000000001'],
    ['::ffff:192.0.2.1', '00000000000000000000ffffc0000201'],
    ['64:ff9b::192.0.2.33', '0064ff9b0000000000000000c0000221'],
    ['1:2:3:4:5:6:7::', '00010002000300040005000600070000'],
  ])('%s', (text, octets) => {
    expect(hexOf(addressToBytes(text)!)).toBe(octets)
  })

  it.each([
    '',
    '1.2.3',
    '1.2.3.4.5',
    '256.1.1.1',
    '01.2.3.4',
    '1.2.3.4 ',
    ':',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '12345::',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7:8::',
    'fe80::1%eth0',
    '::1.2.3',
    '1.2.3.4::',
    '::1.2.3.4:5',
    'g::',
  ])('%j is no address', (text) => {
    expect(addressToBytes(text)).toBeUndefined()
  })

  it.each([
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:0db8:0000:0001:0001:0001:0001:0001', '2001:db8:0:1:1:1:1:1'],
    ['0:0:0:0:0:FFFF:C000:0201', '::ffff:192.0.2.1'],
    ['0:0:0:0:0:0:0:0', '::'],
  ])('%s is written %s (RFC 5952)', (text, canonical) => {
    expect(addressText(addressToBytes(text)!)).toBe(canonical)
  })

  it('survives the way to text and back', () => {
    const octets = fc.uint8Array({ minLength: 16, maxLength: 16 })
    // Sparse addresses, where the zero runs are.
    const sparse = fc
      .array(fc.constantFrom(0, 0, 0, 1, 255), { minLength: 16, maxLength: 16 })
      .map((a) => Uint8Array.from(a))
    fc.assert(
      fc.property(
        fc.oneof(octets, sparse),
        (address) => hexOf(addressToBytes(addressText(address))!) === hexOf(address),
      ),
      { seed: 5952 },
    )
  })

  it.each(['0.0.0.0', '127.0.0.1', '224.0.0.1', '255.255.255.255', '::', '::1', 'ff02::1', '::ffff:127.0.0.1'])(
    'no client reaches a resolver at %s',
    (text) => {
      expect(isReachableAddress(addressToBytes(text)!)).toBe(false)
    },
  )

  it.each(['192.168.1.1', '100.64.0.1', 'fe80::1', 'fd7f:3a00:1::1', '2001:db8::1'])('%s can be reached', (text) => {
    expect(isReachableAddress(addressToBytes(text)!)).toBe(true)
  })
})
