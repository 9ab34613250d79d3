import { describe, expect, it } from 'vitest'
import { RCODE, TYPE } from '../../../src/dns/codes.ts'
import { buildMessage, type Message, parseMessage } from '../../../src/dns/message.ts'
import { cacheKey } from '../../../src/router/resolve/cache/key.ts'
import { withCache } from '../../../src/router/resolve/cache.ts'
import { chainOf } from '../../../src/router/resolve/chain.ts'
import { withDedup } from '../../../src/router/resolve/dedup.ts'
import type { Resolver } from '../../../src/router/resolve/resolver.ts'
import { answerOf } from '../../../src/router/upstream/wire.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { poolOf } from '../../support/pool.ts'
import { queryOf, queryWire, resolverOf } from '../../support/query.ts'
import { a, answerIn, cacheOver, cname, soa, upstreamOf } from './cache/scene.ts'

const NEVER = new AbortController().signal
const SIZE = 1 << 20

describe('a hit', () => {
  it('is given in the same tick, not as a promise', async () => {
    const { resolver } = cacheOver(upstreamOf({ answers: [a('a.example', 300)] }))
    expect(resolver.resolve(queryOf(queryWire('a.example')), NEVER)).toBeInstanceOf(Promise)
    await resolver.resolve(queryOf(queryWire('a.example')), NEVER)
    expect(resolver.resolve(queryOf(queryWire('a.example')), NEVER)).toMatchObject({ kind: 'answer', from: 'cache' })
  })

  it('carries the id, the RD and CD bits of its own query', async () => {
    const { ask } = cacheOver(upstreamOf({ answers: [a('a.example', 300)] }))
    await ask(queryWire('a.example', TYPE.A, { id: 1 }))
    expect(await ask(queryWire('a.example', TYPE.A, { id: 0xbeef, recursionDesired: false }))).toMatchObject({
      id: 0xbeef,
      recursionDesired: false,
      recursionAvailable: true,
      from: 'cache',
    })
  })

  it('FWD-5: echoes the letter case of its own query', async () => {
    const upstream = upstreamOf({ answers: [a('a.example', 300)] })
    const { ask } = cacheOver(upstream)
    await ask(queryWire('a.example'))
    const { questions } = await ask(queryWire('A.eXaMPLE'))
    expect(questions[0]?.name).toBe('A.eXaMPLE')
    expect(upstream.asked).toBe(1)
  })

  it('leaves the stored answer as it was', async () => {
    const { ask, clock } = cacheOver(upstreamOf({ answers: [a('a.example', 300)] }))
    await ask(queryWire('a.example'))
    await clock.advance(100_000)
    expect((await ask(queryWire('a.example'))).answers[0]?.ttl).toBe(200)
    expect((await ask(queryWire('a.example'))).answers[0]?.ttl).toBe(200)
  })

  it('carries the extended errors of the answer it came from', async () => {
    const errors = [{ code: 3, text: 'stale' }]
    const upstream = resolverOf(async ({ view }) => {
      const questions = [{ name: view.questionName, type: view.questionType, class: view.questionClass }]
      const wire = buildMessage({ isResponse: true, questions, answers: [a('a.example', 300)] })
      const { prepared } = answerOf(wire, 'up', 'unauthenticated')
      return {
        kind: 'answer',
        wire: prepared!.wire,
        from: 'up',
        prepared: { ...prepared!, extendedErrors: errors },
        extendedErrors: errors,
      }
    })
    const { resolver } = cacheOver(upstream)
    expect(await resolver.resolve(queryOf(queryWire('a.example')), NEVER)).toMatchObject({ extendedErrors: errors })
    expect(resolver.resolve(queryOf(queryWire('a.example')), NEVER)).toMatchObject({ extendedErrors: errors })
  })
})

describe('time', () => {
  it('counts TTLs down in whole seconds and ends with the shortest', async () => {
    const upstream = upstreamOf({ answers: [a('a.example', 300), a('a.example', 60, '192.0.2.2')] })
    const { ask, clock } = cacheOver(upstream)
    expect((await ask(queryWire('a.example'))).freshS).toBe(60)
    await clock.advance(59_999)
    const late = await ask(queryWire('a.example'))
    expect(late.answers.map(({ ttl }) => ttl)).toEqual([241, 1])
    expect(late.freshS).toBe(1)
    await clock.advance(1)
    await ask(queryWire('a.example'))
    expect(upstream.asked).toBe(2)
  })

  it('is the monotonic clock: a step of the wall clock neither revives nor kills', async () => {
    const upstream = upstreamOf({ answers: [a('a.example', 300)] })
    const { ask, clock } = cacheOver(upstream)
    await ask(queryWire('a.example'))
    clock.step(365 * 86_400_000)
    expect((await ask(queryWire('a.example'))).answers[0]?.ttl).toBe(300)
    await clock.advance(300_000)
    clock.step(-2 * 365 * 86_400_000)
    expect((await ask(queryWire('a.example'))).from).toBe('up')
  })

  it('caps a TTL at a week, and one with the top bit set too', async () => {
    const { ask } = cacheOver(upstreamOf({ answers: [a('a.example', 0x8000_0001)] }))
    expect((await ask(queryWire('a.example'))).answers[0]?.ttl).toBe(604_800)
  })

  it('does not keep TTL 0', async () => {
    const upstream = upstreamOf({ answers: [a('a.example', 0)] })
    const { ask, cache } = cacheOver(upstream)
    expect(await ask(queryWire('a.example'))).toMatchObject({ answers: [{ ttl: 0 }], freshS: undefined })
    await ask(queryWire('a.example'))
    expect(upstream.asked).toBe(2)
    expect(cache.status().entries).toBe(0)
  })
})

describe('CACHE-2: negative answers', () => {
  it.each([
    ['NXDOMAIN', RCODE.NXDOMAIN],
    ['NODATA', RCODE.NOERROR],
  ])('%s is kept for the smaller of SOA TTL and MINIMUM, and its SOA counts down', async (_, rcode) => {
    for (const record of [soa(900, 30), soa(30, 900)]) {
      const upstream = upstreamOf({ rcode, authorities: [record] })
      const { ask, clock } = cacheOver(upstream)
      expect((await ask(queryWire('no.example'))).freshS).toBe(30)
      await clock.advance(29_000)
      expect(await ask(queryWire('no.example'))).toMatchObject({
        rcode,
        authorities: [{ ttl: record.ttl - 29 }],
        freshS: 1,
      })
      await clock.advance(1_000)
      await ask(queryWire('no.example'))
      expect(upstream.asked).toBe(2)
    }
  })

  it('are not kept without an SOA', async () => {
    for (const rcode of [RCODE.NXDOMAIN, RCODE.NOERROR]) {
      const upstream = upstreamOf({ rcode })
      const { ask } = cacheOver(upstream)
      await ask(queryWire('no.example'))
      await ask(queryWire('no.example'))
      expect(upstream.asked).toBe(2)
    }
  })

  it('are kept for three hours at most', async () => {
    const { ask } = cacheOver(upstreamOf({ rcode: RCODE.NXDOMAIN, authorities: [soa(604_800, 604_800)] }))
    expect((await ask(queryWire('no.example'))).freshS).toBe(10_800)
  })

  it('end with the CNAME that leads to them', async () => {
    const upstream = upstreamOf({
      rcode: RCODE.NXDOMAIN,
      answers: [cname('a.example', 'gone.example', 5)],
      authorities: [soa(900, 900)],
    })
    expect((await cacheOver(upstream).ask(queryWire('a.example'))).freshS).toBe(5)
  })

  it('end with the SOA when a CNAME leads to no data', async () => {
    const upstream = upstreamOf({ answers: [cname('a.example', 'b.example', 900)], authorities: [soa(900, 7)] })
    expect((await cacheOver(upstream).ask(queryWire('a.example'))).freshS).toBe(7)
  })
})

describe('what is never kept', () => {
  it('a truncated answer', async () => {
    const upstream = upstreamOf({ truncated: true, answers: [a('a.example', 300)] })
    const { ask } = cacheOver(upstream)
    expect((await ask(queryWire('a.example'))).freshS).toBeUndefined()
    await ask(queryWire('a.example'))
    expect(upstream.asked).toBe(2)
  })

  it('a drop', async () => {
    const { resolver } = cacheOver(resolverOf(() => ({ kind: 'drop', reason: 'rate-limit' })))
    expect(resolver.resolve(queryOf(queryWire('a.example')), NEVER)).toEqual({ kind: 'drop', reason: 'rate-limit' })
  })
})

describe('CACHE-4: DO and CD', () => {
  const variants = {
    plain: queryWire('a.example'),
    do: queryWire('a.example', TYPE.A, { edns: { udpSize: 1232, version: 0, dnssecOk: true, options: [] } }),
    cd: queryWire('a.example', TYPE.A, { checkingDisabled: true }),
    'do and cd': queryWire('a.example', TYPE.A, {
      checkingDisabled: true,
      edns: { udpSize: 1232, version: 0, dnssecOk: true, options: [] },
    }),
  }

  it('have entries of their own', async () => {
    const upstream = upstreamOf({ answers: [a('a.example', 300)] })
    const { ask } = cacheOver(upstream)
    for (const wire of Object.values(variants)) await ask(wire)
    for (const wire of Object.values(variants)) await ask(wire)
    expect(upstream.asked).toBe(4)
    expect(new Set(Object.values(variants).map((wire) => cacheKey(queryOf(wire)))).size).toBe(4)
  })

  it('the size and options of an OPT make no difference', async () => {
    const upstream = upstreamOf({ answers: [a('a.example', 300)] })
    const { ask } = cacheOver(upstream)
    await ask(variants.plain)
    const options = [{ code: 10, data: new Uint8Array(8) }]
    await ask(queryWire('a.example', TYPE.A, { edns: { udpSize: 4096, version: 0, dnssecOk: false, options } }))
    expect(upstream.asked).toBe(1)
  })

  it('type and class are part of the key', async () => {
    const upstream = upstreamOf({ rcode: RCODE.NOERROR, authorities: [soa(300, 300)] })
    const { ask } = cacheOver(upstream)
    await ask(queryWire('a.example', TYPE.A))
    await ask(queryWire('a.example', TYPE.AAAA))
    await ask(queryWire('a.example', TYPE.A, { questions: [{ name: 'a.example', type: TYPE.A, class: 3 }] }))
    expect(upstream.asked).toBe(3)
  })
})

describe('memory', () => {
  it('is bounded in bytes; the least recently used go first', async () => {
    const upstream = upstreamOf((view) => ({ answers: [a(view.questionName, 300)] }))
    const { ask, cache } = cacheOver(upstream, { bytesMax: 10_000 })
    await ask(queryWire('kept.example'))
    for (let index = 0; index < 100; index++) {
      await ask(queryWire(`host-${index}.example`))
      await ask(queryWire('kept.example'))
    }
    const { entries, bytes, allocatedBytes, evictions } = cache.status()
    expect(bytes).toBeLessThanOrEqual(allocatedBytes)
    expect(allocatedBytes).toBeLessThanOrEqual(10_000)
    expect(entries).toBeGreaterThan(40)
    expect(entries + evictions).toBe(101)
    expect(upstream.asked).toBe(101)
    expect((await ask(queryWire('host-0.example'))).from).toBe('up')
  })

  it('an answer larger than all of it is passed on', async () => {
    const many = Array.from({ length: 200 }, (_, index) => a('a.example', 300, `192.0.2.${index}`))
    const { ask, cache } = cacheOver(upstreamOf({ answers: many }), { bytesMax: 1_000 })
    expect((await ask(queryWire('a.example'))).answers.length).toBe(200)
    expect(cache.status().entries).toBe(0)
  })

  it('counts hits and misses', async () => {
    const upstream = upstreamOf({ answers: [a('a.example', 300)] })
    const { ask, cache } = cacheOver(upstream)
    await ask(queryWire('a.example'))
    await ask(queryWire('a.example'))
    await ask(queryWire('a.example'))
    expect(cache.status()).toMatchObject({ entries: 1, hits: 2, misses: 1 })
  })
})

describe('a flight shared by several askers', () => {
  const shared = (last: Resolver): Resolver =>
    chainOf([withCache({ bytesMax: SIZE, clock: new ManualClock() }).layer, withDedup()], last)
  const wires = [
    queryWire('a.example', TYPE.A, { id: 1 }),
    queryWire('A.EXAMPLE', TYPE.A, { id: 2, recursionDesired: false }),
  ]
  const askAll = (resolver: Resolver): Promise<Message[]> =>
    Promise.all(wires.map(async (wire) => parseMessage(answerIn(await resolver.resolve(queryOf(wire), NEVER)).wire)!))

  it('answers each with its own id, letter case and flags', async () => {
    const upstream = upstreamOf({ answers: [a('a.example', 300)] })
    const answers = await askAll(shared(upstream))
    expect(upstream.asked).toBe(1)
    expect(answers).toMatchObject([
      { id: 1, recursionDesired: true, questions: [{ name: 'a.example' }], answers: [{ ttl: 300 }] },
      { id: 2, recursionDesired: false, questions: [{ name: 'A.EXAMPLE' }], answers: [{ ttl: 300 }] },
    ])
  })

  it('tells each of a failure with its own id, letter case and flags', async () => {
    const broken = resolverOf(() => Promise.reject(new Error('no link')))
    const { pool, members } = poolOf(() => [broken])
    const answers = await askAll(shared(pool))
    expect(members[0]!.status().queries).toBe(1)
    expect(answers).toMatchObject([
      { id: 1, rcode: RCODE.SERVFAIL, recursionDesired: true, questions: [{ name: 'a.example' }] },
      { id: 2, rcode: RCODE.SERVFAIL, recursionDesired: false, questions: [{ name: 'A.EXAMPLE' }] },
    ])
  })
})

describe('scopes', () => {
  it('CACHE-4: clients sent to other upstreams have answers of their own', async () => {
    const upstream = upstreamOf({ answers: [a('a.example', 300)] })
    const { ask } = cacheOver(upstream)
    for (const client of [{}, { scope: 'guests' }, { scope: 'kids' }]) {
      expect((await ask(queryWire('a.example'), client)).from).toBe('up')
      expect((await ask(queryWire('a.example'), client)).from).toBe('cache')
    }
    expect(upstream.asked).toBe(3)
  })
})

describe('a signed question', () => {
  it('is passed on as it is, and its answer is neither kept nor changed', async () => {
    const tsig = { name: 'key', type: TYPE.TSIG, class: 255, ttl: 0, data: new Uint8Array(26) }
    const answer = { kind: 'answer', wire: new Uint8Array(3), from: 'up' } as const
    const upstream = resolverOf(() => answer)
    const { resolver, cache } = cacheOver(upstream)
    const query = queryOf(queryWire('a.example', TYPE.A, { additionals: [tsig] }))
    expect(query.view.signed).toBe(true)
    expect(resolver.resolve(query, NEVER)).toBe(answer)
    expect(cache.status()).toMatchObject({ entries: 0, misses: 0 })
  })
})

describe('a question of type 0, which stands for denials inside', () => {
  it('is answered and not kept', async () => {
    const upstream = upstreamOf({ authorities: [soa(300, 300)] })
    const { ask, cache } = cacheOver(upstream)
    await ask(queryWire('a.example', 0))
    await ask(queryWire('a.example', 0))
    expect(upstream.asked).toBe(2)
    expect(cache.status().entries).toBe(0)
  })
})

describe('an answer of other letter case', () => {
  it('is given whole: names that point into the question follow it', async () => {
    const { ask } = cacheOver(upstreamOf({ answers: [cname('a.example', 'b.example', 300), a('b.example', 300)] }))
    await ask(queryWire('a.example'))
    expect((await ask(queryWire('A.EXAMPLE'))).answers).toMatchObject([
      { name: 'A.EXAMPLE', data: { host: 'b.EXAMPLE' } },
      { name: 'b.EXAMPLE', data: { address: '192.0.2.1' } },
    ])
  })

  it('HTTPS, whose type has the octet of a letter, is not taken for another type', async () => {
    const upstream = upstreamOf({ authorities: [soa(300, 300)] })
    const { ask } = cacheOver(upstream)
    await ask(queryWire('a.example', TYPE.HTTPS))
    await ask(queryWire('a.example', TYPE.HTTPS | 0x20))
    expect(upstream.asked).toBe(2)
    expect((await ask(queryWire('a.example', TYPE.HTTPS))).questions[0]?.type).toBe(TYPE.HTTPS)
  })
})
