import { describe, expect, it } from 'vitest'
import { CLASS, EXTENDED_ERROR, TYPE } from '../../../src/dns/codes.ts'
import { Budget } from '../../../src/dns/dnssec/budget.ts'
import { parseDnskey } from '../../../src/dns/dnssec/dnskey.ts'
import { isDsOf, parseDs } from '../../../src/dns/dnssec/ds.ts'
import { canonicalName } from '../../../src/dns/dnssec/name.ts'
import { type Rrset, readRrsets } from '../../../src/dns/dnssec/rrset.ts'
import { verifyRrset } from '../../../src/dns/dnssec/verify.ts'
import { buildMessage, type RecordData } from '../../../src/dns/message.ts'
import { MessageView } from '../../../src/dns/view.ts'
import { keyWith, makeKey, TestZone } from '../../support/signed-zone.ts'

const base64 = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(/\s/g, ''), 'base64'))
const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(/\s/g, ''), 'hex'))

function dnskey(flags: number, algorithm: number, key: string) {
  return parseDnskey(Uint8Array.from([flags >> 8, flags & 0xff, 3, algorithm, ...base64(key)]))!
}
const ds = (tag: number, algorithm: number, digestType: number, digest: string) =>
  parseDs(Uint8Array.from([tag >> 8, tag & 0xff, algorithm, digestType, ...hex(digest)]))!

const timeS = (text: string): number => {
  const [, year, month, day, hour, minute, second] = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)$/.exec(text)!.map(Number)
  return Date.UTC(year!, month! - 1, day, hour, minute, second) / 1000
}

/** A set with one record and one signature, through a whole message. */
function signedSet(fields: {
  readonly name: string
  readonly type: number
  readonly data: RecordData
  readonly algorithm: number
  readonly labels: number
  readonly expirationS: number
  readonly inceptionS: number
  readonly tag: number
  readonly signer: string
  readonly signature: string
}): Rrset {
  const { name, type, data, signer } = fields
  const fixed = Buffer.alloc(18)
  fixed.writeUInt16BE(type, 0)
  fixed.set([fields.algorithm, fields.labels], 2)
  fixed.writeUInt32BE(3600, 4)
  fixed.writeUInt32BE(fields.expirationS, 8)
  fixed.writeUInt32BE(fields.inceptionS, 12)
  fixed.writeUInt16BE(fields.tag, 16)
  const rrsig = Uint8Array.from([
    ...fixed,
    ...Buffer.from(canonicalName(signer)!, 'latin1'),
    ...base64(fields.signature),
  ])
  const wire = buildMessage({
    isResponse: true,
    questions: [{ name, type, class: CLASS.IN }],
    answers: [
      { name, type, class: CLASS.IN, ttl: 3600, data },
      { name, type: TYPE.RRSIG, class: CLASS.IN, ttl: 3600, data: rrsig },
    ],
  })
  return readRrsets(MessageView.over(wire)!)![0]!
}

describe('examples of the standards', () => {
  const cases = {
    'Ed25519 (RFC 8080 §6.1)': {
      zone: 'example.com',
      key: dnskey(257, 15, 'l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4='),
      ds: ds(3613, 15, 2, '3aa5ab37efce57f737fc1627013fee07bdf241bd10f3b1964ab55c78e79a304b'),
      set: signedSet({
        name: 'example.com',
        type: TYPE.MX,
        data: { preference: 10, exchange: 'mail.example.com' },
        algorithm: 15,
        labels: 2,
        expirationS: 1440021600,
        inceptionS: 1438207200,
        tag: 3613,
        signer: 'example.com',
        signature: 'oL9krJun7xfBOIWcGHi7mag5/hdZrKWw15jPGrHpjQeRAvTdszaPD+QLs3fx8A4M3e23mRZ9VrbpMngwcrqNAg==',
      }),
      nowS: 1439000000,
    },
    'ECDSA P-256 (RFC 6605 §6.1)': {
      zone: 'example.net',
      key: dnskey(257, 13, 'GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA=='),
      ds: ds(55648, 13, 2, 'b4c8c1fe2e7477127b27115656ad6256f424625bf5c1e2770ce6d6e37df61d17'),
      set: signedSet({
        name: 'www.example.net',
        type: TYPE.A,
        data: { address: '192.0.2.1' },
        algorithm: 13,
        labels: 3,
        expirationS: timeS('20100909100439'),
        inceptionS: timeS('20100812100439'),
        tag: 55648,
        signer: 'example.net',
        signature: 'qx6wLYqmh+l9oCKTN6qIc+bw6ya+KJ8oMz0YP107epXAyGmt+3SNruPFKG7tZoLBLlUzGGus7ZwmwWep666VCw==',
      }),
      nowS: timeS('20100901000000'),
    },
    'ECDSA P-384 (RFC 6605 §6.2)': {
      zone: 'example.net',
      key: dnskey(
        257,
        14,
        'xKYaNhWdGOfJ+nPrL8/arkwf2EY3MDJ+SErKivBVSum1w/egsXvSADtNJhyem5RCOpgQ6K8X1DRSEkrbYQ+OB+v8/uX45NBwY8rp65F6Glur8I/mlVNgF6W/qTI37m40',
      ),
      ds: ds(
        10771,
        14,
        4,
        '72d7b62976ce06438e9c0bf319013cf801f09ecc84b8d7e9495f27e305c6a9b0563a9b5f4d288405c3008a946df983d6',
      ),
      set: signedSet({
        name: 'www.example.net',
        type: TYPE.A,
        data: { address: '192.0.2.1' },
        algorithm: 14,
        labels: 3,
        expirationS: timeS('20100909102025'),
        inceptionS: timeS('20100812102025'),
        tag: 10771,
        signer: 'example.net',
        signature:
          '/L5hDKIvGDyI1fcARX3z65qrmPsVz73QD1Mr5CEqOiLP95hxQouuroGCeZOvzFaxsT8Glr74hbavRKayJNuydCuzWTSSPdz7wnqXL5bdcJzusdnI0RSMROxxwGipWcJm',
      }),
      nowS: timeS('20100901000000'),
    },
  }
  it.each(Object.entries(cases))('%s', (_, { zone, key, ds: digest, set, nowS }) => {
    const name = canonicalName(zone)!
    expect(isDsOf(digest, name, key)).toBe(true)
    expect(verifyRrset(set, { name, keys: [key] }, nowS, new Budget())).toMatchObject({ kind: 'secure' })
  })

  it('key tag and digests of a key (RFC 4034 §5.4, RFC 4509 §2.3)', () => {
    const key = dnskey(
      256,
      5,
      `AQOeiiR0GOMYkDshWoSKz9XzfwJr1AYtsmx3TGkJaNXVbfi/2pHm822aJ5iI9BMzNXxeYCmZDRD99WYwYqUSdjMmmAphXdvxegXd/M5+X7Or
       zKBaMbCVdFLUUh6DhweJBjEVv5f2wwjM9XzcnOf+EPbtG9DMBmADjFDc2w/rljwvFw==`,
    )
    expect(key.keyTag).toBe(60485)
    const name = canonicalName('dskey.example.com')!
    expect(isDsOf(ds(60485, 5, 1, '2BB183AF5F22588179A53B0A98631FAD1A292118'), name, key)).toBe(true)
    const sha256 = 'D4B7D520E7BB5F0F67674A0CCEB1E3E0614B93C4F9E99B8383F6A1E4469DA50A'
    expect(isDsOf(ds(60485, 5, 2, sha256), name, key)).toBe(true)
    expect(key.publicKey).toBeUndefined()
  })
})

describe('a signature', () => {
  const zone = new TestZone('z.test').add('www.z.test', TYPE.A, { address: '192.0.2.1' })
  const name = zone.name
  const keys = zone.keys.map(({ dnskey: key }) => key)
  const answers = zone.records(zone.find('\x03www\x01z\x04test\0', TYPE.A)!)
  const wire = buildMessage({ isResponse: true, questions: [{ name: 'www.z.test', type: 1, class: 1 }], answers })
  const set = readRrsets(MessageView.over(wire)!)![0]!
  const [rrsig] = set.signatures as [(typeof set.signatures)[number]]
  const at = (nowS: number) => verifyRrset(set, { name, keys }, nowS, new Budget())

  it('counts from its first second to its last', () => {
    expect(at(rrsig.inceptionS - 1)).toMatchObject({ error: { code: EXTENDED_ERROR.SIGNATURE_NOT_YET_VALID } })
    expect(at(rrsig.inceptionS)).toMatchObject({ kind: 'secure', ttlS: 300 })
    expect(at(rrsig.expirationS)).toMatchObject({ kind: 'secure', ttlS: 0 })
    expect(at(rrsig.expirationS + 1)).toMatchObject({ error: { code: EXTENDED_ERROR.SIGNATURE_EXPIRED } })
  })

  it('compares its times as serial numbers, also across 2106 (RFC 4034 §3.1.5)', () => {
    const late = new TestZone('z.test', { inceptionS: 0xffff_ff00, expirationS: 0x100 })
    const records = late.records(late.find(late.name, TYPE.SOA)!)
    const message = buildMessage({
      isResponse: true,
      questions: [{ name: 'z.test', type: 6, class: 1 }],
      answers: records,
    })
    const [soa] = readRrsets(MessageView.over(message)!)!
    const lateKeys = late.keys.map(({ dnskey: key }) => key)
    const verified = (nowS: number) => verifyRrset(soa!, { name: late.name, keys: lateKeys }, nowS, new Budget()).kind
    expect([0xffff_feff, 0xffff_ff00, 0, 0x100, 0x101].map(verified)).toEqual([
      'bogus',
      'secure',
      'secure',
      'secure',
      'bogus',
    ])
  })

  it('needs a key of the zone that is neither revoked nor for something else', () => {
    const octets = keys[0]!.rdata.subarray(4)
    for (const flags of [0x0001, 0x0181]) {
      const other = keyWith(flags, 13, octets, zone.keys[0]!.privateKey).dnskey
      const made = verifyRrset(
        { ...set, signatures: [{ ...rrsig, keyTag: other.keyTag }] },
        { name, keys: [other] },
        rrsig.inceptionS,
        new Budget(),
      )
      expect(made.kind).toBe('bogus')
    }
  })

  it('with more labels than its owner counts for nothing', () => {
    const more = { ...set, signatures: [{ ...rrsig, labels: 4 }] }
    expect(verifyRrset(more, { name, keys }, rrsig.inceptionS, new Budget()).kind).toBe('bogus')
  })

  it('is not looked for among thousands: the work for one question is bounded (CVE-2023-50387)', () => {
    const wrong = Array.from({ length: 100 }, () => ({
      ...rrsig,
      signature: Uint8Array.from(rrsig.signature).fill(7),
    }))
    const many = { ...set, signatures: [...wrong, rrsig] }
    const same = Array.from({ length: 100 }, () => ({ ...keys[0]! }))
    const budget = new Budget()
    const made = verifyRrset(many, { name, keys: same }, rrsig.inceptionS, budget)
    expect(made).toMatchObject({ kind: 'bogus', error: { text: expect.stringContaining('too many') } })
    expect(budget.isSpent).toBe(true)
  })
})

describe('keys that are not touched', () => {
  const rsa = makeKey(8).dnskey.rdata
  it.each([
    ['RSA under 1024 bits', 8, [3, 1, 0, 1, ...new Uint8Array(127).fill(0xff)]],
    ['RSA over 4096 bits', 8, [3, 1, 0, 1, ...new Uint8Array(513).fill(0xff)]],
    ['RSA with a long exponent', 8, [6, 1, 0, 0, 0, 0, 1, ...new Uint8Array(128).fill(0xff)]],
    ['RSA cut short', 8, [200, 1, 2, 3]],
    ['a point of the wrong length', 13, [...new Uint8Array(63)]],
    ['a point that is not on the curve', 13, [...new Uint8Array(64).fill(1)]],
    ['Ed25519 of the wrong length', 15, [...new Uint8Array(31)]],
    ['RSA/SHA-1', 5, [...rsa.subarray(4)]],
    ['RSA/SHA-1 with NSEC3', 7, [...rsa.subarray(4)]],
  ])('%s', (_, algorithm, octets) => {
    expect(parseDnskey(Uint8Array.from([1, 1, 3, algorithm, ...octets]))!.publicKey).toBeUndefined()
  })
})
