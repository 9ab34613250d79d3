import { describe, expect, it } from 'vitest'
import { EDNS_OPTION } from '../../src/dns/codes.ts'
import { asksForCookie, cookieReply, examineQuery } from '../../src/dns/query.ts'
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

  it('FWD-1: lets unknown flags, types and classes pass (RFC 5625 §4.1, §4.3)', () => {
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

const COOKIE_8 = '000a 0008 0102030405060708'
const withOpt = (header: string, question: string, options: string): Uint8Array => {
  const octets = plain(options).length / 2
  return hex(`${header} ${question} 00 0029 1000 00008000 ${octets.toString(16).padStart(4, '0')} ${options}`)
}
const QUESTION = '0161 00 0001 0001'
const ONE_QUESTION = 'abcd 0100 0001 0000 0000 0001'
const NO_QUESTION = 'abcd 0110 0000 0000 0000 0001'

describe('the OPT record of a query', () => {
  it.each([
    ['an option nobody knows', '0064 0000'],
    ['a client cookie', COOKIE_8],
    ['client and server cookie', `000a 0010 ${'01'.repeat(16)}`],
    ['the longest cookie', `000a 0028 ${'01'.repeat(40)}`],
  ])('with %s is fine', (_, options) => {
    expect(verdict(withOpt(ONE_QUESTION, QUESTION, options))).toBe('query')
  })

  it.each([0, 1, 7, 9, 15, 41])(
    'with a cookie of %i octets gets FORMERR (RFC 7873 section 5.2.2), DO copied',
    (length) => {
      const option = `000a ${length.toString(16).padStart(4, '0')} ${'01'.repeat(length)}`
      expect(verdict(withOpt(ONE_QUESTION, QUESTION, option))).toBe(
        plain(`abcd 8181 0001 0000 0000 0001 ${QUESTION} 00 0029 04d0 00008000 0000`),
      )
    },
  )

  it.each([
    ['an option cut short', '000a 0008 0102'],
    ['half an option header behind the options', `${COOKIE_8} 0000`],
    ['one octet behind the options', `${COOKIE_8} 00`],
  ])('with %s gets FORMERR', (_, options) => {
    expect(verdict(withOpt(ONE_QUESTION, QUESTION, options))).toBe(plain(`abcd 8181 0001 0000 0000 0000 ${QUESTION}`))
  })
})

describe('a query without a question', () => {
  it('that asks for a cookie is known, and is FORMERR to who hands none out (RFC 7873 section 5.4)', () => {
    const wire = withOpt(NO_QUESTION, '', COOKIE_8)
    expect(verdict(wire)).toBe(plain('abcd 8191 0000 0000 0000 0000'))
    const edns = asksForCookie(wire)!
    const option = { code: EDNS_OPTION.COOKIE, data: hex('01020304 05060708 0909') }
    expect(hexOf(cookieReply(edns, option, 'good'))).toBe(
      plain('abcd 8190 0000 0000 0000 0001 00 0029 04d0 00008000 000e 000a 000a 0102030405060708 0909'),
    )
    expect(hexOf(cookieReply(edns, option, 'bad'))).toBe(
      plain('abcd 8197 0000 0000 0000 0001 00 0029 04d0 01008000 000e 000a 000a 0102030405060708 0909'),
    )
  })

  it.each([
    ['has no cookie', withOpt(NO_QUESTION, '', '0064 0000')],
    ['has no OPT', hex('abcd 0100 0000 0000 0000 0000')],
    ['has a question', withOpt(ONE_QUESTION, QUESTION, COOKIE_8)],
    ['has a cookie of a wrong length', withOpt(NO_QUESTION, '', '000a 0007 01020304050607')],
    ['is a response', withOpt('abcd 8100 0000 0000 0000 0001', '', COOKIE_8)],
    ['is an update', withOpt('abcd 2800 0000 0000 0000 0001', '', COOKIE_8)],
    ['is of EDNS version 1', hex(`${NO_QUESTION} 00 0029 1000 00010000 000c ${COOKIE_8}`)],
    ['has octets behind it', hex(`${NO_QUESTION} 00 0029 1000 00000000 000c ${COOKIE_8} 00`)],
    ['is short', hex('abcd 0100 0000')],
  ])('does not ask for a cookie when it %s', (_, wire) => {
    expect(asksForCookie(wire)).toBeUndefined()
  })
})
