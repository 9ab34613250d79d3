import { describe, expect, it } from 'vitest'
import { CLASS, TYPE } from '../../../../src/dns/codes.ts'
import { buildMessage, type Message, parseMessage, type ResourceRecord } from '../../../../src/dns/message.ts'
import { MessageView } from '../../../../src/dns/view.ts'
import { findPrivateAddress, withoutAdditionals } from '../../../../src/router/resolve/rebinding/find-private.ts'
import { hostilePackets } from '../../../dns/hostile.ts'

const record = (type: number, data: ResourceRecord['data'], rrClass: number = CLASS.IN): ResourceRecord => ({
  name: 'a.example',
  type,
  class: rrClass,
  ttl: 60,
  data,
})
const a = (address: string): ResourceRecord => record(TYPE.A, { address })
const https = (params: object, priority = 1): ResourceRecord =>
  record(TYPE.HTTPS, { priority, target: 'cdn.example', params: { alpn: ['h2'], ...params } })

function answer(fields: Partial<Message>): Uint8Array {
  const questions = [{ name: 'a.example', type: TYPE.A, class: CLASS.IN }]
  return buildMessage({ isResponse: true, questions, ...fields })
}
const find = (wire: Uint8Array): string | undefined =>
  findPrivateAddress(wire, MessageView.over(wire)!.questionEnd, false)

describe('findPrivateAddress', () => {
  it.each([
    ['A', a('192.168.1.1')],
    ['AAAA', record(TYPE.AAAA, { address: 'fd00::1' })],
    ['AAAA, mapped', record(TYPE.AAAA, { address: '::ffff:192.168.1.1' })],
    ['HTTPS ipv4hint, second of two', https({ ipv4hint: ['192.0.2.1', '10.0.0.1'] })],
    ['HTTPS ipv6hint', https({ ipv4hint: ['192.0.2.1'], ipv6hint: ['2001:db8::1', 'fe80::1'] })],
    ['SVCB', record(TYPE.SVCB, { priority: 1, target: '.', params: { ipv4hint: ['127.0.0.1'] } })],
    ['HTTPS in alias mode, with parameters all the same', https({ ipv4hint: ['10.0.0.1'] }, 0)],
  ])('SEC-2: finds %s, in answer and additional', (_, found) => {
    expect(find(answer({ answers: [a('192.0.2.1'), found] }))).toBe('answer')
    expect(find(answer({ answers: [a('192.0.2.1')], additionals: [found] }))).toBe('additional')
  })

  it.each([
    [
      'public addresses',
      [a('192.0.2.1'), record(TYPE.AAAA, { address: '2001:db8::1' }), https({ ipv4hint: ['192.0.2.1'] })],
    ],
    [
      'octets of another type',
      [record(TYPE.TXT, Uint8Array.of(3, 10, 0, 0)), record(65_400, Uint8Array.of(10, 0, 0, 1))],
    ],
    ['another class', [record(TYPE.A, { address: '10.0.0.1' }, 3)]],
    [
      'addresses of a wrong length',
      [record(TYPE.A, Uint8Array.of(10, 0, 0)), record(TYPE.AAAA, Uint8Array.of(10, 0, 0, 1))],
    ],
    ['a hint that ends outside its record', [record(TYPE.HTTPS, Uint8Array.of(0, 1, 0, 0, 4, 0, 8, 10, 0, 0, 1))]],
    ['a target that is no name', [record(TYPE.HTTPS, Uint8Array.of(0, 1, 0xc0, 12, 0, 4, 0, 4, 10, 0, 0, 1))]],
    ['nothing at all', []],
  ] as const)('lets %s through', (_, answers) => {
    expect(find(answer({ answers }))).toBeUndefined()
  })

  it('does not look at authority records, which lead nobody anywhere', () => {
    expect(find(answer({ answers: [a('192.0.2.1')], authorities: [a('10.0.0.1')] }))).toBeUndefined()
  })

  it('survives 20,000 damaged messages', () => {
    const samples = [
      answer({ answers: [a('10.0.0.1'), https({ ipv4hint: ['10.0.0.1'] })], additionals: [a('10.0.0.1')] }),
    ]
    let found = 0
    for (const packet of hostilePackets(7, 20_000, samples)) {
      const view = MessageView.over(packet)
      if (view && findPrivateAddress(packet, view.questionEnd, false)) found++
    }
    expect(found).toBeGreaterThan(100)
  })
})

it('withoutAdditionals leaves question, answer and authority as they are', () => {
  const authorities = [record(TYPE.NS, { host: 'ns.example' })]
  const wire = answer({ answers: [a('192.0.2.1')], authorities, additionals: [a('10.0.0.1'), a('10.0.0.2')] })
  const cut = withoutAdditionals(wire, MessageView.over(wire)!.questionEnd)
  expect(parseMessage(cut)).toEqual({ ...parseMessage(wire), additionals: [] })
  expect(cut.length).toBeLessThan(wire.length)
})
