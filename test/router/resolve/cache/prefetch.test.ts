import { describe, expect, it } from 'vitest'
import { RCODE } from '../../../../src/dns/codes.ts'
import { chainOf } from '../../../../src/router/resolve/chain.ts'
import { withDedup } from '../../../../src/router/resolve/dedup.ts'
import type { Outcome } from '../../../../src/router/resolve/resolver.ts'
import { settle } from '../../../support/manual-clock.ts'
import { queryOf, queryWire, resolverOf } from '../../../support/query.ts'
import { a, cacheOver, soa, upstreamOf } from './scene.ts'

const NEVER = new AbortController().signal
const upstreamWith = (ttl: number) => upstreamOf((view) => ({ answers: [a(view.questionName, ttl)] }))

async function askTimes(times: number, scene: ReturnType<typeof cacheOver>, name = 'a.example'): Promise<void> {
  for (let time = 0; time < times; time++) await scene.ask(queryWire(name))
  await settle()
}

describe('prefetch', () => {
  it('renews a popular answer when a tenth of its time is left, while hits are given in their tick', async () => {
    const upstream = upstreamWith(300)
    const scene = cacheOver(upstream, { prefetch: true })
    await askTimes(3, scene)
    await scene.clock.advance(269_000)
    await askTimes(1, scene)
    expect(upstream.asked).toBe(1)
    await scene.clock.advance(1_000)
    expect(scene.resolver.resolve(queryOf(queryWire('a.example')), NEVER)).toMatchObject({ kind: 'answer', freshS: 30 })
    await settle()
    expect(upstream.asked).toBe(2)
    expect((await scene.ask(queryWire('a.example'))).freshS).toBe(300)
    expect(scene.cache.status()).toMatchObject({ prefetches: 1, misses: 1, entries: 1 })
  })

  it('renews denials too', async () => {
    const upstream = upstreamOf({ rcode: RCODE.NXDOMAIN, authorities: [soa(300, 300)] })
    const scene = cacheOver(upstream, { prefetch: true })
    await askTimes(3, scene)
    await scene.clock.advance(280_000)
    await askTimes(1, scene)
    expect((await scene.ask(queryWire('a.example'))).freshS).toBe(300)
  })

  it.each([
    ['is not popular', 1, 300],
    ['lives less than ten seconds', 5, 9],
  ])('leaves an answer alone that %s', async (_, asked, ttl) => {
    const upstream = upstreamWith(ttl)
    const scene = cacheOver(upstream, { prefetch: true })
    await askTimes(asked, scene)
    await scene.clock.advance(ttl * 1000 - 1)
    await askTimes(1, scene)
    expect(upstream.asked).toBe(1)
  })

  it('can be off', async () => {
    const upstream = upstreamWith(300)
    const scene = cacheOver(upstream, { prefetch: false })
    await askTimes(5, scene)
    await scene.clock.advance(290_000)
    await askTimes(5, scene)
    expect(upstream.asked).toBe(1)
  })

  it('a popular name that nobody asks for any more ends after one renewal', async () => {
    const upstream = upstreamWith(300)
    const scene = cacheOver(upstream, { prefetch: true })
    await askTimes(5, scene)
    await scene.clock.advance(280_000)
    await askTimes(1, scene)
    await scene.clock.advance(290_000)
    await askTimes(1, scene)
    expect(upstream.asked).toBe(2)
  })

  it('that fails is not tried again for 30 s; what is held goes on', async () => {
    let fails = false
    const upstream = upstreamOf(() => (fails ? { rcode: RCODE.SERVFAIL } : { answers: [a('a.example', 3600)] }))
    const scene = cacheOver(upstream, { prefetch: true })
    await askTimes(5, scene)
    fails = true
    await scene.clock.advance(3_300_000)
    for (let second = 0; second < 30; second++) {
      await askTimes(1, scene)
      await scene.clock.advance(1_000)
    }
    expect(upstream.asked).toBe(2)
    expect(await scene.ask(queryWire('a.example'))).toMatchObject({ rcode: RCODE.NOERROR, from: 'cache', freshS: 270 })
    expect(upstream.asked).toBe(3)
  })

  it('has one flight for a question, shared with those who ask after its end, and few flights in all', async () => {
    const flights: (() => void)[] = []
    let waits = false
    const upstream = resolverOf((query, signal) => {
      const answer = upstreamWith(300).resolve(query, signal) as Promise<Outcome>
      return waits ? new Promise<Outcome>((resolve) => flights.push(() => resolve(answer))) : answer
    })
    const scene = cacheOver(chainOf([withDedup()], upstream), { prefetch: true })
    const names = Array.from({ length: 80 }, (_, index) => `host-${index}.example`)
    for (const name of names) await askTimes(3, scene, name)
    waits = true
    await scene.clock.advance(280_000)
    for (const name of names) await askTimes(2, scene, name)
    expect(flights.length).toBe(64)
    await scene.clock.advance(20_000)
    const late = scene.ask(queryWire(names[0]!))
    await settle()
    expect(flights.length).toBe(64)
    for (const land of flights) land()
    expect((await late).from).toBe('up')
    await settle()
    expect((await scene.ask(queryWire(names[0]!))).from).toBe('cache')
  })
})
