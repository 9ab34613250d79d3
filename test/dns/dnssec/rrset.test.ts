import { describe, expect, it } from 'vitest'
import { TYPE } from '../../../src/dns/codes.ts'
import { expandedRdata } from '../../../src/dns/dnssec/rdata.ts'
import { rewriteAnswer } from '../../../src/dns/dnssec/rewrite.ts'
import { inCanonicalOrder, readRrsets, signedData } from '../../../src/dns/dnssec/rrset.ts'
import { parseMessage, recordText } from '../../../src/dns/message.ts'
import { MessageView } from '../../../src/dns/view.ts'
import { hex, hexOf } from '../golden.ts'

/** `A.` asked for ANY; answers with pointers to its name in every place one may stand. */
const compressed = hex(`1234 8590 0001 0006 0000 0001  0141 00 00ff 0001
  c00c 000f 0001 0000012c 0006 000a 0142 c00c
  c00c 000f 0001 0000012c 0004 0005 c00c
  c00c 0006 0001 0000012c 001a 0142 c00c c00c 00000001 00000002 00000003 00000004 00000005
  c00c 002f 0001 0000012c 0005 0142 00 0000
  c00c 0023 0001 0000012c 000e 0001 0002 0155 0145 0152 0142 c00c
  c00c 0010 0001 00000064 0002 0142
  0142 c00c 0001 0001 0000012c 0004 c0000201`)

describe('canonical RDATA (RFC 4034 §6.2, RFC 6840 §5.1)', () => {
  const sets = readRrsets(MessageView.over(compressed)!)
  const rdatasOf = (type: number): string[] => sets!.find((set) => set.type === type)!.rdatas.map(hexOf)

  it('every record is in a set', () => {
    expect(sets?.map(({ type, rdatas }) => [type, rdatas.length])).toEqual([
      [TYPE.MX, 2],
      [TYPE.SOA, 1],
      [TYPE.NSEC, 1],
      [TYPE.NAPTR, 1],
      [TYPE.TXT, 1],
      [TYPE.A, 1],
    ])
  })
  it('names are uncompressed and in lower case where the list says so, records in order', () => {
    expect(rdatasOf(TYPE.MX)).toEqual(['0005016100', '000a0162016100'])
    expect(rdatasOf(TYPE.SOA)).toEqual([hexOf(hex('0162016100 016100 0000000100000002000000030000000400000005'))])
    expect(rdatasOf(TYPE.NAPTR)).toEqual([hexOf(hex('00010002 0155 0145 0152 0162016100'))])
  })
  it('NSEC and text keep their case', () => {
    expect(rdatasOf(TYPE.NSEC)).toEqual(['0142000000'])
    expect(rdatasOf(TYPE.TXT)).toEqual(['0142'])
  })
  it('owners are in lower case, sections apart', () => {
    expect(sets!.map(({ name, section }) => [hexOf(Buffer.from(name, 'latin1')), section]).at(-1)).toEqual([
      '0162016100',
      'additional',
    ])
  })
  it.each([
    ['a name beyond its record', TYPE.MX, '000a0561'],
    ['a pointer forwards', TYPE.NS, 'c0ff'],
    ['no room before the name', TYPE.SRV, '000000'],
    ['strings beyond the record', TYPE.NAPTR, '00010002ff'],
  ])('%s is refused', (_, type, text) => {
    const octets = hex(text)
    expect(expandedRdata(octets, type, 0, octets.length, 'canonical')).toBeUndefined()
  })
})

it('records are ordered as left-justified octets, equal ones are one (RFC 4034 §6.3)', () => {
  const ordered = ['', '00', '0000', '01', '0100', '02'].map(hex)
  expect(inCanonicalOrder([...ordered.toReversed(), hex('01')]).map(hexOf)).toEqual(ordered.map(hexOf))
})

describe('signed data (RFC 4034 §3.1.8.1)', () => {
  const set = { name: '\x01x\x01w\x01z\0', type: 1, class: 1, rdatas: [hex('c0000201')] }
  const over = (labels: number): string | undefined => {
    const data = signedData(set, { labels, originalTtlS: 300, signedPart: hex('ff') })
    return data && hexOf(data)
  }
  const tail = hexOf(hex('0001 0001 0000012c 0004 c0000201'))
  it('is the signature, then each record with its original TTL', () => {
    expect(over(3)).toBe(`ff01780177017a00${tail}`)
  })
  it('names the wildcard when the name came of one (RFC 4035 §5.3.2)', () => {
    expect(over(2)).toBe(`ff012a0177017a00${tail}`)
    expect(over(0)).toBe(`ff012a00${tail}`)
  })
  it('is none when the signature claims more labels than there are', () => {
    expect(over(4)).toBeUndefined()
  })
  it('does not count a wildcard asked for by its own name', () => {
    const wild = { ...set, name: '\x01*\x01z\0' }
    expect(hexOf(signedData(wild, { labels: 1, originalTtlS: 300, signedPart: hex('') })!)).toBe(`012a017a00${tail}`)
  })
})

describe('an answer without some of its records', () => {
  const view = MessageView.over(compressed)!
  const keep = { authenticData: true, ttlCaps: new Map<number, number>() }

  it('is whole, with letter case, and its pointers lead where they did', () => {
    const wire = rewriteAnswer(view, { ...keep, leavesOut: ({ type }) => type === TYPE.MX || type === TYPE.NSEC })!
    const message = parseMessage(wire)!
    expect([...message.answers, ...message.additionals].map(recordText)).toEqual([
      'A. 300 IN SOA B.A. A. 1 2 3 4 5',
      'A. 300 IN NAPTR \\# 15 000100020155014501520142014100',
      'A. 100 IN TXT "B"',
      'B.A. 300 IN A 192.0.2.1',
    ])
    expect([message.authenticData, message.checkingDisabled]).toEqual([true, false])
  })
  it('keeps its bytes when nothing is left out, but for AD, CD and TTLs', () => {
    const records = parseMessage(compressed)!.answers.length
    const offset = compressed.indexOf(0x64)
    const wire = rewriteAnswer(view, {
      authenticData: false,
      ttlCaps: new Map([[offset - 3, 7]]),
      leavesOut: () => false,
    })!
    expect(parseMessage(wire)!.answers[5]!.ttl).toBe(7)
    expect(records).toBe(6)
    const same = Uint8Array.from(compressed)
    same[3] = same[3]! & ~0x30
    same[offset] = 7
    expect(hexOf(wire)).toBe(hexOf(same))
  })
})
