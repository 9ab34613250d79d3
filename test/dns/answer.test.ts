import { describe, expect, it } from 'vitest'
import {
  buildReply,
  type PreparedAnswer,
  prepareAnswer,
  TTL_S_MAX,
  truncatedReply,
  writeAnswer,
} from '../../src/dns/answer.ts'
import { RCODE } from '../../src/dns/codes.ts'
import { MessageView } from '../../src/dns/view.ts'
import { golden, hex, hexOf } from './golden.ts'

const QUESTION = '037777770161 00 0001 0001'
const query = (text = `1234 0100 0001 0000 0000 0000 ${QUESTION}`): MessageView => MessageView.over(hex(text))!
const prepared = (text: string): PreparedAnswer => prepareAnswer(hex(text))!

/** www.a with two addresses (TTL 300 and 60), an OPT with extended error 3. */
const RESPONSE = `9999 8180 0001 0002 0000 0001 ${QUESTION}
  c00c 0001 0001 0000012c 0004 c0000201
  c00c 0001 0001 0000003c 0004 c0000202
  00 0029 04d0 00000000 0006 000f 0002 0003`

function written(answer: PreparedAnswer, asked: MessageView, ageS: number, staleTtlS?: number): string {
  const target = new Uint8Array(600).fill(0xee)
  const end = writeAnswer(answer, target, 50, asked, ageS, staleTtlS)
  expect(target[end]).toBe(0xee)
  expect(target[49]).toBe(0xee)
  return hexOf(target.subarray(50, end))
}

describe('prepareAnswer', () => {
  it('strips OPT and finds what a cache needs to know', () => {
    const answer = prepared(RESPONSE)
    expect(hexOf(answer.wire)).toBe(
      hexOf(hex(RESPONSE.replace('0001 037', '0000 037'))).slice(0, answer.wire.length * 2),
    )
    expect(answer).toMatchObject({
      rcode: 0,
      answerCount: 2,
      minTtlS: 60,
      truncated: false,
      extendedErrors: [{ code: 3 }],
      ttlOffsets: [29, 45],
    })
    expect(answer.negativeTtlS).toBeUndefined()
  })

  it('keeps a copy: the packet may be overwritten afterwards', () => {
    const packet = Buffer.from(hex(RESPONSE))
    const answer = prepareAnswer(packet)!
    const before = hexOf(answer.wire)
    packet.fill(0)
    expect(hexOf(answer.wire)).toBe(before)
  })

  it('drops what comes after OPT in the additional section', () => {
    const answer = prepared(`9999 8180 0001 0000 0000 0003 ${QUESTION}
      00 0001 0001 00000000 0004 c0000201  00 0029 04d0 00000000 0000  00 0001 0001 00000000 0004 c0000202`)
    expect(hexOf(answer.wire.subarray(10, 12))).toBe('0001')
    expect(hexOf(answer.wire).endsWith('c0000201')).toBe(true)
  })

  it('joins the twelve bits of an extended rcode', () => {
    expect(prepared(`9999 8180 0001 0000 0000 0001 ${QUESTION} 00 0029 04d0 01000000 0000`).rcode).toBe(RCODE.BADVERS)
  })

  it('CACHE-2: takes the negative TTL from the SOA, min(TTL, MINIMUM)', () => {
    const soa = (ttl: string, minimum: string): PreparedAnswer =>
      prepared(
        `9999 8183 0001 0000 0001 0000 ${QUESTION} 00 0006 0001 ${ttl} 0016 00 00 00000001 00000002 00000003 00000004 ${minimum}`,
      )
    expect(soa('0000012c', '0000003c')).toMatchObject({ rcode: 3, negativeTtlS: 60, minTtlS: 300 })
    expect(soa('0000003c', '0000012c').negativeTtlS).toBe(60)
    expect(soa('ffffffff', 'ffffffff').negativeTtlS).toBe(TTL_S_MAX)
  })

  it('takes no negative TTL from an SOA that is cut short, or is the answer', () => {
    expect(
      prepared(`9999 8180 0001 0000 0001 0000 ${QUESTION} 00 0006 0001 0000003c 0004 00000000`).negativeTtlS,
    ).toBeUndefined()
    const soa = '00 0006 0001 0000003c 0016 00 00 00000001 00000002 00000003 00000004 00000005'
    expect(prepared(`9999 8180 0001 0001 0000 0000 ${QUESTION} ${soa}`).negativeTtlS).toBeUndefined()
  })

  it('caps TTLs at a week, the top bit included (RFC 8767 §4)', () => {
    const answer = prepared(`9999 8180 0001 0001 0000 0000 ${QUESTION} c00c 0001 0001 80000000 0004 c0000201`)
    expect(answer.minTtlS).toBe(TTL_S_MAX)
    expect(written(answer, query(), 1)).toContain((TTL_S_MAX - 1).toString(16).padStart(8, '0'))
  })

  it('sets RA, clears AA and Z, and believes AD only from an authenticated upstream', () => {
    const packet = hex(`9999 8560 0001 0000 0000 0000 ${QUESTION}`)
    expect(hexOf(prepareAnswer(packet)!.wire.subarray(2, 4))).toBe('8180')
    expect(hexOf(prepareAnswer(packet, 'authenticated')!.wire.subarray(2, 4))).toBe('81a0')
  })

  it.each([
    ['a query', `9999 0100 0001 0000 0000 0000 ${QUESTION}`],
    ['a response without a question', '9999 8180 0000 0000 0000 0000'],
    ['a response with two', `9999 8180 0002 0000 0000 0000 ${QUESTION} ${QUESTION}`],
    ['a cut response', RESPONSE.slice(0, -4)],
    ['a broken OPT', `9999 8180 0001 0000 0000 0001 ${QUESTION} 00 0029 04d0 00000000 0003 000c00`],
    ['a short header', '9999 8180'],
  ])('refuses %s', (_, text) => {
    expect(prepareAnswer(hex(text))).toBeUndefined()
  })
})

describe('writeAnswer', () => {
  it('patches id and TTLs', () => {
    expect(written(prepared(RESPONSE), query(), 10)).toBe(
      hexOf(
        hex(`1234 8180 0001 0002 0000 0000 ${QUESTION}
          c00c 0001 0001 00000122 0004 c0000201
          c00c 0001 0001 00000032 0004 c0000202`),
      ),
    )
  })

  it('FWD-5: echoes the letter case of the question', () => {
    const mixed = query('1234 0100 0001 0000 0000 0000 035757770141 00 0001 0001')
    expect(written(prepared(RESPONSE), mixed, 0)).toContain('03575777014100')
    expect(written(prepared(RESPONSE), query(), 0)).toContain('03777777016100')
  })

  it('counts TTLs down to 0, not below', () => {
    const text = written(prepared(RESPONSE), query(), 100)
    expect(text).toContain('000000c80004c0000201')
    expect(text).toContain('000000000004c0000202')
  })

  it('CACHE-3: gives every record of a stale answer the same TTL', () => {
    expect(written(prepared(RESPONSE), query(), 9999, 30).match(/0000001e0004/g)).toHaveLength(2)
  })

  it('copies RD and CD from the query', () => {
    expect(written(prepared(RESPONSE), query(`1234 0010 0001 0000 0000 0000 ${QUESTION}`), 0).slice(4, 8)).toBe('8090')
  })

  it('gives AD to those who set AD or DO (RFC 6840 §5.7)', () => {
    const answer = prepareAnswer(hex(RESPONSE.replace('8180', '81a0')), 'authenticated')!
    const flags = (text: string): string => written(answer, query(text), 0).slice(4, 8)
    expect(flags(`1234 0100 0001 0000 0000 0000 ${QUESTION}`)).toBe('8180')
    expect(flags(`1234 0120 0001 0000 0000 0000 ${QUESTION}`)).toBe('81a0')
    expect(flags(`1234 0100 0001 0000 0000 0001 ${QUESTION} 00 0029 04d0 00008000 0000`)).toBe('81a0')
  })

  it('refuses another question and a buffer too small', () => {
    const other = query('1234 0100 0001 0000 0000 0000 00 0001 0001')
    expect(() => writeAnswer(prepared(RESPONSE), new Uint8Array(600), 0, other, 0)).toThrow(RangeError)
    expect(() => writeAnswer(prepared(RESPONSE), new Uint8Array(40), 0, query(), 0)).toThrow(RangeError)
  })
})

describe('replies without records', () => {
  it('echo the question byte for byte, RD and CD', () => {
    const asked = query('1234 0170 0001 0000 0000 0000 035757770141 00 0001 0001')
    expect(hexOf(buildReply(asked, { rcode: RCODE.SERVFAIL }))).toBe(
      hexOf(hex('1234 8192 0001 0000 0000 0000 035757770141 00 0001 0001')),
    )
    expect(hexOf(buildReply(asked, { rcode: 0, authoritative: true })).slice(4, 8)).toBe('8590')
  })

  it('count no records of the query', () => {
    expect(hexOf(buildReply(MessageView.over(golden('query-padded'))!, { rcode: 5 }))).toBe(
      hexOf(hex('0000 8185 0001 0000 0000 0000 03777777076578616d706c6503636f6d00 0001 0001')),
    )
  })

  it('FWD-3: set TC and keep the rcode and AA of what was too large', () => {
    const reply = truncatedReply(query(), hex(`1234 8583 0001 0009 0000 0000 ${QUESTION}`))
    expect(hexOf(reply)).toBe(hexOf(hex(`1234 8783 0001 0000 0000 0000 ${QUESTION}`)))
  })
})
