import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CLASS, TYPE } from '../../../src/dns/codes.ts'
import { buildMessage, type Message, parseMessage, type ResourceRecord } from '../../../src/dns/message.ts'
import type { SvcbParams } from '../../../src/dns/svcb-params.ts'
import { designationsIn } from '../../../src/router/upstream/designations.ts'

const OWNER = '_dns.resolver.arpa'
const service = (priority: number, params: SvcbParams, target = 'dns.example'): ResourceRecord => ({
  name: OWNER,
  type: TYPE.SVCB,
  class: CLASS.IN,
  ttl: 300,
  data: { priority, target, params },
})
const address = (name: string, text: string): ResourceRecord => ({
  name,
  type: text.includes(':') ? TYPE.AAAA : TYPE.A,
  class: CLASS.IN,
  ttl: 300,
  data: { address: text },
})
const found = (answers: readonly ResourceRecord[], additionals: readonly ResourceRecord[] = []) =>
  designationsIn(
    parseMessage(
      buildMessage({
        isResponse: true,
        questions: [{ name: OWNER, type: TYPE.SVCB, class: CLASS.IN }],
        answers,
        additionals,
      }),
    )!,
  )

describe('designations of an answer', () => {
  it('best first, with the ports and paths of their protocols', () => {
    expect(
      found(
        [
          service(2, { alpn: ['h2', 'h3'], dohpath: '/dns-query{?dns}' }),
          service(1, { alpn: ['dot'], port: 8853 }),
          service(3, { alpn: ['dot', 'h2'], dohpath: '/q{?dns}' }),
        ],
        [
          address('DNS.example', '192.0.2.1'),
          address('dns.example', '2001:db8::1'),
          address('other.example', '192.0.2.9'),
        ],
      ).map(({ scheme, port, path, addresses }) => [scheme, port, path, addresses.join(' ')]),
    ).toEqual([
      ['tls', 8853, '', '192.0.2.1 2001:db8::1'],
      ['https', 443, '/dns-query', '192.0.2.1 2001:db8::1'],
      ['tls', 853, '', '192.0.2.1 2001:db8::1'],
      ['https', 443, '/q', '192.0.2.1 2001:db8::1'],
    ])
  })

  it('hints stand in for addresses; without either they have to be asked for', () => {
    const hinted = { alpn: ['dot'], ipv4hint: ['192.0.2.1'], ipv6hint: ['2001:db8::1'] }
    expect(found([service(1, hinted)])[0]!.addresses).toEqual(['2001:db8::1', '192.0.2.1'])
    expect(found([service(1, { alpn: ['dot'] })])[0]!.addresses).toEqual([])
  })

  it.each([
    ['an alias', service(0, {})],
    ['no protocol: `dns` has no default (RFC 9461 §4.1)', service(1, {})],
    ['a protocol we do not speak', service(1, { alpn: ['doq'] })],
    ['DoH without a path (RFC 9461 §5)', service(1, { alpn: ['h2'] })],
    ['resolver.arpa itself, which has no addresses (RFC 9462 §4)', service(1, { alpn: ['dot'] }, '.')],
    ['a name below resolver.arpa', service(1, { alpn: ['dot'] }, 'x.resolver.arpa')],
    [
      'a mandatory key we do not know (RFC 9460 §8)',
      service(1, { alpn: ['dot'], mandatory: [65_000], others: [{ key: 65_000, value: new Uint8Array(1) }] }),
    ],
  ])('a record with %s is left out, the others stay', (_, record) => {
    expect(found([record, service(5, { alpn: ['dot'], port: 5 })]).map(({ port }) => port)).toEqual([5])
  })

  it('a malformed record spoils them all (RFC 9460 §2.2)', () => {
    const good = service(1, { alpn: ['dot'] })
    const broken: ResourceRecord = { ...good, data: Uint8Array.of(0, 1, 0, 0, 3, 0, 9) }
    const message: Message = parseMessage(buildMessage({ isResponse: true, answers: [good] }))!
    expect(designationsIn({ ...message, answers: [good, broken] })).toEqual([])
  })

  it('survives whatever a resolver may send', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.integer({ min: 0, max: 20 }), (data, count) => {
        const message = parseMessage(buildMessage({ isResponse: true, answers: [service(1, { alpn: ['dot'] })] }))!
        const records = Array.from({ length: count }, () => ({ ...message.answers[0]!, data }))
        expect(designationsIn({ ...message, answers: [...message.answers, ...records] }).length).toBeLessThanOrEqual(32)
      }),
      { numRuns: 200, seed: 9462 },
    )
  })
})
