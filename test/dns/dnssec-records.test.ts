import { describe, expect, it } from 'vitest'
import { CLASS, TYPE } from '../../src/dns/codes.ts'
import { withoutDnssecRecords } from '../../src/dns/dnssec-records.ts'
import { buildMessage, parseMessage, type ResourceRecord } from '../../src/dns/message.ts'
import { MessageView } from '../../src/dns/view.ts'
import { hostilePackets } from './hostile.ts'

const record = (type: number, data: ResourceRecord['data'], name = 'www.example'): ResourceRecord => ({
  name,
  type,
  class: CLASS.IN,
  ttl: 300,
  data,
})
/** RRSIG over A by `example`, and an NSEC with the type A: enough for a record that is only carried. */
const RRSIG = record(
  TYPE.RRSIG,
  Uint8Array.from([0, 1, 13, 2, ...new Uint8Array(14), 7, ...Buffer.from('example'), 0, 1]),
)
const NSEC = record(TYPE.NSEC, Uint8Array.from([7, ...Buffer.from('example'), 0, 0, 1, 0x40]))
const NSEC3 = record(TYPE.NSEC3, Uint8Array.from([1, 0, 0, 0, 0, 1, 9, 0, 1, 0x40]))
const ADDRESS = record(TYPE.A, { address: '192.0.2.1' })
const UNKNOWN = record(65_400, Uint8Array.of(0xc0, 0x0c, 9))

function answerWith(type: number): Uint8Array {
  return buildMessage({
    id: 9,
    isResponse: true,
    recursionDesired: true,
    recursionAvailable: true,
    authenticData: true,
    checkingDisabled: true,
    questions: [{ name: 'WWW.example', type, class: CLASS.IN }],
    answers: [ADDRESS, RRSIG, UNKNOWN],
    authorities: [NSEC, RRSIG, NSEC3, record(TYPE.NS, { host: 'ns.www.example' })],
    additionals: [RRSIG, record(TYPE.A, { address: '192.0.2.2' }, 'ns.www.example')],
  })
}
const typesOf = (records: readonly ResourceRecord[]): number[] => records.map(({ type }) => type)

describe('withoutDnssecRecords', () => {
  it('takes out RRSIG, NSEC and NSEC3; everything else stays, unknown data byte for byte', () => {
    const before = parseMessage(answerWith(TYPE.A))!
    const after = parseMessage(withoutDnssecRecords(answerWith(TYPE.A)))!
    expect(after).toEqual({
      ...before,
      answers: [before.answers[0], before.answers[2]],
      authorities: [before.authorities[3]],
      additionals: [before.additionals[1]],
    })
  })

  it.each([TYPE.RRSIG, TYPE.NSEC, TYPE.NSEC3])('leaves type %i when it was asked for', (type) => {
    const { answers, authorities } = parseMessage(withoutDnssecRecords(answerWith(type)))!
    expect([...typesOf(answers), ...typesOf(authorities)].includes(type)).toBe(true)
  })

  it('hands back the same bytes when there is nothing to take out, and for ANY', () => {
    for (const wire of [
      answerWith(TYPE.ANY),
      buildMessage({ isResponse: true, questions: [{ name: 'a.example', type: TYPE.A, class: CLASS.IN }] }),
    ])
      expect(withoutDnssecRecords(wire)).toBe(wire)
  })

  it('takes damaged messages without throwing', () => {
    let changed = 0
    for (const packet of hostilePackets(7, 20_000, [answerWith(TYPE.A)])) {
      const wire = withoutDnssecRecords(packet)
      if (wire === packet) continue
      changed++
      if (parseMessage(packet)) expect(parseMessage(wire)).toBeDefined()
      else expect(MessageView.over(wire)).toBeDefined()
    }
    expect(changed).toBeGreaterThan(1_000)
  })
})
