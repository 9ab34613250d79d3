import { describe, expect, it } from 'vitest'
import { examineQuery } from '../../src/dns/query.ts'
import { golden, hex, hexOf } from './golden.ts'

/** Verdict and, for an error, the reply as hexadecimal text. */
function verdict(wire: Uint8Array): string {
  const examined = examineQuery(wire)
  return examined.kind === 'error' ? hexOf(examined.reply) : examined.kind
}

const plain = (text: string): string => text.replaceAll(/\s/g, '')

describe('examineQuery', () => {
  it.each(['query-a', 'query-padded', 'ddr-query'])('lets %s pass', (name) => {
    expect(verdict(golden(name))).toBe('query')
  })

  it('lets unknown flags, types and classes pass (RFC 5625 §4.1, §4.3)', () => {
    expect(verdict(hex('0000 0170 0001 000000000000 0161 00 ff78 0003'))).toBe('query')
  })

  it('walks over records in the answer and authority sections', () => {
    expect(verdict(hex('0000 0100 0001 0001 0000 0000 0161 00 0001 0001 c00c 0001 0001 00000000 0000'))).toBe('query')
  })

  it('drops what is no query: short headers and responses', () => {
    expect(verdict(hex('0000 0100 0001 0000 0000 00'))).toBe('drop')
    expect(verdict(new Uint8Array(0))).toBe('drop')
    expect(verdict(hex('0000 8180 0001 000000000000 0161 00 0001 0001'))).toBe('drop')
  })

  it('FWD-4: EDNS version 1 gets BADVERS', () => {
    expect(verdict(golden('query-edns-version-1'))).toBe(hexOf(golden('reply-badvers')))
  })

  it('FWD-4: two OPT records get FORMERR', () => {
    const opt = '00 0029 04d0 00000000 0000'
    expect(verdict(hex(`abcd 0100 0001 0000 0000 0002 0161 00 0001 0001 ${opt} ${opt}`))).toBe(
      plain('abcd 8181 0001 0000 0000 0000 0161 00 0001 0001'),
    )
  })

  it('FWD-4: a size of 100 counts as 512', () => {
    const examined = examineQuery(hex('abcd 0100 0001 0000 0000 0001 0161 00 0001 0001 00 0029 0064 00000000 0000'))
    expect(examined.kind === 'query' && examined.view.edns?.udpSize).toBe(512)
  })

  it.each([
    ['5 (UPDATE)', '2900', 'a984'],
    ['15', '7900', 'f984'],
    ['4 (NOTIFY), RD clear, CD set', '2010', 'a094'],
  ])('FWD-8: opcode %s gets NOTIMP', (_, flags, replyFlags) => {
    expect(verdict(hex(`abcd ${flags} 0001 000000000000 0161 00 0001 0001`))).toBe(
      plain(`abcd ${replyFlags} 0001 000000000000 0161 00 0001 0001`),
    )
  })

  it('FWD-8: NOTIMP comes even when the rest cannot be read, and with an OPT for an OPT', () => {
    expect(verdict(hex('abcd 7800 0001 000000000000 ff'))).toBe(plain('abcd f884 0000 000000000000'))
    expect(verdict(hex('abcd 7800 0001 0000 0000 0001 00 0001 0001 00 0029 1000 00000000 0000'))).toBe(
      plain('abcd f884 0001 0000 0000 0001 00 0001 0001 00 0029 04d0 00000000 0000'),
    )
  })

  it('FWD-8: two questions get FORMERR (RFC 9619), so does none', () => {
    expect(verdict(hex('abcd 0100 0002 000000000000 0161 00 0001 0001 0162 00 0001 0001'))).toBe(
      plain('abcd 8181 0000 000000000000'),
    )
    expect(verdict(hex('abcd 0110 0000 000000000000'))).toBe(plain('abcd 8191 0000 000000000000'))
  })

  it.each([
    ['a question that cannot be read', '0001 0000 0000 0000 ff', ''],
    ['a pointer in the question', '0001 0000 0000 0000 c00c 0001 0001', ''],
    ['octets behind the counted records', '0001 0000 0000 0000 0161 00 0001 0001 00', '0161 00 0001 0001'],
    ['a record that is not there', '0001 0000 0000 0001 0161 00 0001 0001', '0161 00 0001 0001'],
  ])('answers %s with FORMERR, the id and the opcode', (_, text, question) => {
    expect(verdict(hex(`abcd 0100 ${text}`))).toBe(
      plain(`abcd 8181 ${question ? '0001' : '0000'} 000000000000 ${question}`),
    )
  })
})
