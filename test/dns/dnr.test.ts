import { describe, expect, it } from 'vitest'
import { Fault } from '../../src/core/fault.ts'
import {
  type DnrInstance,
  dnrDhcpv4,
  dnrDhcpv4Option,
  dnrDhcpv6,
  dnrDhcpv6Option,
  dnrRa,
  LIFETIME_FOREVER,
} from '../../src/dns/dnr.ts'
import {
  parseDnrDhcpv4,
  parseDnrDhcpv4Option,
  parseDnrDhcpv6,
  parseDnrDhcpv6Option,
  parseDnrRa,
} from '../../src/dns/dnr-receive.ts'
import { golden, hex, hexOf } from './golden.ts'

const name = 'dns.cpe-7f3a.example.net'
const params = { alpn: ['dot', 'h2', 'h3', 'doq'], port: 8853, dohpath: '/dns-query{?dns}' }
const v4: DnrInstance = { priority: 1, name, addresses: ['192.168.1.1'], params }
const v6: DnrInstance = { priority: 1, name, addresses: ['fd7f:3a00:1::1', '2001:db8:7f3a:1::1'], params }
const nameOnly: DnrInstance = { priority: 1, name, addresses: [] }

describe('DNR as we send it (RFC 9463)', () => {
  it('DNR-1: DHCPv4 option 162', () => {
    expect(hexOf(dnrDhcpv4Option([v4]))).toBe(hexOf(golden('dnr-v4-option')))
    expect(hexOf(dnrDhcpv4([v4]))).toBe(hexOf(golden('dnr-v4-option').subarray(2)))
  })

  it('DNR-1: two instances in one option', () => {
    const instances = [
      { ...v4, params: { alpn: ['dot', 'doq'] } },
      { ...v4, priority: 2, params: { alpn: ['h2', 'h3'], dohpath: '/dns-query{?dns}' } },
    ]
    expect(hexOf(dnrDhcpv4(instances))).toBe(hexOf(golden('dnr-v4-two-instances')))
    expect(dnrDhcpv4(instances)).toHaveLength(114)
  })

  it('DNR-2: DHCPv6 option 144', () => {
    expect(hexOf(dnrDhcpv6Option(v6))).toBe(hexOf(golden('dnr-v6-option')))
    expect(hexOf(dnrDhcpv6(v6))).toBe(hexOf(golden('dnr-v6-option').subarray(4)))
  })

  it('DNR-3: neighbour discovery option 144', () => {
    expect(hexOf(dnrRa(v6, { lifetimeS: 5400 }))).toBe(hexOf(golden('dnr-ra')))
  })

  it('DNR-4: only the name', () => {
    expect(hexOf(dnrDhcpv4([nameOnly]))).toBe(hexOf(golden('dnr-v4-name-only')))
    expect(hexOf(dnrDhcpv6Option(nameOnly))).toBe(hexOf(golden('dnr-v6-name-only')))
    expect(hexOf(dnrRa(nameOnly, { lifetimeS: 1800 }))).toBe(hexOf(golden('dnr-ra-name-only')))
  })

  it('DNR-5: four instances are cut into a2ff and a241 (RFC 3396)', () => {
    const option = dnrDhcpv4Option([1, 2, 3, 4].map((priority) => ({ ...v4, priority })))
    expect(option).toHaveLength(2 + 255 + 2 + 65)
    expect([hexOf(option.subarray(0, 2)), hexOf(option.subarray(257, 259))]).toEqual(['a2ff', 'a241'])
    expect(parseDnrDhcpv4Option(option)?.map(({ priority }) => priority)).toEqual([1, 2, 3, 4])
  })

  it('DNR-7: lifetime 0 withdraws, all ones is for ever', () => {
    expect(parseDnrRa(dnrRa(v6, { lifetimeS: 0 }))?.lifetimeS).toBe(0)
    expect(parseDnrRa(dnrRa(v6, { lifetimeS: LIFETIME_FOREVER }))?.lifetimeS).toBe(0xffff_ffff)
    expect(() => dnrRa(v6, { lifetimeS: -1 })).toThrow(Fault)
    expect(() => dnrRa(v6, { lifetimeS: 2 ** 32 })).toThrow(Fault)
  })

  it.each<[string, Partial<DnrInstance>]>([
    ['address hints', { params: { ...params, ipv4hint: ['192.0.2.1'] } }],
    ['address hints', { params: { ...params, ipv6hint: ['2001:db8::1'] } }],
    ['mandatory', { params: { ...params, mandatory: [1] } }],
    ['priority 0', { priority: 0 }],
    ['priority 65536', { priority: 65_536 }],
    ['reach 127.0.0.1', { addresses: ['127.0.0.1'] }],
    ['reach 224.0.0.251', { addresses: ['192.168.1.1', '224.0.0.251'] }],
    ['reach 0.0.0.0', { addresses: ['0.0.0.0'] }],
    ['no IPv4 address', { addresses: ['fd00::1'] }],
    ['no IPv4 address', { addresses: ['router.lan'] }],
    ['at least one address', { addresses: [] }],
    ['no domain name', { name: '.' }],
    ['no domain name', { name: 'a..b' }],
    ['alpn is needed', { params: { port: 853 } }],
    ['h2 needs dohpath', { params: { alpn: ['h2'] } }],
    ['more than 63', { addresses: Array.from({ length: 64 }, () => '192.168.1.1') }],
  ])('DNR-6: refuses %s', (reason, change) => {
    expect(() => dnrDhcpv4([{ ...v4, ...change }])).toThrow(reason)
    try {
      dnrDhcpv4([{ ...v4, ...change }])
    } catch (error) {
      expect(error).toMatchObject({ code: 'CONFIG_INVALID' })
    }
  })

  it.each(['::1', 'ff02::fb', '::'])('DNR-6: refuses %s by DHCPv6 and RA', (address) => {
    expect(() => dnrDhcpv6({ ...v6, addresses: [address] })).toThrow('reach')
    expect(() => dnrRa({ ...v6, addresses: [address] }, { lifetimeS: 1 })).toThrow('reach')
  })

  it('DNR-6: refuses addresses without params, and what no advertisement can hold', () => {
    expect(() => dnrDhcpv4([{ priority: 1, name, addresses: ['192.168.1.1'] }])).toThrow('neither form')
    const addresses = Array.from({ length: 130 }, () => 'fd00::1')
    expect(() => dnrRa({ ...v6, addresses }, { lifetimeS: 1 })).toThrow('does not fit')
  })
})

describe('DNR as a client receives it (RFC 9463 §3.1.8)', () => {
  it('reads back what we send', () => {
    expect(parseDnrDhcpv4Option(golden('dnr-v4-option'))).toEqual([v4])
    expect(parseDnrDhcpv6Option(golden('dnr-v6-option'))).toEqual(v6)
    expect(parseDnrRa(golden('dnr-ra'))).toEqual({ instance: v6, lifetimeS: 5400 })
    expect(parseDnrDhcpv4(golden('dnr-v4-name-only'))).toEqual([nameOnly])
    expect(parseDnrDhcpv6Option(golden('dnr-v6-name-only'))).toEqual(nameOnly)
    expect(parseDnrRa(golden('dnr-ra-name-only'))).toEqual({ instance: nameOnly, lifetimeS: 1800 })
  })

  it('puts the lowest priority number first', () => {
    const payload = dnrDhcpv4([
      { ...v4, priority: 7 },
      { ...v4, priority: 2 },
    ])
    expect(parseDnrDhcpv4(payload)?.map(({ priority }) => priority)).toEqual([2, 7])
  })

  it('finds option 162 among others, in pieces, and stops at the end option', () => {
    const option = golden('dnr-v4-option')
    const payload = option.subarray(2)
    const pieces = Buffer.concat([
      hex('00 350101 a20a'),
      payload.subarray(0, 10),
      hex('00 3604c0a80101 a246'),
      payload.subarray(10),
      hex('ff a2'),
    ])
    expect(parseDnrDhcpv4Option(pieces)).toEqual([v4])
    expect(parseDnrDhcpv4Option(hex('3604c0a80101'))).toBeUndefined()
    expect(parseDnrDhcpv4Option(hex('a205 00'))).toBeUndefined()
  })

  it('passes over loopback and multicast addresses as long as one is left', () => {
    const payload = Uint8Array.from(dnrDhcpv4([{ ...v4, addresses: ['192.168.1.1', '192.168.1.2'] }]))
    payload.set([127, 0, 0, 1], 34 - 2)
    expect(parseDnrDhcpv4(payload)?.[0]?.addresses).toEqual(['192.168.1.2'])
    payload.set([224, 0, 0, 1], 34 + 2)
    expect(parseDnrDhcpv4(payload)).toBeUndefined()
  })

  it.each<[string, (octets: Uint8Array) => Uint8Array]>([
    ['priority 0', (octets) => octets.with(3, 0)],
    ['a name longer than the instance', (octets) => octets.with(4, 0x7f)],
    ['a name that does not fill its length', (octets) => octets.with(4, 0x1b)],
    ['a pointer in the name', (octets) => octets.with(5, 0xc0)],
    ['five octets of addresses', (octets) => octets.with(31, 5)],
    ['no address', (octets) => octets.with(31, 0)],
    ['a truncated instance', (octets) => octets.subarray(0, -1)],
    ['octets behind it', (octets) => Uint8Array.from([...octets, 0])],
    ['no alpn', (octets) => octets.with(37, 9)],
    ['a hint', (octets) => octets.with(63, 4)],
  ])('discards an option with %s', (_, damage) => {
    expect(parseDnrDhcpv4(damage(dnrDhcpv4([v4])))).toBeUndefined()
  })

  it('discards an advertisement with another length, or with eight octets left over', () => {
    const option = golden('dnr-ra')
    expect(parseDnrRa(option.subarray(0, -8))).toBeUndefined()
    expect(parseDnrRa(Uint8Array.from([...option, ...new Uint8Array(8)]).with(1, 16))).toBeUndefined()
    expect(parseDnrRa(option.with(0, 25))).toBeUndefined()
    expect(parseDnrRa(new Uint8Array(0))).toBeUndefined()
    expect(parseDnrDhcpv6(new Uint8Array(0))).toBeUndefined()
    expect(parseDnrDhcpv6Option(golden('dnr-v6-option').with(3, 1))).toBeUndefined()
  })
})
