import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { addressText, addressToBytes } from '../../../../src/dns/address.ts'
import { uint32 } from '../../../../src/dns/wire.ts'
import { readClientKey } from '../../../../src/router/resolve/rate-limit/client-key.ts'

function keyOf(address: string) {
  const key = { high: 0, low: 0 }
  readClientKey(address, key)
  return key
}

describe('readClientKey', () => {
  it.each([
    ['192.168.1.7', { high: 0xffff, low: 0xc0a80107 }],
    ['255.255.255.255', { high: 0xffff, low: 0xffffffff }],
    ['0.0.0.0', { high: 0xffff, low: 0 }],
    ['fd00:1:2:3::7', { high: 0xfd000001, low: 0x00020003 }],
    ['2001:db8::1', { high: 0x20010db8, low: 0 }],
    ['fe80::1234:5678:9abc:def0', { high: 0xfe800000, low: 0 }],
    ['::1', { high: 0, low: 0 }],
    ['::', { high: 0, low: 0 }],
    ['1::', { high: 0x10000, low: 0 }],
    ['1:2::4:5:6:7:8', { high: 0x10002, low: 0x4 }],
    ['::2:3:4:5:6:7:8', { high: 0x2, low: 0x30004 }],
  ])('%s', (address, key) => expect(keyOf(address)).toEqual(key))

  it('is the address, or the first half of it, for every address', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), fc.nat(0xffff), (random, zeros) => {
        const octets = random.map((octet, at) => ((zeros >> (at >> 1)) & 1 ? 0 : octet))
        const text = addressText(octets)
        fc.pre(!text.includes('.')) // mapped ones are shortened before
        expect(keyOf(text)).toEqual({ high: uint32(octets, 0), low: uint32(octets, 4) })
        const ipv4 = octets.subarray(0, 4)
        expect(keyOf(addressText(ipv4))).toEqual({ high: 0xffff, low: uint32(ipv4, 0) })
      }),
      { seed: 1, numRuns: 2000 },
    )
  })

  it('takes any text, and gives the same key for the same text', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 80 }), (text) => {
        const { high, low } = keyOf(text)
        expect(keyOf(text)).toEqual({ high, low })
        expect([high >>> 0, low >>> 0]).toEqual([high, low])
      }),
      { seed: 2, numRuns: 1000 },
    )
    expect(addressToBytes('unix')).toBeUndefined()
  })
})
