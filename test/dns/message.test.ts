import { describe, expect, it } from 'vitest'
import { CLASS, OPCODE, RCODE, TYPE } from '../../src/dns/codes.ts'
import { buildMessage, type Message, parseMessage, type ResourceRecord, recordText } from '../../src/dns/message.ts'
import { stringsData } from '../../src/dns/rdata.ts'
import { golden, hex, hexOf } from './golden.ts'

const record = (type: number, data: ResourceRecord['data'], name = 'www.example'): ResourceRecord => ({
  name,
  type,
  class: CLASS.IN,
  ttl: 300,
  data,
})

/** One record of every type with a codec, and some without, with its zone-file text. */
const RECORDS: readonly (readonly [string, ResourceRecord])[] = [
  ['A 192.0.2.1', record(TYPE.A, { address: '192.0.2.1' })],
  ['AAAA 2001:db8::1', record(TYPE.AAAA, { address: '2001:db8::1' })],
  ['AAAA ::ffff:192.0.2.1', record(TYPE.AAAA, { address: '::ffff:192.0.2.1' })],
  ['NS ns.example.', record(TYPE.NS, { host: 'ns.example' })],
  ['CNAME a\\.b.example.', record(TYPE.CNAME, { host: 'a\\.b.example' })],
  ['PTR .', record(TYPE.PTR, { host: '.' })],
  ['DNAME other.example.', record(TYPE.DNAME, { host: 'other.example' })],
  ['MX 10 mx.example.', record(TYPE.MX, { preference: 10, exchange: 'mx.example' })],
  ['TXT "v=1" "a\\"b" ""', record(TYPE.TXT, stringsData('v=1', 'a"b', ''))],
  ['TXT "\\000\\255\\195"', record(TYPE.TXT, { strings: [Uint8Array.of(0, 255, 195)] })],
  ['SPF "v=spf1 -all"', record(TYPE.SPF, stringsData('v=spf1 -all'))],
  ['HINFO "RFC8482" ""', record(TYPE.HINFO, stringsData('RFC8482', ''))],
  [
    'RESINFO "exterr=3,15-17" "infourl=https://example/"',
    record(TYPE.RESINFO, stringsData('exterr=3,15-17', 'infourl=https://example/')),
  ],
  [
    'SOA ns.example. admin.example. 1 2 3 4 4294967295',
    record(TYPE.SOA, {
      primary: 'ns.example',
      mailbox: 'admin.example',
      serial: 1,
      refresh: 2,
      retry: 3,
      expire: 4,
      minimum: 0xffff_ffff,
    }),
  ],
  ['SRV 1 2 53 ns.example.', record(TYPE.SRV, { priority: 1, weight: 2, port: 53, target: 'ns.example' })],
  [
    'CAA 128 issue "ca.example; accounturi=x"',
    record(TYPE.CAA, { flags: 128, tag: 'issue', value: 'ca.example; accounturi=x' }),
  ],
  [
    'SVCB 1 dns.example. alpn="dot" key65000="x"',
    record(TYPE.SVCB, {
      priority: 1,
      target: 'dns.example',
      params: { alpn: ['dot'], others: [{ key: 65_000, value: Uint8Array.of(0x78) }] },
    }),
  ],
  [
    'HTTPS 1 . alpn="h2" ipv4hint="192.0.2.1"',
    record(TYPE.HTTPS, { priority: 1, target: '.', params: { alpn: ['h2'], ipv4hint: ['192.0.2.1'] } }),
  ],
  ['DS \\# 4 00010d02', record(TYPE.DS, hex('00010d02'))],
  ['TYPE65400 \\# 0', record(65_400, new Uint8Array(0))],
]

const whole: Partial<Message> = {
  id: 4711,
  isResponse: true,
  recursionDesired: true,
  recursionAvailable: true,
  questions: [{ name: 'www.example', type: TYPE.ANY, class: CLASS.IN }],
  answers: RECORDS.map(([, each]) => each),
  authorities: [record(TYPE.NS, { host: 'ns.example' }, 'example')],
  additionals: [record(TYPE.A, { address: '192.0.2.53' }, 'ns.example')],
  edns: {
    udpSize: 1232,
    version: 0,
    dnssecOk: true,
    options: [
      { code: 10, data: hex('2464c4abcf10c957') },
      { code: 12, data: new Uint8Array(20) },
      { code: 65_001, data: hex('0102') },
    ],
  },
}

/** Octets of every kind as plain arrays, so that Buffer and Uint8Array compare equal. */
function plain<T>(value: T): T {
  return JSON.parse(JSON.stringify(value, (_, each) => (each?.type === 'Buffer' ? Object.assign({}, each.data) : each)))
}

describe('messages', () => {
  it.each(RECORDS)('survive the way there and back: %s', (text, each) => {
    const wire = buildMessage({ ...whole, answers: [each] })
    const message = parseMessage(wire)!
    expect(plain(message.answers)).toEqual(plain([each]))
    expect(recordText(message.answers[0]!)).toBe(`www.example. 300 IN ${text}`)
    expect(hexOf(buildMessage(message))).toBe(hexOf(wire))
  })

  it('survive as a whole, unknown EDNS options included', () => {
    const wire = buildMessage(whole)
    const message = parseMessage(wire)!
    expect(plain(message)).toMatchObject(plain(whole))
    expect(hexOf(buildMessage(message))).toBe(hexOf(wire))
  })

  it.each([
    'query-a',
    'query-padded',
    'ddr-query',
    'ddr-answer',
    'ddr-nodata',
    'reply-badvers',
    'update',
    'update-signed',
  ])('parse %s; building it again and parsing that gives the same', (name) => {
    const message = parseMessage(golden(name))!
    expect(message).toBeDefined()
    expect(plain(parseMessage(buildMessage(message)))).toEqual(plain(message))
  })

  it.each(['query-a', 'query-padded', 'ddr-query', 'ddr-nodata', 'reply-badvers', 'update'])(
    'build %s byte for byte',
    (name) => {
      expect(hexOf(buildMessage(parseMessage(golden(name))!))).toBe(hexOf(golden(name)))
    },
  )

  it('carry every header bit and the twelve bits of the rcode', () => {
    const flags = {
      id: 65_535,
      isResponse: true,
      opcode: OPCODE.NOTIFY,
      authoritative: true,
      truncated: true,
      recursionDesired: true,
      recursionAvailable: true,
      authenticData: true,
      checkingDisabled: true,
    }
    expect(parseMessage(buildMessage({ ...flags, rcode: 15 }))).toMatchObject({ ...flags, rcode: 15 })
    const edns = { udpSize: 512, version: 0, dnssecOk: false, options: [] }
    for (const rcode of [RCODE.BADVERS, RCODE.BADCOOKIE, 0xfff]) {
      expect(parseMessage(buildMessage({ edns, rcode }))?.rcode).toBe(rcode)
    }
    expect(() => buildMessage({ rcode: RCODE.BADVERS })).toThrow('OPT')
  })

  it('compress owner names and the names of old types only', () => {
    const answers = [
      record(TYPE.CNAME, { host: 'WWW.example' }),
      record(TYPE.SRV, { priority: 0, weight: 0, port: 0, target: 'www.example' }),
    ]
    expect(hexOf(buildMessage({ answers }))).toBe(
      hexOf(
        hex(`0000 0000 0000 0002 0000 0000  03777777 076578616d706c65 00 0005 0001 0000012c 0002 c00c
          c00c 0021 0001 0000012c 0013 0000 0000 0000 03777777 076578616d706c65 00`),
      ),
    )
  })

  it('cut text above 255 octets into strings', () => {
    const message = parseMessage(
      buildMessage({ answers: [record(TYPE.TXT, { strings: [new Uint8Array(600).fill(65)] })] }),
    )!
    const { data } = message.answers[0]!
    expect('strings' in data && data.strings.map(({ length }) => length)).toEqual([255, 255, 90])
  })

  it('expand the compressed names of types without a codec', () => {
    // MINFO with two pointers to the owner, and an SRV target that someone compressed.
    const wire = hex(`0000 8180 0000 0002 0000 0000  0161 00 000e 0001 00000000 0004 c00c c00c
      0162 00 0021 0001 00000000 0008 0000 0000 0035 c00c`)
    const message = parseMessage(wire)!
    expect(recordText(message.answers[0]!)).toBe('a. 0 IN TYPE14 \\# 6 016100016100')
    expect(message.answers[1]!.data).toMatchObject({ port: 53, target: 'a' })
  })

  it('keep a malformed SVCB record as octets: its RRset is for the client to reject (RFC 9460 §2.2)', () => {
    const wire = hex('0000 8180 0000 0001 0000 0000 00 0040 0001 00000000 0006 0001 00 000300')
    expect(recordText(parseMessage(wire)!.answers[0]!)).toBe('. 0 IN SVCB \\# 6 000100000300')
  })

  it.each([
    ['a short header', '0000 8180'],
    ['octets behind the last record', '0000 8180 0000 0000 0000 0000 00'],
    ['an address of five octets', '0000 8180 0000 0001 0000 0000 00 0001 0001 00000000 0005 0102030405'],
    ['an address of none', '0000 8180 0000 0001 0000 0000 00 0001 0001 00000000 0000'],
    ['text that overruns its record', '0000 8180 0000 0001 0000 0000 00 0010 0001 00000000 0002 0241'],
    ['a host that does not fill its record', '0000 8180 0000 0001 0000 0000 00 0005 0001 00000000 0002 0000'],
    ['an SOA without numbers', '0000 8180 0000 0001 0000 0000 00 0006 0001 00000000 0002 0000'],
    ['an owner that points at itself', '0000 8180 0000 0001 0000 0000 c00c 0001 0001 00000000 0004 01020304'],
    ['two OPT records', '0000 8180 0000 0000 0000 0002 00 0029 0200 00000000 0000 00 0029 0200 00000000 0000'],
    ['MINFO with a forward pointer', '0000 8180 0000 0001 0000 0000 00 000e 0001 00000000 0003 c01900'],
  ])('are not parsed from %s', (_, text) => {
    expect(parseMessage(hex(text))).toBeUndefined()
  })

  it('are not built from data of another type, wrong numbers or names', () => {
    const build = (each: ResourceRecord) => () => buildMessage({ answers: [each] })
    expect(build(record(TYPE.SVCB, { host: 'a' }))).toThrow('another type')
    expect(build(record(65_400, { host: 'a' }))).toThrow('TYPE65400 data has to be octets')
    expect(build(record(TYPE.AAAA, { address: 'fe80::1%eth0' }))).toThrow('16 octets')
    expect(build(record(TYPE.A, { address: '192.0.2.1' }, 'bücher.example'))).toThrow('domain name')
    expect(build(record(70_000, new Uint8Array(0)))).toThrow('16-bit')
    expect(build(record(65_400, new Uint8Array(65_530)))).toThrow(RangeError)
    expect(() =>
      buildMessage({
        answers: [],
        edns: { udpSize: 512, version: 0, dnssecOk: false, options: [{ code: 1, data: new Uint8Array(65_530) }] },
      }),
    ).toThrow(RangeError)
  })

  it('keep octets of a known type as they are', () => {
    const wire = buildMessage({ answers: [record(TYPE.A, hex('c0000201'))] })
    expect(parseMessage(wire)?.answers[0]?.data).toEqual({ address: '192.0.2.1' })
  })
})
