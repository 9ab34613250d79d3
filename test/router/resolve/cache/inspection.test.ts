import { describe, expect, it } from 'vitest'
import { RCODE, TYPE } from '../../../../src/dns/codes.ts'
import { cacheStats, flushCache, showCache } from '../../../../src/router/resolve/cache/inspection.ts'
import { queryWire } from '../../../support/query.ts'
import { a, cacheOver, soa, upstreamOf } from './scene.ts'

const DAY_MS = 86_400_000
const edns = { udpSize: 1232, version: 0, dnssecOk: true, options: [] }

/** Answers A questions, has nothing else, denies gone.example and fails for broken.example. */
function scene() {
  const upstream = upstreamOf((view) => {
    const name = view.questionName
    if (name.endsWith('broken.example')) return { rcode: RCODE.SERVFAIL }
    if (name === 'gone.example') return { rcode: RCODE.NXDOMAIN, authorities: [soa(120, 60)] }
    return view.questionType === TYPE.A ? { answers: [a(name, 300)] } : { authorities: [soa(120, 60)] }
  })
  return { ...cacheOver(upstream, { serveStaleMs: DAY_MS, nxdomainCut: true }), upstream }
}

describe('cache show', () => {
  it('lists every type and variant of the name, with what is known of each', async () => {
    const { ask, cache, clock } = scene()
    await ask(queryWire('a.example'))
    await ask(queryWire('A.example'))
    await ask(queryWire('a.example', TYPE.AAAA, { edns, checkingDisabled: true }), { scope: 'guests' })
    await ask(queryWire('b.a.example'))
    await clock.advance(100_000)
    expect(showCache(cache, 'A.Example.', clock.monotonicMs())).toEqual([
      {
        name: 'a.example',
        type: 'A',
        class: 'IN',
        rcode: 'NOERROR',
        dnssecOk: false,
        checkingDisabled: false,
        state: 'fresh',
        leftS: 200,
        from: 'up',
        hits: 1,
        records: ['a.example. 200 IN A 192.0.2.1'],
      },
      {
        name: 'a.example',
        type: 'AAAA',
        class: 'IN',
        rcode: 'NOERROR',
        dnssecOk: true,
        checkingDisabled: true,
        scope: 'guests',
        state: 'stale',
        leftS: 86_400 - 40,
        from: 'up',
        hits: 0,
        records: ['example. 30 IN SOA ns.example. nobody.example. 1 1 1 1 60'],
      },
    ])
  })

  it('says that a denial is for any type, and shows nothing that is of no use any more', async () => {
    const { ask, cache, clock } = scene()
    await ask(queryWire('gone.example'))
    expect(showCache(cache, 'gone.example', 0)).toMatchObject([{ type: 'any', rcode: 'NXDOMAIN', leftS: 60 }])
    await clock.advance(2 * DAY_MS)
    expect(showCache(cache, 'gone.example', clock.monotonicMs())).toEqual([])
  })

  it('refuses what is no name', () => {
    expect(() => showCache(scene().cache, 'a..example', 0)).toThrow('a..example is not a domain name')
  })
})

describe('cache flush', () => {
  const names = ['example', 'a.example', 'b.a.example', 'ba.example', 'broken.example']
  async function filled() {
    const it = scene()
    for (const name of names) await it.ask(queryWire(name))
    return it
  }

  it('forgets the name and what is below it, label by label', async () => {
    const { cache, clock } = await filled()
    expect(flushCache(cache, 'A.example')).toBe(2)
    const left = names.filter((name) => showCache(cache, name, clock.monotonicMs()).length > 0)
    expect(left).toEqual(['example', 'ba.example'])
    expect(flushCache(cache, 'a.example')).toBe(0)
  })

  it('forgets failures as well', async () => {
    const { cache } = await filled()
    flushCache(cache, 'a.example')
    expect(cache.status().failures).toBe(1)
    flushCache(cache, 'broken.example')
    expect(cache.status().failures).toBe(0)
  })

  it('forgets everything, and the next question is asked', async () => {
    const { cache, ask } = await filled()
    expect(flushCache(cache)).toBe(4)
    expect(cache.status()).toMatchObject({ entries: 0, bytes: 0, failures: 0 })
    expect((await ask(queryWire('a.example'))).from).toBe('up')
  })

  it('the root stands for everything too', async () => {
    expect(flushCache((await filled()).cache, '.')).toBe(4)
  })
})

it('cache stats counts what happened', async () => {
  const { ask, cache, clock } = scene()
  expect(cacheStats(cache)).not.toHaveProperty('hitRate')
  await ask(queryWire('a.example'))
  for (let time = 0; time < 3; time++) await ask(queryWire('a.example'))
  await ask(queryWire('broken.example'))
  await ask(queryWire('broken.example'))
  expect(cacheStats(cache)).toMatchObject({
    entries: 1,
    hits: 3,
    misses: 2,
    hitRate: 0.6,
    failures: 1,
    failuresServed: 1,
    staleServed: 0,
    prefetches: 0,
    evictions: 0,
    bytesMax: 1 << 20,
  })
  await clock.advance(1_000)
})

it('explains what it would do with a question, and asks nobody', async () => {
  const { ask, cache, clock, upstream } = scene()
  const about = (name: string, type: number = TYPE.A) => cache.explain({ name, type }, '192.168.1.2')
  for (const name of ['a.example', 'gone.example', 'broken.example']) await ask(queryWire(name))
  await ask(queryWire('a.example', TYPE.AAAA))
  expect(about('a.example')).toEqual({ layer: 'cache', says: 'held, 300 s left', decides: true })
  expect(about('b.gone.example')).toEqual({
    layer: 'cache',
    says: 'gone.example is known not to exist, 60 s left',
    decides: true,
  })
  expect(about('broken.example')).toEqual({
    layer: 'cache',
    says: 'failed lately (SERVFAIL), asked again in 1 s',
    decides: true,
  })
  expect(about('b.example')).toEqual({ layer: 'cache', says: 'not held', decides: false })
  await clock.advance(100_000)
  expect(about('a.example', TYPE.AAAA)).toEqual({
    layer: 'cache',
    says: 'held, ended 40 s ago; given when no fresh answer comes',
    decides: false,
  })
  expect(upstream.asked).toBe(4)
  expect(cache.status()).toMatchObject({ hits: 0, misses: 4 })
})
