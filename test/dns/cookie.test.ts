import { assert, nat, property, uint8Array } from 'fast-check'
import { describe, expect, it } from 'vitest'
import { addressToBytes } from '../../src/dns/address.ts'
import { isCookieLength, judgeCookie, makeCookie } from '../../src/dns/cookie.ts'
import { hex, hexOf } from './golden.ts'

const CLIENT_COOKIE = hex('2464c4abcf10c957')
const KEY = hex('e5e973e5a6b2a43f48e7dc849e37bfcf')
const ADDRESS = addressToBytes('198.51.100.100')!
const MADE_S = 1_559_731_985

describe('makeCookie', () => {
  it('makes the cookie of RFC 9018 appendix A.1', () => {
    expect(hexOf(makeCookie(KEY, CLIENT_COOKIE, ADDRESS, MADE_S))).toBe(
      '2464c4abcf10c957010000005cf79f111f8130c3eee29480',
    )
  })

  it('covers an IPv6 address whole', () => {
    const key = hex('000102030405060708090a0b0c0d0e0f')
    expect(hexOf(makeCookie(key, CLIENT_COOKIE, addressToBytes('fd7f:3a00:1::99')!, 1_800_000_000).subarray(8))).toBe(
      '010000006b49d200581c82f67de104e1',
    )
  })
})

describe('judgeCookie', () => {
  const cookie = makeCookie(KEY, CLIENT_COOKIE, ADDRESS, MADE_S)

  // RFC 9018 section 4.3: an hour back, five minutes ahead, a new one after half an hour.
  it.each([
    [0, 'good'],
    [1_800, 'good'],
    [1_801, 'renew'],
    [3_600, 'renew'],
    [3_601, 'bad'],
    [-300, 'good'],
    [-301, 'bad'],
  ])('%i seconds after it was made it is %s', (ageS, verdict) => {
    expect(judgeCookie(KEY, cookie, ADDRESS, MADE_S + ageS)).toBe(verdict)
  })

  it('counts time in serial arithmetic, over the end of 32 bits', () => {
    const late = makeCookie(KEY, CLIENT_COOKIE, ADDRESS, 0xffff_fff0)
    expect(judgeCookie(KEY, late, ADDRESS, 0x1_0000_0010)).toBe('good')
  })

  it('a cookie for another address, client, key or of another version is bad', () => {
    const other = makeCookie(KEY, hex('0000000000000001'), ADDRESS, MADE_S)
    expect(judgeCookie(KEY, cookie, addressToBytes('198.51.100.101')!, MADE_S)).toBe('bad')
    expect(judgeCookie(KEY, Uint8Array.from([...other.slice(0, 8), ...cookie.slice(8)]), ADDRESS, MADE_S)).toBe('bad')
    expect(judgeCookie(hex('00'.repeat(16)), cookie, ADDRESS, MADE_S)).toBe('bad')
    const version = Uint8Array.from(cookie)
    version[8] = 2
    expect(judgeCookie(KEY, version, ADDRESS, MADE_S)).toBe('bad')
  })

  it('any changed bit makes it bad, and octets of any length do no harm', () => {
    assert(
      property(nat(24 * 8 - 1), (bit) => {
        const changed = Uint8Array.from(cookie)
        changed[bit >> 3]! ^= 1 << (bit & 7)
        expect(judgeCookie(KEY, changed, ADDRESS, MADE_S)).toBe('bad')
      }),
      { seed: 1, numRuns: 500 },
    )
    assert(
      property(uint8Array({ maxLength: 60 }), (octets) => judgeCookie(KEY, octets, ADDRESS, MADE_S) === 'bad'),
      { seed: 2, numRuns: 2_000 },
    )
  })
})

it('the option has 8 octets, or 16 to 40 (RFC 7873 section 4)', () => {
  const lengths = Array.from({ length: 60 }, (_, length) => length).filter(isCookieLength)
  expect(lengths).toEqual([8, ...Array.from({ length: 25 }, (_, index) => 16 + index)])
})
