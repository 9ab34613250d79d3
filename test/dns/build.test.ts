import { describe, expect, it } from 'vitest'
import { type AuthoredRecord, buildAnswer } from '../../src/dns/build.ts'
import { CLASS, RCODE, TYPE } from '../../src/dns/codes.ts'
import { parseMessage } from '../../src/dns/message.ts'
import { buildSvcb } from '../../src/dns/svcb.ts'
import { MessageView } from '../../src/dns/view.ts'
import { golden, hex, hexOf } from './golden.ts'

const ADN = 'dns.cpe-7f3a.example.net'
const query = MessageView.over(golden('ddr-query'))!

const designations: readonly AuthoredRecord[] = [
  { priority: 1, target: ADN, params: { alpn: ['dot', 'doq'] } },
  { priority: 2, target: ADN, params: { alpn: ['h2', 'h3'], dohpath: '/dns-query{?dns}' } },
].map((record) => ({ name: '_dns.resolver.arpa', type: TYPE.SVCB, ttl: 300, rdata: buildSvcb(record) }))

const soa: AuthoredRecord = {
  name: 'resolver.arpa',
  type: TYPE.SOA,
  ttl: 60,
  rdata: {
    primary: 'resolver.arpa',
    mailbox: 'nobody.invalid',
    serial: 1,
    refresh: 3600,
    retry: 1200,
    expire: 604_800,
    minimum: 60,
  },
}

describe('buildAnswer', () => {
  it('DDR-1: the designation of RFC 9462 §4, byte for byte', () => {
    const wire = buildAnswer(query, {
      rcode: RCODE.NOERROR,
      authoritative: true,
      answers: designations,
      additionals: [
        { name: ADN, type: TYPE.A, ttl: 300, rdata: { address: '192.168.1.1' } },
        { name: ADN, type: TYPE.AAAA, ttl: 300, rdata: { address: 'fd7f:3a00:1::1' } },
      ],
    })
    expect(hexOf(wire)).toBe(hexOf(golden('ddr-answer')))
    expect(wire).toHaveLength(250)
  })

  it('DDR-2: no data below resolver.arpa, byte for byte', () => {
    const asked = MessageView.over(
      hex('1234 0100 0001000000000000 045f646e73087265736f6c7665720461727061 00 0001 0001'),
    )!
    const wire = buildAnswer(asked, { rcode: RCODE.NOERROR, authoritative: true, authorities: [soa] })
    expect(hexOf(wire)).toBe(hexOf(golden('ddr-nodata')))
    expect(wire).toHaveLength(86)
  })

  it('FWD-5: leaves the letter case of the question alone and points into it all the same', () => {
    const mixed = MessageView.over(
      hex('1234 0100 0001000000000000 045f444e53085265536f4c7645720441725061 00 0040 0001'),
    )!
    const wire = buildAnswer(mixed, { rcode: 0, authoritative: true, answers: designations })
    expect(hexOf(wire.subarray(12, 36))).toBe(hexOf(mixed.question))
    expect(hexOf(wire.subarray(36, 38))).toBe('c00c')
  })

  it('copies RD and CD, keeps the class, and leaves SVCB and SRV targets uncompressed', () => {
    const asked = MessageView.over(hex('0007 0010 0001000000000000 0161 0162 00 0021 0003'))!
    const wire = buildAnswer(asked, {
      rcode: RCODE.NXDOMAIN,
      authoritative: false,
      answers: [
        {
          name: 'a.b',
          type: TYPE.SRV,
          class: CLASS.CH,
          ttl: 1,
          rdata: { priority: 0, weight: 0, port: 1, target: 'x.b' },
        },
        { name: 'b', type: TYPE.CNAME, ttl: 2, rdata: { host: 'y.b' } },
      ],
    })
    expect(hexOf(wire)).toBe(
      hexOf(
        hex(`0007 8093 0001 0002 0000 0000 0161 0162 00 0021 0003
          c00c 0021 0003 00000001 000b 0000 0000 0001 0178 0162 00
          c00e 0005 0001 00000002 0004 0179 c00e`),
      ),
    )
    expect(parseMessage(wire)?.answers[1]?.data).toEqual({ host: 'y.b' })
  })

  it('refuses names that are none and data of another type', () => {
    const build = (record: AuthoredRecord) => () =>
      buildAnswer(query, { rcode: 0, authoritative: true, answers: [record] })
    expect(build({ name: 'a..b', type: TYPE.A, ttl: 0, rdata: { address: '192.0.2.1' } })).toThrow('domain name')
    expect(build({ name: 'a', type: TYPE.A, ttl: 0, rdata: { host: 'b' } })).toThrow('another type')
    expect(build({ name: 'a', type: TYPE.A, ttl: 0, rdata: { address: '::1' } })).toThrow('4 octets')
    expect(build({ name: 'a', type: 65_400, ttl: 0, rdata: { host: 'b' } })).toThrow('octets')
    expect(build({ name: 'a', type: 65_400, ttl: 0, rdata: new Uint8Array(65_536) })).toThrow(RangeError)
  })
})
