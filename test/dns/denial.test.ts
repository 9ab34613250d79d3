import { describe, expect, it } from 'vitest'
import { prepareAnswer } from '../../src/dns/answer.ts'
import { deniesItsName, writeDenialBelow } from '../../src/dns/denial.ts'
import { buildMessage, parseMessage, type ResourceRecord } from '../../src/dns/message.ts'
import { MessageView } from '../../src/dns/view.ts'
import { hex } from './golden.ts'
import { hostilePackets } from './hostile.ts'

const RCODE_NXDOMAIN = 3
const GONE = '04676f6e65 076578616d706c65 00'
/** gone.example does not exist: the SOA of example (TTL 900), with names that point into the question and each other. */
const DENIAL = `0000 8183 0001 0000 0001 0000 ${GONE} 0001 0001
  c011 0006 0001 00000384 0022 026e73 c011 066e6f626f6479 c02a
  00000001 00000002 00000003 00000004 0000012c`

function below(denial: Uint8Array, name: string, ageS = 0) {
  const query = MessageView.over(buildMessage({ id: 7, questions: [{ name, type: 28, class: 1 }] }))!
  const target = new Uint8Array(65_535)
  const length = writeDenialBelow(MessageView.over(denial)!, target, query, ageS)
  return length < 0 ? undefined : target.slice(0, length)
}

const soa = (name: string): ResourceRecord => ({
  name,
  type: 6,
  class: 1,
  ttl: 60,
  data: { primary: 'ns', mailbox: 'nobody', serial: 1, refresh: 1, retry: 1, expire: 1, minimum: 60 },
})
const denies = (name: string, extra: Partial<Parameters<typeof buildMessage>[0]>): boolean =>
  deniesItsName(
    prepareAnswer(
      buildMessage({ isResponse: true, rcode: RCODE_NXDOMAIN, questions: [{ name, type: 1, class: 1 }], ...extra }),
    )!,
  )

describe('a denial', () => {
  it('is written for a name below: every pointer still leads to its name, the TTL is less its age', () => {
    const { id, rcode, questions, authorities } = parseMessage(below(hex(DENIAL), 'WWW.a.gone.Example', 100)!)!
    expect({ id, rcode, questions }).toEqual({
      id: 7,
      rcode: RCODE_NXDOMAIN,
      questions: [{ name: 'WWW.a.gone.Example', type: 28, class: 1 }],
    })
    expect(authorities).toMatchObject([
      {
        name: 'Example',
        ttl: 800,
        data: { primary: 'ns.Example', mailbox: 'nobody.ns.Example', serial: 1, minimum: 300 },
      },
    ])
  })

  it('is written for the root zone and without compression too', () => {
    const denial = buildMessage({
      isResponse: true,
      rcode: RCODE_NXDOMAIN,
      questions: [{ name: 'lan', type: 1, class: 1 }],
      authorities: [soa('.')],
    })
    expect(parseMessage(below(denial, 'printer.lan')!)!.authorities).toEqual([soa('.')])
  })

  it('loses its additional records', () => {
    const additional = { name: 'ns', type: 1, class: 1, ttl: 60, data: { address: '192.0.2.1' } }
    const denial = buildMessage({
      isResponse: true,
      questions: [{ name: 'lan', type: 1, class: 1 }],
      authorities: [soa('.')],
      additionals: [additional],
    })
    expect(parseMessage(below(denial, 'printer.lan')!)).toMatchObject({ additionals: [], authorities: [soa('.')] })
  })
})

describe('deniesItsName', () => {
  it.each<[string, boolean, Parameters<typeof denies>]>([
    ['NXDOMAIN with the SOA of a zone above', true, ['a.example', { authorities: [soa('example')] }]],
    ['NXDOMAIN from the root', true, ['lan', { authorities: [soa('.')] }]],
    ['NOERROR', false, ['a.example', { rcode: 0, authorities: [soa('example')] }]],
    ['no SOA', false, ['a.example', {}]],
    ['the SOA of the name itself', false, ['a.example', { authorities: [soa('A.example')] }]],
    ['the SOA of another zone', false, ['a.example', { authorities: [soa('b.example')] }]],
    [
      'a CNAME before it',
      false,
      [
        'a.example',
        {
          answers: [{ name: 'a.example', type: 5, class: 1, ttl: 60, data: { host: 'b.example' } }],
          authorities: [soa('example')],
        },
      ],
    ],
    [
      'records that deny nothing',
      false,
      [
        'a.example',
        {
          authorities: [soa('example'), { name: 'example', type: 2, class: 1, ttl: 60, data: { host: 'ns.example' } }],
        },
      ],
    ],
  ])('%s: %s', (_, expected, [name, extra]) => {
    expect(denies(name, extra)).toBe(expected)
  })
})

it('hostile denials are refused or become whole messages', () => {
  let written = 0
  for (const packet of hostilePackets(8020, 10_000, [hex(DENIAL)])) {
    const prepared = prepareAnswer(packet)
    if (!prepared || !deniesItsName(prepared)) continue
    const view = MessageView.over(prepared.wire)!
    const name = view.questionName === '.' ? 'a' : `a.${view.questionName}`
    const wire = below(prepared.wire, name)
    if (!wire) continue
    written++
    expect(MessageView.over(wire)!.messageEnd).toBe(wire.length)
  }
  expect(written).toBeGreaterThan(200)
})
