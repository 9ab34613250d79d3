import { isIP } from 'node:net'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ipToBytes, ipToText, prefixToBytes } from '../../src/pki/ip-address.ts'

describe('addresses as text and bytes', () => {
  it.each([
    ['192.0.2.1', '192.0.2.1'],
    ['::', '::'],
    ['::1', '::1'],
    ['2001:DB8::1', '2001:db8::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['fe80::', 'fe80::'],
    ['::ffff:192.0.2.1', '::ffff:c000:201'],
    ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
  ])('%s is written %s (RFC 5952)', (text, written) => {
    expect(ipToText(ipToBytes(text)!)).toBe(written)
  })

  it.each([
    '',
    '1.2.3',
    '1.2.3.256',
    '01.2.3.4',
    '1.2.3.4.5',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    'fe80::1%eth0',
    'g::',
    '12345::',
    '1.2.3.4::',
    ':1',
    '1:2:3:4:5:6:7:8::',
    'a.example',
  ])('%j is no address', (text) => {
    expect(ipToBytes(text)).toBeUndefined()
  })

  it('agrees with the runtime on what an address is', () => {
    const piece = fc.constantFrom('0', '1', 'ffff', '255', '256', ':', '::', '.', '1.2.3.4', '')
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const text = pieces.join('')
        expect(ipToBytes(text) !== undefined).toBe(isIP(text) !== 0)
      }),
      { numRuns: 2000, seed: 5952 },
    )
  })

  it('comes back from text', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 16, maxLength: 16 }),
        fc.uint8Array({ minLength: 16, maxLength: 16 }),
        (address, mask) => {
          const bytes = address.map((byte, index) => byte & (mask[index]! > 127 ? 255 : 0))
          expect(ipToBytes(ipToText(bytes)!)).toEqual(bytes)
        },
      ),
      { seed: 5952 },
    )
  })

  it('makes masks of prefixes', () => {
    expect(prefixToBytes('10.0.0.0/8')?.mask.join('.')).toBe('255.0.0.0')
    expect(prefixToBytes('192.168.4.0/22')?.mask.join('.')).toBe('255.255.252.0')
    expect(ipToText(prefixToBytes('fd00::/9')!.mask)).toBe('ff80::')
    expect(['10.0.0.0', '10.0.0.0/33', '10.0.0.0/-1', '/8', 'fd00::/129', 'x/8'].map(prefixToBytes)).toEqual(
      Array(6).fill(undefined),
    )
  })
})
