import { describe, expect, it } from 'vitest'
import { CLASS, EXTENDED_ERROR, RCODE, TYPE } from '../../../src/dns/codes.ts'
import { buildMessage, parseMessage } from '../../../src/dns/message.ts'
import { withFixedAnswers } from '../../../src/router/resolve/fixed.ts'
import type { Answer, Transport } from '../../../src/router/resolve/resolver.ts'
import { queryOf, resolverOf } from '../../support/query.ts'

const PASSED: Answer = { kind: 'answer', wire: new Uint8Array(0), from: 'next' }
const ENCRYPTED: readonly Transport[] = ['dot', 'doh']

function ask(name: string, type: number, of: number, transport: Transport = 'udp'): Answer {
  const next = resolverOf(() => PASSED)
  const wire = buildMessage({ id: 7, recursionDesired: true, questions: [{ name, type, class: of }] })
  return withFixedAnswers()(next).resolve(queryOf(wire, transport), AbortSignal.timeout(1_000)) as Answer
}

describe('FWD-1: class CH', () => {
  it.each(['version.bind', 'ID.Server', 'hostname.bind', '_dns.resolver.arpa', 'a.example'])(
    'is refused, also %s, with the reason',
    (name) => {
      for (const transport of ['udp', 'tcp', ...ENCRYPTED] as const) {
        const answer = ask(name, TYPE.TXT, CLASS.CH, transport)
        expect(answer.extendedErrors).toEqual([{ code: EXTENDED_ERROR.NOT_SUPPORTED }])
        expect(parseMessage(answer.wire)).toMatchObject({
          id: 7,
          rcode: RCODE.REFUSED,
          questions: [{ name, type: TYPE.TXT, class: CLASS.CH }],
        })
      }
    },
  )

  it.each([
    [65_400, CLASS.IN],
    [TYPE.A, CLASS.HS],
    [TYPE.A, CLASS.ANY],
    [1_000, 65_000],
  ])('is the only one: type %i of class %i goes on', (type, of) => {
    expect(ask('a.example', type, of)).toBe(PASSED)
  })
})

describe('ANY (RFC 8482)', () => {
  it('by UDP gets one HINFO record', () => {
    const answer = ask('A.Example', TYPE.ANY, CLASS.IN)
    expect(parseMessage(answer.wire)).toMatchObject({
      rcode: RCODE.NOERROR,
      recursionAvailable: true,
      authoritative: false,
      questions: [{ name: 'A.Example', type: TYPE.ANY }],
      answers: [{ name: 'A.Example', type: TYPE.HINFO, ttl: 3_600 }],
    })
    expect(Buffer.from(answer.wire).toString('hex')).toMatch(/c00c000d000100000e1000090752464338343832 ?00$/)
  })

  it.each(['tcp', 'dot', 'doh'] as const)('by %s is forwarded', (transport) => {
    expect(ask('a.example', TYPE.ANY, CLASS.IN, transport)).toBe(PASSED)
  })
})
