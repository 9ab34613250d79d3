import { describe, expect, it } from 'vitest'
import { EDNS_OPTION, EXTENDED_ERROR } from '../../src/dns/codes.ts'
import {
  appendOpt,
  buildOpt,
  CLIENT_SUBNET_OPT_OUT,
  ednsOptions,
  extendedErrorOption,
  findOption,
  hasOption,
  keepaliveMs,
  keepaliveOption,
  optBytes,
  paddingBytes,
  QUERY_PADDING_BLOCK,
  RESPONSE_PADDING_BLOCK,
  readEdns,
  readExtendedErrors,
  writeOpt,
} from '../../src/dns/edns.ts'
import { golden, hex, hexOf } from './golden.ts'

describe('padding', () => {
  it('PAD-1: a query becomes 128 octets', () => {
    const query = golden('query-a')
    const target = new Uint8Array(200)
    target.set(query)
    const end = appendOpt(target, 0, query.length, { udpSize: 1232, padTo: QUERY_PADDING_BLOCK })
    expect(hexOf(target.subarray(0, end))).toBe(hexOf(golden('query-padded')))
  })

  it.each([
    [60, 404, 468],
    [250, 214, 468],
    [464, 0, 468],
    [465, 467, 936],
    [468, 464, 936],
    [900, 32, 936],
  ])('PAD-1: a response of %d octets gets %d of padding, %d in all', (length, padding, whole) => {
    const option = paddingBytes(length, RESPONSE_PADDING_BLOCK)
    expect([option - 4, length + option]).toEqual([padding, whole])
    // The same through the record: 11 octets of OPT belong to the length.
    const opt = buildOpt({ udpSize: 1232, padTo: RESPONSE_PADDING_BLOCK, messageLength: length - 11 })
    expect(opt.length).toBe(whole - length + 11)
  })

  it('PAD-1: comes after every other option and counts them', () => {
    const fields = {
      udpSize: 1232,
      options: [keepaliveOption(30_000)],
      extendedErrors: [{ code: EXTENDED_ERROR.NETWORK_ERROR, text: 'upstream unreachable' }],
      padTo: RESPONSE_PADDING_BLOCK,
    }
    const edns = readEdns(buildOpt({ ...fields, messageLength: 100 }), 0)!
    expect([...ednsOptions(edns)].map(({ code }) => code)).toEqual([
      EDNS_OPTION.TCP_KEEPALIVE,
      EDNS_OPTION.EXTENDED_ERROR,
      EDNS_OPTION.PADDING,
    ])
    expect((100 + optBytes(fields, 100)) % RESPONSE_PADDING_BLOCK).toBe(0)
    expect(findOption(edns, EDNS_OPTION.PADDING)!.every((octet) => octet === 0)).toBe(true)
  })

  it('PAD-1: is there only when asked for', () => {
    expect(hexOf(buildOpt({ udpSize: 1232 }))).toBe('00002904d0000000000000')
  })

  it('stays within the largest message', () => {
    expect(paddingBytes(65_525, RESPONSE_PADDING_BLOCK)).toBe(10)
    expect(paddingBytes(65_531, RESPONSE_PADDING_BLOCK)).toBe(4)
    expect(paddingBytes(65_532, RESPONSE_PADDING_BLOCK)).toBe(0)
  })

  it('counts from the message, not from the buffer', () => {
    const target = new Uint8Array(600).fill(0xff)
    target.set(golden('query-a'), 100)
    expect(appendOpt(target, 100, 133, { udpSize: 1232, padTo: QUERY_PADDING_BLOCK })).toBe(228)
    expect(hexOf(target.subarray(100, 228))).toBe(hexOf(golden('query-padded')))
  })
})

describe('OPT', () => {
  it('writes every field', () => {
    expect(hexOf(buildOpt({ udpSize: 4096, extendedRcode: 1, dnssecOk: true, options: [CLIENT_SUBNET_OPT_OUT] }))).toBe(
      '00002910000100800000080008000400010000',
    )
  })

  it('refuses to write beyond the buffer', () => {
    expect(() => writeOpt(new Uint8Array(10), 0, { udpSize: 512 })).toThrow(RangeError)
    expect(() => writeOpt(new Uint8Array(20), 0, { udpSize: 512, padTo: 128 })).toThrow(RangeError)
    const options = [{ code: 65_001, data: new Uint8Array(10) }]
    expect(() => writeOpt(new Uint8Array(20), 0, { udpSize: 512, options })).toThrow(RangeError)
  })

  it('finds options, unknown ones too', () => {
    const edns = readEdns(hex('00 0029 1000 00 00 0000 000b  fde9 0003 010203  000c 0000'), 0)!
    expect([...ednsOptions(edns)].map(({ code, data }) => [code, hexOf(data)])).toEqual([
      [65_001, '010203'],
      [12, ''],
    ])
    expect([hasOption(edns, 12), hasOption(edns, 10), findOption(edns, 10)]).toEqual([true, false, undefined])
  })

  it.each([
    ['another type', '00 0001 1000 00000000 0000'],
    ['an owner', '0161 00 0029 1000 00000000 0000'],
    ['options that end early', '00 0029 1000 00000000 0003 000c00'],
    ['options that end late', '00 0029 1000 00000000 0004 000c0001'],
    ['options outside the packet', '00 0029 1000 00000000 0004'],
    ['nothing', ''],
  ])('is not read from %s', (_, text) => {
    expect(readEdns(hex(text), 0)).toBeUndefined()
  })
})

describe('extended errors (RFC 8914)', () => {
  it('equal the vector', () => {
    const { code, data } = extendedErrorOption({ code: EXTENDED_ERROR.NETWORK_ERROR, text: 'upstream unreachable' })
    expect([code, hexOf(data)]).toEqual([15, '0017757073747265616d20756e726561636861626c65'])
  })

  it('cut a long text between characters', () => {
    const { data } = extendedErrorOption({ code: 0, text: 'é'.repeat(200) })
    expect(Buffer.from(data.subarray(2)).toString('utf8')).toBe('é'.repeat(64))
  })

  it('are read with and without text, a final NUL and broken UTF-8; too short ones are passed over', () => {
    const edns = readEdns(
      hex('00 0029 1000 00000000 001c  000f 0002 0003  000f 0004 00174100  000f 0003 0000ff  000f 0001 00'),
      0,
    )
    expect(edns).toBeUndefined()
    const whole = readEdns(
      hex('00 0029 1000 00000000 001a  000f 0002 0003  000f 0004 00174100  000f 0003 0000ff  000f 0001 00'),
      0,
    )!
    expect(readExtendedErrors(whole)).toEqual([{ code: 3 }, { code: 23, text: 'A' }, { code: 0, text: '\uFFFD' }])
  })

  it('are at most eight', () => {
    const edns = readEdns(
      buildOpt({ udpSize: 512, extendedErrors: Array.from({ length: 20 }, (_, code) => ({ code })) }),
      0,
    )!
    expect(readExtendedErrors(edns)).toHaveLength(8)
  })
})

describe('keepalive (RFC 7828)', () => {
  it('DOT-4: counts in units of 100 ms', () => {
    const option = keepaliveOption(30_000)
    expect([option.code, hexOf(option.data)]).toEqual([11, '012c'])
    expect(keepaliveMs(option.data)).toBe(30_000)
  })

  it('has two octets or none', () => {
    expect(keepaliveMs(new Uint8Array(0))).toBeUndefined()
    expect(keepaliveMs(keepaliveOption(Number.MAX_SAFE_INTEGER).data)).toBe(6_553_500)
  })
})
