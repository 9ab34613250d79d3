import { describe, expect, it } from 'vitest'
import { fromHex } from '../../../src/core/bytes.ts'
import { parseDnrDhcpv4, parseDnrDhcpv6, parseDnrRa } from '../../../src/dns/dnr-receive.ts'
import { advertisement } from '../../../src/router/discovery/advertisement.ts'
import { encryptedEndpoints, type Presence } from '../../../src/router/discovery/presence.ts'

const NAME = 'dns.cpe-7f3a.example.net'
const ADN = '03646e73086370652d37663361076578616d706c65036e657400'
const DOT = '0001000403646f74'
const DOH = '00010003026832000700102f646e732d71756572797b3f646e737d'

const HOME: Presence = {
  name: NAME,
  addresses: ['192.168.1.1', 'fd7f:3a00:1::1'],
  do53Port: 53,
  endpoints: encryptedEndpoints({ dot: 853, doh: 443 }),
  certificate: { notAfterMs: Number.POSITIVE_INFINITY, ipAddresses: [] },
}

describe('with a certificate', () => {
  const { dnr, svcb, ddr, withheld } = advertisement(HOME)

  it('DNR-1: DHCPv4 is both instances in one payload, byte for byte', () => {
    expect(dnr.v4).toBe(`002a00011a${ADN}04c0a80101${DOT}003d00021a${ADN}04c0a80101${DOH}`)
    expect(parseDnrDhcpv4(fromHex(dnr.v4)!)?.map(({ priority, addresses }) => [priority, addresses])).toEqual([
      [1, ['192.168.1.1']],
      [2, ['192.168.1.1']],
    ])
  })

  it('DNR-2: DHCPv6 is one payload per instance, byte for byte', () => {
    const address = '0010fd7f3a00000100000000000000000001'
    expect(dnr.v6).toEqual([`0001001a${ADN}${address}${DOT}`, `0002001a${ADN}${address}${DOH}`])
    expect(dnr.v6.map((hex) => parseDnrDhcpv6(fromHex(hex)!)?.addresses)).toEqual([
      ['fd7f:3a00:1::1'],
      ['fd7f:3a00:1::1'],
    ])
  })

  it('DNR-3, DNR-7: RA is one option per instance, for three times the longest interval between advertisements', () => {
    expect(dnr.ra[0]).toBe(`9008000100000708001a${ADN}0010fd7f3a000001000000000000000000010008${DOT}`)
    expect(dnr.ra.map((hex) => parseDnrRa(fromHex(hex)!)?.lifetimeS)).toEqual([1800, 1800])
  })

  it('the records are those of _dns.NAME', () => {
    expect(svcb).toEqual([
      `_dns.${NAME}. 300 IN SVCB 1 ${NAME}. alpn="dot"`,
      `_dns.${NAME}. 300 IN SVCB 2 ${NAME}. alpn="h2" dohpath="/dns-query{?dns}"`,
    ])
    expect([ddr, withheld]).toEqual([true, undefined])
  })

  it('ports are named where they are not the usual ones, each in its own instance', () => {
    const { dnr: other } = advertisement({ ...HOME, endpoints: encryptedEndpoints({ dot: 8853, doh: 8443 }) })
    expect(parseDnrDhcpv4(fromHex(other.v4)!)?.map(({ params }) => [params?.alpn, params?.port])).toEqual([
      [['dot'], 8853],
      [['h2'], 8443],
    ])
  })
})

describe('addresses', () => {
  it('DNR-6: those that no client can reach are left out: loopback, unspecified, multicast, with a zone', () => {
    const addresses = [
      '127.0.0.1',
      '::1',
      '0.0.0.0',
      '::',
      '224.0.0.1',
      'ff02::1',
      'fe80::1%eth0',
      '192.168.1.1',
      'fd7f:3a00:1::1',
    ]
    expect(advertisement({ ...HOME, addresses }).dnr).toEqual(advertisement(HOME).dnr)
  })

  it('DNR-4: without one of a family the name alone is told', () => {
    const { dnr } = advertisement({ ...HOME, addresses: ['127.0.0.1'] })
    expect(dnr.v4).toBe(`001d00011a${ADN}`)
    expect(dnr.v6).toEqual([`0001001a${ADN}`])
    expect(dnr.ra).toEqual([`9005000100000708001a${ADN}00000000`])
    expect(advertisement({ ...HOME, addresses: ['192.168.1.1'] }).dnr.v6).toEqual([`0001001a${ADN}`])
  })

  it('a public one that the certificate leaves out withholds DDR, and DDR alone', () => {
    const told = advertisement({ ...HOME, addresses: ['192.0.2.1'] })
    expect(told).toMatchObject({ ddr: false, withheld: expect.stringContaining('DDR') })
    expect(told.svcb.length).toBe(2)
    expect(told.dnr.v4).toContain('c0000201')
  })
})

describe('nothing', () => {
  it('is told without a certificate', () => {
    const { certificate: _, ...bare } = HOME
    expect(advertisement(bare)).toEqual({
      name: NAME,
      addresses: HOME.addresses,
      svcb: [],
      ddr: false,
      dnr: { v4: '', v6: [], ra: [] },
      withheld: 'no believed certificate is loaded, so nothing is advertised',
    })
  })

  it('is told when nothing encrypted is served', () => {
    expect(advertisement({ ...HOME, endpoints: [] })).toMatchObject({
      svcb: [],
      ddr: false,
      dnr: { v4: '', v6: [], ra: [] },
    })
  })
})
