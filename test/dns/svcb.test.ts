import { describe, expect, it } from 'vitest'
import { Fault } from '../../src/core/fault.ts'
import {
  buildSvcb,
  buildSvcbParams,
  encodeSvcb,
  encodeSvcbParams,
  parseSvcb,
  parseSvcbParams,
  svcbText,
} from '../../src/dns/svcb.ts'
import type { SvcbParams } from '../../src/dns/svcb-params.ts'
import { hex, hexOf } from './golden.ts'

const params: SvcbParams = { dohpath: '/dns-query{?dns}', port: 8853, alpn: ['dot', 'h2', 'h3', 'doq'] }
const PARAMS = '0001000e03646f7402683202683303646f71000300022295000700102f646e732d71756572797b3f646e737d'
const TARGET = '03666f6f076578616d706c6503636f6d00'

function refusal(build: () => unknown): string {
  try {
    build()
  } catch (error) {
    if (error instanceof Fault && error.code === 'CONFIG_INVALID') return error.message
    throw error
  }
  return 'not refused'
}

describe('what we publish', () => {
  it('SVCB-1: sorts keys', () => {
    expect(hexOf(buildSvcbParams(params))).toBe(PARAMS)
    const others = [9, 65_000, 8].map((key) => ({ key, value: new Uint8Array(0) }))
    expect(hexOf(encodeSvcbParams({ others, mandatory: [3, 1], port: 1, alpn: ['dot'] }))).toBe(
      '00000004000100030001000403646f740003000200010008000000090000fde80000',
    )
  })

  it('SVCB-1: refuses duplicates', () => {
    const twice = [{ key: 3, value: hex('0035') }]
    expect(refusal(() => buildSvcbParams({ ...params, others: twice }))).toContain('port is there twice')
    const unknown = { key: 700, value: new Uint8Array(0) }
    expect(refusal(() => buildSvcbParams({ ...params, others: [unknown, unknown] }))).toContain('key700 is there twice')
  })

  it('SVCB-3: h2 and h3 cannot be built without dohpath', () => {
    expect(refusal(() => buildSvcbParams({ alpn: ['dot', 'h2'] }))).toContain('h2 needs dohpath')
    expect(refusal(() => buildSvcb({ priority: 1, target: 'dns.example', params: { alpn: ['h3'] } }))).toContain(
      'dohpath',
    )
  })

  it.each<[string, SvcbParams]>([
    ['alpn is needed', { port: 853 }],
    ['alpn needs a protocol', { alpn: [] }],
    ['is no protocol id', { alpn: [''] }],
    ['address hints', { ...params, ipv4hint: ['192.0.2.1'] }],
    ['address hints', { ...params, ipv6hint: ['2001:db8::1'] }],
    ['{?dns}', { ...params, dohpath: '/dns-query' }],
    ['{?dns}', { ...params, dohpath: 'https://dns.example/{?dns}' }],
    ['65536 is no port', { ...params, port: 65_536 }],
    ['mandatory but absent', { alpn: ['dot'], mandatory: [3] }],
    ['must not name itself', { alpn: ['dot'], mandatory: [0] }],
    ['names a key twice', { alpn: ['dot'], mandatory: [1, 1] }],
    ['65535 is no key', { alpn: ['dot'], others: [{ key: 65_535, value: new Uint8Array(0) }] }],
  ])('refuses: %s', (reason, refused) => {
    expect(refusal(() => buildSvcbParams(refused))).toContain(reason)
  })

  it('refuses alias mode and names that are none', () => {
    expect(refusal(() => buildSvcb({ priority: 0, target: 'a', params }))).toContain('priority 0')
    expect(refusal(() => buildSvcb({ priority: 65_536, target: 'a', params }))).toContain('65536')
    expect(refusal(() => buildSvcb({ priority: 1, target: 'a..b', params }))).toContain('domain name')
  })

  it('has hints only when asked for', () => {
    expect(hexOf(buildSvcbParams({ alpn: ['dot'], ipv4hint: ['192.0.2.1'] }, { allowHints: true }))).toBe(
      '0001000403646f7400040004c0000201',
    )
  })
})

describe('parseSvcb', () => {
  it.each([
    ['alias', '0000', '', { priority: 0, params: {} }],
    ['port', '0010', '0003 0002 0035', { priority: 16, params: { port: 53 } }],
    [
      'unknown key',
      '0001',
      '029b 0009 68656c6c6fd2716f6f',
      { params: { others: [{ key: 667, value: hex('68656c6c6fd2716f6f') }] } },
    ],
    ['escaped alpn', '0010', '0001 000c 08665c6f6f2c626172 026832', { params: { alpn: ['f\\oo,bar', 'h2'] } }],
    [
      'mandatory',
      '0001',
      '0000 0004 0001 0004  0001 0003 026832  0004 0004 c0000201',
      { params: { mandatory: [1, 4] } },
    ],
    ['flags', '0001', '0001 0003 026832 0002 0000 0008 0000', { params: { noDefaultAlpn: true, ohttp: true } }],
  ])('reads the vectors of RFC 9460 App. D: %s', (_, priority, text, expected) => {
    const rdata = hex(`${priority} ${TARGET} ${text}`)
    const record = parseSvcb(rdata)!
    expect(record).toMatchObject({ target: 'foo.example.com', ...expected })
    expect(hexOf(encodeSvcb(record))).toBe(hexOf(rdata))
  })

  it.each([
    ['unsorted keys', '0003 0002 0035 0001 0003 026832'],
    ['a repeated key', '0003 0002 0035 0003 0002 0035'],
    ['a value that ends outside', '0003 0002 00'],
    ['trailing octets', '0003 0002 0035 000000'],
    ['the key 65535', 'ffff 0000'],
    ['an empty mandatory', '0000 0000'],
    ['an empty alpn', '0001 0000'],
    ['an empty protocol id', '0001 0001 00'],
    ['a protocol id that ends outside', '0001 0003 036832'],
    ['an empty port', '0003 0000'],
    ['a port of three octets', '0003 0003 000035'],
    ['an empty ipv4hint', '0004 0000'],
    ['an ipv4hint of five octets', '0004 0005 c000020101'],
    ['an empty ipv6hint', '0006 0000'],
    ['an ipv6hint of four octets', '0006 0004 c0000201'],
    ['a value for no-default-alpn', '0001 0003 026832 0002 0003 616263'],
    ['mandatory=key123 without key123', '0000 0002 007b'],
    ['mandatory=mandatory', '0000 0002 0000'],
    ['mandatory=key123,key123', '0000 0004 007b007b 007b 0000'],
    ['half a mandatory key', '0000 0003 000100 0001 0003 026832'],
    ['a dohpath that is no UTF-8', '0007 0002 2fff'],
  ])('SVCB-2: refuses %s', (_, text) => {
    expect(parseSvcb(hex(`0001 ${TARGET} ${text}`))).toBeUndefined()
    expect(parseSvcbParams(hex(text))).toBeUndefined()
  })

  it.each([
    ['nothing', ''],
    ['no target', '0001'],
    ['a target that is cut off', '0001 03666f'],
    ['a compressed target', '0001 03666f6f c000'],
  ])('SVCB-2: refuses %s', (_, text) => {
    expect(parseSvcb(hex(text))).toBeUndefined()
  })
})

describe('svcbText', () => {
  it('is sorted and quoted', () => {
    expect(svcbText({ priority: 1, target: 'dns.example', params })).toBe(
      '1 dns.example. alpn="dot,h2,h3,doq" port="8853" dohpath="/dns-query{?dns}"',
    )
  })

  it('escapes twice inside alpn, as RFC 9460 App. A.1 does', () => {
    expect(svcbText({ priority: 16, target: '.', params: { alpn: ['f\\oo,bar', 'h2'] } })).toBe(
      '16 . alpn="f\\\\\\\\oo\\\\,bar,h2"',
    )
  })

  it('names unknown keys by number and shows their octets', () => {
    const others = [
      { key: 667, value: hex('68656c6c6fd222') },
      { key: 668, value: new Uint8Array(0) },
    ]
    expect(
      svcbText({ priority: 1, target: 'a', params: { mandatory: [667, 1], others, alpn: ['h2'], ohttp: true } }),
    ).toBe('1 a. mandatory="key667,alpn" alpn="h2" ohttp key667="hello\\210\\"" key668')
  })
})
