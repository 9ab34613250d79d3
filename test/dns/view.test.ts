import { describe, expect, it } from 'vitest'
import { MessageView } from '../../src/dns/view.ts'
import { golden, hex, hexOf } from './golden.ts'

const view = (text: string): MessageView => MessageView.over(hex(text))!

describe('MessageView', () => {
  it('reads a query in place', () => {
    const query = MessageView.over(golden('query-padded'))!
    expect(query).toMatchObject({
      id: 0,
      isResponse: false,
      opcode: 0,
      recursionDesired: true,
      truncated: false,
      authoritative: false,
      rcode: 0,
      questionCount: 1,
      answerCount: 0,
      authorityCount: 0,
      additionalCount: 1,
      questionEnd: 33,
      questionType: 1,
      questionClass: 1,
      questionName: 'www.example.com',
      messageEnd: 128,
      dnssecOk: false,
      hasEdns: true,
      signed: false,
    })
    expect(query.edns).toMatchObject({ udpSize: 1232, version: 0, extendedRcode: 0 })
    expect(hexOf(query.question)).toBe('03777777076578616d706c6503636f6d0000010001')
  })

  it('reads every header bit', () => {
    expect(view('0001 8400 0000000000000000')).toMatchObject({ isResponse: true, authoritative: true })
    expect(view('0001 2200 0000000000000000')).toMatchObject({ opcode: 4, truncated: true })
    expect(view('0001 00b3 0000000000000000')).toMatchObject({
      recursionAvailable: true,
      authenticData: true,
      checkingDisabled: true,
      rcode: 3,
    })
  })

  it.each([
    ['11 octets', '0000010000000000000000'],
    ['no question where one is counted', '000001000001000000000000'],
    ['half a question', '000001000001000000000000 0161 00 0001 00'],
    ['a pointer in the question', '000001000001000000000000 0161 c00c 0001 0001'],
  ])('is undefined over %s', (_, text) => {
    expect(MessageView.over(hex(text))).toBeUndefined()
  })

  it('does without a question', () => {
    expect(view('000001000000000000000000')).toMatchObject({
      hasQuestion: false,
      questionName: '',
      questionType: 0,
      questionKey: '',
      messageEnd: 12,
    })
  })

  it('has one key for every letter case of a question, and another for every other question', () => {
    const key = (text: string): string => view(`0000 0100 0001 000000000000 ${text}`).questionKey
    const lower = key('0161 00 0041 0001')
    expect(key('0141 00 0041 0001')).toBe(lower)
    // Type 65 and type 97 differ by what would be a letter's case.
    expect(new Set([lower, key('0161 00 0061 0001'), key('0161 00 0041 0003'), key('0162 00 0041 0001')]).size).toBe(4)
    expect(Buffer.from(lower, 'latin1').toString('hex')).toBe('01610000410001')
  })

  it('compares questions with and without letter case', () => {
    const query = (text: string): MessageView => view(`0000 0100 0001 000000000000 ${text}`)
    const asked = query('0161 00 0001 0001')
    expect(asked.sameQuestion(query('0141 00 0001 0001'))).toBe(true)
    expect(asked.sameQuestionExactly(query('0141 00 0001 0001'))).toBe(false)
    expect(asked.sameQuestionExactly(query('0161 00 0001 0001'))).toBe(true)
    for (const other of ['0162 00 0001 0001', '0161 00 0002 0001', '0161 00 0001 0003', '026161 00 0001 0001']) {
      expect(asked.sameQuestion(query(other))).toBe(false)
    }
    const none = view('000001000000000000000000')
    expect([asked.sameQuestion(none), none.sameQuestion(none), none.sameQuestionExactly(none)]).toEqual([
      false,
      false,
      false,
    ])
  })

  it('finds an OPT record behind others', () => {
    const response = view(`0000 8180 0001 0001 0000 0002  0161 00 0001 0001
      c00c 0001 0001 0000003c 0004 c0000201   c00c 0001 0001 0000003c 0004 c0000201   00 0029 0200 00 00 8000 0000`)
    expect(response).toMatchObject({ dnssecOk: true, messageEnd: response.wire.length })
    expect(response.edns).toMatchObject({ udpSize: 512, dnssecOk: true, flags: 0x8000 })
  })

  it.each([
    [
      'two OPT records',
      '0000 0100 0001 0000 0000 0002 00 0001 0001 00 0029 0200 00000000 0000 00 0029 0200 00000000 0000',
    ],
    ['an OPT record with an owner', '0000 0100 0001 0000 0000 0001 00 0001 0001 0161 00 0029 0200 00000000 0000'],
    [
      'an option longer than its record',
      '0000 0100 0001 0000 0000 0001 00 0001 0001 00 0029 0200 00000000 0004 000c 0001',
    ],
    ['a record that is cut off', '0000 0100 0001 0001 0000 0000 00 0001 0001 00 0001 0001 00000000 0004 c0'],
  ])('has no end and no EDNS with %s', (_, text) => {
    expect(view(text)).toMatchObject({ messageEnd: -1, edns: undefined, dnssecOk: false, hasEdns: false })
  })

  it('knows signed messages: TSIG and SIG(0) come last', () => {
    const signed = (record: string): boolean => view(`0000 0100 0001 0000 0000 0001 00 0001 0001 ${record}`).signed
    expect(signed('00 00fa 00ff 00000000 0000')).toBe(true)
    expect(signed('00 0018 00ff 00000000 0002 0000')).toBe(true)
    expect(signed('00 0018 00ff 00000000 0002 0001')).toBe(false)
    expect(signed('00 0001 0001 00000000 0000')).toBe(false)
  })
})
