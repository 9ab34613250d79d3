import { describe, expect, it } from 'vitest'
import { toBase64url } from '../../../src/core/bytes.ts'
import { parseMessage } from '../../../src/dns/message.ts'
import type { DohRequest } from '../../../src/router/listen/doh-request.ts'
import { type DohReply, dohService } from '../../../src/router/listen/doh-service.ts'
import type { Outcome, Query, Resolver } from '../../../src/router/resolve/resolver.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { queryWire, resolverOf, responseWire } from '../../support/query.ts'

const CLIENT = { address: '192.168.1.9', transport: 'doh' } as const
const answering = ({ view }: Query): Outcome => ({
  kind: 'answer',
  wire: responseWire(view.wire, ['192.0.2.1']),
  from: 'test',
  freshS: 300,
})
const serviceOf = (resolve: Resolver['resolve']) =>
  dohService(resolverOf(resolve), new ManualClock(), new AbortController().signal)
const get = (wire: Uint8Array): DohRequest => ({
  method: 'GET',
  path: `/dns-query?dns=${toBase64url(wire)}`,
  contentType: undefined,
  accept: undefined,
})
const POST: DohRequest = {
  method: 'POST',
  path: '/dns-query',
  contentType: 'application/dns-message',
  accept: undefined,
}

describe('dohService', () => {
  it('what another client would not get is for nobody else to keep', () => {
    const service = dohService(resolverOf(answering), new ManualClock(), new AbortController().signal, () => true)
    const reply = service.begin(get(queryWire('a.example')), CLIENT) as DohReply
    expect(reply.headers['cache-control']).toBe('private, max-age=300')
  })

  it('a hit is no promise', () => {
    const service = serviceOf(answering)
    const reply = service.begin(get(queryWire('a.example')), CLIENT) as DohReply
    expect([reply.status, reply.headers]).toEqual([
      200,
      { 'content-type': 'application/dns-message', 'cache-control': 'max-age=300' },
    ])
    expect(parseMessage(reply.body)?.answers[0]?.data).toEqual({ address: '192.0.2.1' })
  })

  it('RFC 8484 section 4.1.1: the 94-octet vector, in which base64url differs from base64', () => {
    const name = 'a.62characterlabel-makes-base64url-distinct-from-standard-base64.example.com'
    const wire = queryWire(name, 1, { id: 0 })
    const text = toBase64url(wire)
    expect([wire.length, text.startsWith('AAABAAABAAAAAAAAAWE-NjJjaGFyYWN0ZXJsYWJl')]).toEqual([94, true])
    const reply = serviceOf(answering).begin(get(wire), CLIENT) as DohReply
    expect(parseMessage(reply.body)?.questions[0]?.name).toBe(name)
    const plain = { ...get(wire), path: `/dns-query?dns=${text.replaceAll('-', '+')}` }
    expect(serviceOf(answering).begin(plain, CLIENT)).toMatchObject({ status: 400 })
  })

  it('the body of a POST is wanted, then answered', () => {
    const service = serviceOf(answering)
    expect(service.begin(POST, CLIENT)).toBeUndefined()
    expect(service.finish(queryWire('a.example'), CLIENT)).toMatchObject({ status: 200 })
    expect(service.finish(new Uint8Array(65_536), CLIENT)).toMatchObject({ status: 413 })
  })

  it('promised replies own their bodies: two may be ready before either is sent', async () => {
    const waiting: (() => void)[] = []
    const service = serviceOf((query) => new Promise((resolve) => waiting.push(() => resolve(answering(query)))))
    const names = ['one.example', 'two.example', 'three.example']
    const replies = names.map((name) => service.begin(get(queryWire(name)), CLIENT) as Promise<DohReply>)
    for (const answer of waiting) answer()
    const bodies = (await Promise.all(replies)).map(({ body }) => parseMessage(body)?.questions[0]?.name)
    expect(bodies).toEqual(names)
  })

  it.each([
    ['not-allowed', 403, undefined],
    ['rate-limit', 429, '2'],
    ['malformed', 400, undefined],
  ] as const)('dropped as %s: %i', (reason, status, retryAfter) => {
    const reply = serviceOf(() => ({ kind: 'drop', reason })).begin(get(queryWire('a.example')), CLIENT) as DohReply
    expect([reply.status, reply.headers['retry-after']]).toEqual([status, retryAfter])
  })

  it('overload is 503 and when to come back, and passes', async () => {
    let answerAll = (): void => {}
    const released = new Promise<void>((resolve) => (answerAll = resolve))
    const service = serviceOf((query) => released.then(() => answering(query)))
    const asking = get(queryWire('a.example'))
    const open = Array.from({ length: 4_096 }, () => service.begin(asking, CLIENT))
    expect(open.every((reply) => reply instanceof Promise)).toBe(true)
    expect(service.begin(asking, CLIENT)).toMatchObject({ status: 503, headers: { 'retry-after': '2' } })
    answerAll()
    await Promise.all(open.map(async (reply) => reply))
    expect(service.begin(asking, CLIENT)).toBeInstanceOf(Promise)
  })
})
