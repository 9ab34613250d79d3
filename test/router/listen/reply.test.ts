import { describe, expect, it } from 'vitest'
import { EDNS_OPTION, RCODE, TYPE } from '../../../src/dns/codes.ts'
import type { EdnsOption } from '../../../src/dns/edns.ts'
import { buildMessage, type Edns, type Message, parseMessage } from '../../../src/dns/message.ts'
import { MessageView } from '../../../src/dns/view.ts'
import { serverCookies } from '../../../src/router/listen/cookies.ts'
import { MESSAGE_BYTES_MAX, writeReply } from '../../../src/router/listen/reply.ts'
import type { Answer, Transport } from '../../../src/router/resolve/resolver.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { queryOf, queryWire } from '../../support/query.ts'

const TRANSPORTS: readonly Transport[] = ['udp', 'tcp', 'dot', 'doh']
const option = (code: number, ...octets: number[]): EdnsOption => ({ code, data: Uint8Array.from(octets) })
const PADDING = option(EDNS_OPTION.PADDING, 0, 0)
const KEEPALIVE = option(EDNS_OPTION.TCP_KEEPALIVE)

const edns = (fields: Partial<Edns> = {}): Partial<Message> => ({
  edns: { udpSize: 1232, version: 0, dnssecOk: false, options: [], ...fields },
})

/** An answer of exactly `bytes` octets to this query: one record of a type nobody knows. */
function answerOfSize(query: Uint8Array, bytes: number, fields: Partial<Answer> = {}): Answer {
  const view = MessageView.over(query)!
  const questions = [{ name: view.questionName, type: view.questionType, class: 1 }]
  const record = (length: number) => ({
    name: view.questionName,
    type: 65_400,
    class: 1,
    ttl: 300,
    data: new Uint8Array(length),
  })
  const overhead = buildMessage({ questions, answers: [record(0)] }).length
  const wire = buildMessage({
    id: view.id,
    isResponse: true,
    recursionAvailable: true,
    questions,
    answers: [record(bytes - overhead)],
  })
  return { kind: 'answer', wire, from: 'test', ...fields }
}

function replyTo(query: Uint8Array, transport: Transport, answer: Answer = answerOfSize(query, 100)): Uint8Array {
  const target = new Uint8Array(10 + MESSAGE_BYTES_MAX)
  return target.slice(10, 10 + writeReply(target, 10, queryOf(query, transport), answer))
}

const messageOf = (wire: Uint8Array): Message => parseMessage(wire) ?? expect.fail('not a message')
const codesOf = (wire: Uint8Array): number[] => messageOf(wire).edns?.options.map(({ code }) => code) ?? []

describe('OPT', () => {
  it.each(TRANSPORTS)('is in the answer on %s when it was in the query, and only then', (transport) => {
    expect(messageOf(replyTo(queryWire('a.example'), transport)).edns).toBeUndefined()
    expect(messageOf(replyTo(queryWire('a.example', TYPE.A, edns()), transport)).edns).toEqual({
      udpSize: 1232,
      version: 0,
      dnssecOk: false,
      options: [],
    })
  })

  it('echoes DO, and no option: not cookies, not client subnets, not what nobody knows', () => {
    const options = [
      option(EDNS_OPTION.CLIENT_SUBNET, 0, 1, 0, 0),
      option(EDNS_OPTION.COOKIE, 1, 2, 3, 4, 5, 6, 7, 8),
      option(65_001, 1),
    ]
    const query = queryWire('a.example', TYPE.A, edns({ dnssecOk: true, options }))
    for (const transport of TRANSPORTS) {
      const reply = messageOf(replyTo(query, transport))
      expect(reply.edns).toMatchObject({ dnssecOk: true, options: [] })
    }
  })

  it('carries the extended errors', () => {
    const query = queryWire('a.example', TYPE.A, edns())
    const reply = replyTo(query, 'udp', answerOfSize(query, 100, { extendedErrors: [{ code: 18, text: 'no' }] }))
    expect(messageOf(reply).edns?.options).toEqual([
      { code: EDNS_OPTION.EXTENDED_ERROR, data: Uint8Array.of(0, 18, 0x6e, 0x6f) },
    ])
    const plain = queryWire('a.example')
    expect(replyTo(plain, 'udp', answerOfSize(plain, 100, { extendedErrors: [{ code: 18 }] })).length).toBe(100)
  })
})

describe('PAD-1: padding', () => {
  it.each(['dot', 'doh'] as const)('to 468 octets on %s when it was asked for', (transport) => {
    const query = queryWire('a.example', TYPE.A, edns({ options: [PADDING] }))
    for (const [bytes, padded] of [
      [60, 468],
      [250, 468],
      [453, 468],
      [454, 936],
      [900, 936],
    ] as const) {
      const reply = replyTo(query, transport, answerOfSize(query, bytes))
      expect(reply.length).toBe(padded)
      const { data } = messageOf(reply).edns!.options.at(-1)!
      expect(data.every((octet) => octet === 0)).toBe(true)
    }
  })

  it('is the last option and counts those before it', () => {
    const query = queryWire('a.example', TYPE.A, edns({ options: [PADDING, KEEPALIVE] }))
    const reply = replyTo(query, 'dot', answerOfSize(query, 100, { extendedErrors: [{ code: 3, text: 'stale' }] }))
    expect(reply.length).toBe(468)
    expect(codesOf(reply)).toEqual([EDNS_OPTION.TCP_KEEPALIVE, EDNS_OPTION.EXTENDED_ERROR, EDNS_OPTION.PADDING])
  })

  it('is not there unasked, and never on udp and tcp', () => {
    for (const transport of ['dot', 'doh'] as const) {
      expect(codesOf(replyTo(queryWire('a.example', TYPE.A, edns()), transport))).toEqual([])
      expect(replyTo(queryWire('a.example'), transport).length).toBe(100)
    }
    for (const transport of ['udp', 'tcp'] as const)
      expect(codesOf(replyTo(queryWire('a.example', TYPE.A, edns({ options: [PADDING] })), transport))).toEqual([])
  })
})

describe('DOT-4: keepalive', () => {
  const query = queryWire('a.example', TYPE.A, edns({ options: [KEEPALIVE] }))

  it.each(['tcp', 'dot'] as const)('is two octets in units of 100 ms on %s', (transport) => {
    expect(messageOf(replyTo(query, transport)).edns?.options).toEqual([option(EDNS_OPTION.TCP_KEEPALIVE, 0x01, 0x2c)])
  })

  it.each(['udp', 'doh'] as const)('is absent on %s', (transport) => {
    expect(codesOf(replyTo(query, transport))).toEqual([])
  })

  it('is not there unasked', () => {
    expect(codesOf(replyTo(queryWire('a.example', TYPE.A, edns()), 'tcp'))).toEqual([])
  })
})

describe('FWD-3: size on UDP', () => {
  const isCut = (query: Uint8Array, bytes: number): boolean => {
    const reply = replyTo(query, 'udp', answerOfSize(query, bytes))
    const { truncated, answers } = messageOf(reply)
    expect(answers.length).toBe(truncated ? 0 : 1)
    return truncated
  }

  it('without EDNS the limit is 512', () => {
    const query = queryWire('a.example')
    expect([isCut(query, 512), isCut(query, 513)]).toEqual([false, true])
  })

  it.each([
    [0, 512],
    [100, 512],
    [512, 512],
    [1000, 1000],
    [1232, 1232],
    [4096, 1232],
    [65_535, 1232],
  ])('a client size of %i makes it %i, our OPT included', (udpSize, limit) => {
    const query = queryWire('a.example', TYPE.A, edns({ udpSize }))
    expect([isCut(query, limit - 11), isCut(query, limit - 10)]).toEqual([false, true])
  })

  it('what is cut keeps id, question, rcode and OPT', () => {
    const query = queryWire('A.Example', TYPE.A, { id: 7, ...edns({ dnssecOk: true }) })
    expect(messageOf(replyTo(query, 'udp', answerOfSize(query, 2_000)))).toMatchObject({
      id: 7,
      truncated: true,
      recursionAvailable: true,
      questions: [{ name: 'A.Example' }],
      answers: [],
      edns: { udpSize: 1232, dnssecOk: true },
    })
  })

  it('extended errors go before records do, and never make the reply larger than the limit (RFC 8914 section 3)', () => {
    const extendedErrors = Array.from({ length: 8 }, () => ({ code: 9, text: 'x'.repeat(120) }))
    const query = queryWire('a.example', TYPE.A, edns({ udpSize: 512 }))
    const fits = replyTo(query, 'udp', answerOfSize(query, 480, { extendedErrors }))
    expect(messageOf(fits)).toMatchObject({ truncated: false, answers: [{}], edns: { options: [] } })
    const cut = replyTo(query, 'udp', answerOfSize(query, 600, { extendedErrors }))
    expect(messageOf(cut)).toMatchObject({ truncated: true, answers: [] })
    expect(cut.length).toBeLessThanOrEqual(512)
  })
})

describe('FWD-3: what goes first when space is short', () => {
  /** One address in the answer section, `additional` octets of the additional section. */
  const answerWith = (query: Uint8Array, additional: number, fields: Partial<Answer> = {}): Answer => {
    const { questions, id } = messageOf(query)
    const record = (type: number, data: Uint8Array | { address: string }) => ({
      name: 'a.example',
      type,
      class: 1,
      ttl: 300,
      data,
    })
    const wire = buildMessage({
      id,
      isResponse: true,
      recursionAvailable: true,
      questions,
      answers: [record(TYPE.A, { address: '192.0.2.1' })],
      authorities: [record(65_400, Uint8Array.of(1))],
      additionals: [record(65_401, new Uint8Array(additional))],
    })
    return { kind: 'answer', wire, from: 'test', ...fields }
  }

  it('the additional section goes without TC when the rest fits (RFC 2181 section 9)', () => {
    for (const query of [queryWire('a.example'), queryWire('a.example', TYPE.A, edns({ udpSize: 512 }))]) {
      const reply = messageOf(replyTo(query, 'udp', answerWith(query, 500)))
      expect(reply).toMatchObject({ truncated: false, answers: [{}], authorities: [{}], additionals: [] })
      expect(messageOf(replyTo(query, 'udp', answerWith(query, 50))).additionals.length).toBe(1)
    }
  })

  it('a signed answer is cut instead: the signature would not fit what is left (RFC 8945)', () => {
    const query = queryWire('a.example')
    const { wire } = answerWith(query, 500)
    const signed = Uint8Array.from([
      ...wire,
      ...Buffer.from('016b00 00fa 00ff 00000000 0001 00'.replaceAll(' ', ''), 'hex'),
    ])
    signed[11] = 2
    const reply = messageOf(replyTo(query, 'udp', { kind: 'answer', wire: signed, from: 'test' }))
    expect(reply).toMatchObject({ truncated: true, answers: [], additionals: [] })
    const verbatim = replyTo(query, 'udp', { kind: 'answer', wire: signed, from: 'test', verbatim: true })
    expect(messageOf(verbatim)).toMatchObject({ truncated: true, answers: [], additionals: [] })
  })

  it('texts of extended errors, then their codes, then the additional section, then all records', () => {
    const query = queryWire('a.example', TYPE.A, edns({ udpSize: 512 }))
    const extendedErrors = [{ code: 3, text: 'x'.repeat(100) }]
    const shapes = [300, 395, 427, 430, 600].map((additional) => {
      const reply = messageOf(replyTo(query, 'udp', answerWith(query, additional, { extendedErrors })))
      return [reply.edns!.options[0]?.data.length ?? 0, reply.additionals.length, reply.truncated]
    })
    expect(shapes).toEqual([
      [102, 1, false],
      [2, 1, false],
      [2, 1, false],
      [0, 1, false],
      [2, 0, false],
    ])
    const cut = messageOf(replyTo(query, 'udp', answerOfSize(query, 600, { extendedErrors })))
    expect([cut.edns!.options[0]?.data.length, cut.truncated]).toEqual([2, true])
  })
})

describe('cookies', () => {
  const cookies = serverCookies(new ManualClock())
  const query = queryWire('a.example', TYPE.A, edns({ options: [option(EDNS_OPTION.COOKIE, 1, 2, 3, 4, 5, 6, 7, 8)] }))
  const replied = (transport: Transport, answer = answerOfSize(query, 100)): Message => {
    const target = new Uint8Array(MESSAGE_BYTES_MAX)
    return messageOf(target.slice(0, writeReply(target, 0, queryOf(query, transport), answer, cookies)))
  }

  it.each(['udp', 'tcp'] as const)('are answered on %s', (transport) => {
    const [cookie] = replied(transport).edns!.options
    expect(cookie).toMatchObject({ code: EDNS_OPTION.COOKIE })
    expect([...cookie!.data.subarray(0, 12)]).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 1, 0, 0, 0])
    expect(cookie!.data.length).toBe(24)
  })

  it.each(['dot', 'doh'] as const)('are not on %s', (transport) => {
    expect(replied(transport).edns!.options).toEqual([])
  })

  it('stay when everything else goes', () => {
    const cut = replied('udp', answerOfSize(query, 2_000))
    expect([cut.truncated, cut.edns!.options.length]).toEqual([true, 1])
  })
})

describe('the largest answers', () => {
  it.each(['tcp', 'dot', 'doh'] as const)('are whole on %s', (transport) => {
    for (const bytes of [1_233, 5_000, MESSAGE_BYTES_MAX]) {
      const query = queryWire('a.example')
      expect(messageOf(replyTo(query, transport, answerOfSize(query, bytes)))).toMatchObject({
        truncated: false,
        answers: [{}],
      })
    }
    const query = queryWire('a.example', TYPE.A, edns({ udpSize: 512, options: [PADDING] }))
    for (const bytes of [5_000, MESSAGE_BYTES_MAX - 11]) {
      const reply = replyTo(query, transport, answerOfSize(query, bytes))
      expect(reply.length).toBeLessThanOrEqual(MESSAGE_BYTES_MAX)
      expect(messageOf(reply)).toMatchObject({ truncated: false, answers: [{}], edns: {} })
    }
  })

  it.each(['tcp', 'dot', 'doh'] as const)(
    'that leave no room for our OPT are SERVFAIL on %s, not a broken frame',
    (transport) => {
      const query = queryWire('a.example', TYPE.A, edns())
      for (const bytes of [MESSAGE_BYTES_MAX - 10, MESSAGE_BYTES_MAX]) {
        const reply = replyTo(query, transport, answerOfSize(query, bytes))
        expect(messageOf(reply)).toMatchObject({
          id: 0x1234,
          rcode: RCODE.SERVFAIL,
          truncated: false,
          answers: [],
          edns: {},
        })
      }
    },
  )

  it('never need more room than a message may take, whatever their OPT has to carry', () => {
    const extendedErrors = Array.from({ length: 8 }, () => ({ code: 9, text: 'x'.repeat(128) }))
    const query = queryWire('a.example', TYPE.A, edns({ options: [PADDING, KEEPALIVE] }))
    for (const transport of TRANSPORTS) {
      for (const bytes of [1_000, 30_000, 64_400, 65_000, MESSAGE_BYTES_MAX]) {
        const reply = replyTo(query, transport, answerOfSize(query, bytes, { extendedErrors }))
        expect(reply.length).toBeLessThanOrEqual(MESSAGE_BYTES_MAX)
        messageOf(reply)
      }
    }
  })
})
