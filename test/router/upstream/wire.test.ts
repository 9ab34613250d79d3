import { describe, expect, it } from 'vitest'
import { EDNS_OPTION, RCODE, TYPE } from '../../../src/dns/codes.ts'
import { buildMessage, type Message, parseMessage } from '../../../src/dns/message.ts'
import { MessageView } from '../../../src/dns/view.ts'
import { answerOf, FORM, matchReply, upstreamQuestion } from '../../../src/router/upstream/wire.ts'
import { queryWire, responseWire } from '../../support/query.ts'

const viewOf = (wire: Uint8Array): MessageView => MessageView.over(wire)!
const asked = (wire: Uint8Array, form: number = FORM.EDNS): Message =>
  parseMessage(upstreamQuestion(viewOf(wire), 0xabcd, form))!
const PADDED = FORM.EDNS | FORM.PADDED

describe('upstreamQuestion', () => {
  it('is the question byte for byte with our id, RD and AD', () => {
    expect(asked(queryWire('A.eXample', TYPE.AAAA, { recursionDesired: false }))).toMatchObject({
      id: 0xabcd,
      opcode: 0,
      isResponse: false,
      recursionDesired: true,
      authenticData: true,
      checkingDisabled: false,
      questions: [{ name: 'A.eXample', type: TYPE.AAAA, class: 1 }],
      answers: [],
      edns: { udpSize: 1232, version: 0, dnssecOk: false, options: [] },
    })
  })

  it('FWD-6: the cookie, client subnet and every other option of the client stay here', () => {
    const options = [8, 10, 11, 12, 15, 65_001].map((code) => ({ code, data: new Uint8Array(8) }))
    const wire = queryWire('a.example', TYPE.A, { edns: { udpSize: 4096, version: 0, dnssecOk: true, options } })
    expect(asked(wire).edns).toEqual({ udpSize: 1232, version: 0, dnssecOk: true, options: [] })
    expect(asked(wire, PADDED).edns?.options.map(({ code }) => code)).toEqual([EDNS_OPTION.PADDING])
  })

  it.each([1, 2])(
    'the wish that no client subnet be added goes along, family %i (RFC 7871 section 7.1.2)',
    (family) => {
      const options = [{ code: EDNS_OPTION.CLIENT_SUBNET, data: Uint8Array.of(0, family, 0, 0) }]
      const wire = queryWire('a.example', TYPE.A, { edns: { udpSize: 4096, version: 0, dnssecOk: false, options } })
      expect(asked(wire).edns?.options).toEqual([{ code: 8, data: Uint8Array.of(0, 1, 0, 0) }])
      expect(upstreamQuestion(viewOf(wire), 1, PADDED).length).toBe(128)
    },
  )

  it('a signed message passes whole, with only the id ours (RFC 5625 section 4.5)', () => {
    const tsig = { name: 'key.example', type: TYPE.TSIG, class: 255, ttl: 0, data: Buffer.from('0102030405', 'hex') }
    const wire = queryWire('a.example', TYPE.A, { recursionDesired: false, additionals: [tsig] })
    expect(viewOf(wire).signed).toBe(true)
    const sent = upstreamQuestion(viewOf(wire), 0xabcd, PADDED)
    expect([sent[0], sent[1]]).toEqual([0xab, 0xcd])
    expect(Buffer.from(sent.subarray(2))).toEqual(Buffer.from(wire.subarray(2)))
  })

  it('FWD-1: types and classes nobody knows pass, and so does CD', () => {
    const wire = queryWire('a.example', TYPE.A, {
      checkingDisabled: true,
      questions: [{ name: 'a.example', type: 65_400, class: 254 }],
    })
    expect(asked(wire)).toMatchObject({ checkingDisabled: true, questions: [{ type: 65_400, class: 254 }] })
  })

  it('PAD-1: is a multiple of 128 octets when padded, for names of any length', () => {
    for (let labels = 0; labels <= 60; labels++) {
      const name = [...Array.from({ length: labels }, () => 'abc'), 'example'].join('.')
      const wire = upstreamQuestion(viewOf(queryWire(name)), 1, PADDED)
      expect(wire.length % 128).toBe(0)
      expect(parseMessage(wire)).toBeDefined()
    }
    expect(upstreamQuestion(viewOf(queryWire('www.example.com')), 1, PADDED).length).toBe(128)
    expect(upstreamQuestion(viewOf(queryWire('www.example.com')), 1, FORM.EDNS).length).toBe(44)
  })
})

describe('matchReply', () => {
  const query = queryWire('a.example', TYPE.A, { id: 7 })
  const questions = [{ name: 'a.example', type: 1, class: 1 }]
  const edns = { udpSize: 1232, version: 0, dnssecOk: false, options: [] }
  const match = (reply: Uint8Array, withEdns = true): string => matchReply(viewOf(reply), viewOf(query), withEdns)

  it('wants a response and the question, letter case aside', () => {
    expect(match(responseWire(query, []))).toBe('ours')
    expect(match(responseWire(queryWire('A.EXAMPLE', TYPE.A, { id: 7 }), []))).toBe('ours')
  })

  it.each([
    ['another name', responseWire(queryWire('b.example', TYPE.A, { id: 7 }), [])],
    ['another type', responseWire(queryWire('a.example', TYPE.AAAA, { id: 7 }), [])],
    [
      'another class',
      responseWire(
        queryWire('a.example', TYPE.A, { id: 7, questions: [{ name: 'a.example', type: 1, class: 3 }] }),
        [],
      ),
    ],
    ['a query', query],
    ['no question', buildMessage({ id: 7, isResponse: true, rcode: RCODE.SERVFAIL })],
    ['two questions', buildMessage({ id: 7, isResponse: true, questions: [...questions, ...questions] })],
  ])('refuses %s', (_, reply) => expect(match(reply)).toBe('not-ours'))

  it.each([RCODE.FORMERR, RCODE.NOTIMP])(
    'takes rcode %i without an OPT record for a server that knows none',
    (rcode) => {
      expect(match(buildMessage({ id: 7, isResponse: true, rcode }))).toBe('refused')
      expect(match(buildMessage({ id: 7, isResponse: true, rcode, questions }))).toBe('refused')
      // One that knows OPT, or was sent none, means the question.
      expect(match(buildMessage({ id: 7, isResponse: true, rcode, questions, edns }))).toBe('ours')
      expect(match(buildMessage({ id: 7, isResponse: true, rcode, questions }), false)).toBe('ours')
    },
  )
})

describe('answerOf', () => {
  const query = queryWire('a.example')

  it('takes the OPT away and keeps what it said', () => {
    const options = [{ code: EDNS_OPTION.EXTENDED_ERROR, data: Uint8Array.of(0, 22) }]
    const wire = buildMessage({
      isResponse: true,
      rcode: RCODE.SERVFAIL,
      questions: [{ name: 'a.example', type: 1, class: 1 }],
      edns: { udpSize: 4096, version: 0, dnssecOk: false, options },
    })
    const answer = answerOf(wire, 'up', 'unauthenticated')
    expect(answer).toMatchObject({ from: 'up', extendedErrors: [{ code: 22 }] })
    expect(parseMessage(answer.wire)?.edns).toBeUndefined()
  })

  it('believes AD of an authenticated upstream only', () => {
    const wire = responseWire(query, ['192.0.2.1'])
    wire[3] = wire[3]! | 0x20
    expect(parseMessage(answerOf(wire, 'up', 'authenticated').wire)?.authenticData).toBe(true)
    expect(parseMessage(answerOf(wire, 'up', 'unauthenticated').wire)?.authenticData).toBe(false)
  })

  it('SVCB-4: records nobody knows come through byte for byte', () => {
    const data = Buffer.from('fde8000568656c6c6f', 'hex')
    const rdata = Buffer.concat([Buffer.from('000100', 'hex'), data])
    const wire = buildMessage({
      isResponse: true,
      questions: [{ name: 'a.example', type: TYPE.SVCB, class: 1 }],
      answers: [{ name: 'a.example', type: 65_400, class: 1, ttl: 1, data: rdata }],
    })
    expect(Buffer.from(answerOf(wire, 'up', 'unauthenticated').wire).includes(rdata)).toBe(true)
  })

  it.each([
    ['cut off', responseWire(query, ['192.0.2.1', '192.0.2.2']).subarray(0, -1)],
    ['a query', query],
    ['too short', new Uint8Array(3)],
  ])('%s is Fault UPSTREAM_BROKEN', (_, wire) => {
    expect(() => answerOf(wire, 'up', 'unauthenticated')).toThrow(expect.objectContaining({ code: 'UPSTREAM_BROKEN' }))
  })

  it('an rcode that only an OPT can carry is Fault UPSTREAM_BROKEN: it is about our OPT, not about the question', () => {
    const wire = buildMessage({
      isResponse: true,
      rcode: RCODE.BADVERS,
      questions: [{ name: 'a.example', type: 1, class: 1 }],
      edns: { udpSize: 1232, version: 0, dnssecOk: false, options: [] },
    })
    expect(() => answerOf(wire, 'up', 'unauthenticated')).toThrow(
      expect.objectContaining({ code: 'UPSTREAM_BROKEN', message: expect.stringContaining('BADVERS') }),
    )
  })
})
