import { describe, expect, it } from 'vitest'
import { buildReply } from '../../../../src/dns/answer.ts'
import { EXTENDED_ERROR, RCODE, TYPE } from '../../../../src/dns/codes.ts'
import { Failures } from '../../../../src/router/resolve/cache/failures.ts'
import { queryWire, resolverOf } from '../../../support/query.ts'
import { a, cacheOver, soa, upstreamOf } from './scene.ts'

/** What the pool says when no upstream could be reached. */
const unreachable = () =>
  resolverOf(async ({ view }) => ({
    kind: 'answer',
    wire: buildReply(view, { rcode: RCODE.SERVFAIL }),
    from: 'pool',
    extendedErrors: [{ code: EXTENDED_ERROR.NETWORK_ERROR, text: 'no link' }],
  }))

/** Seconds from one time the upstream is asked to the next, with a question every 500 ms. */
async function gapsUntil(endS: number, upstream: { asked: number }, scene: ReturnType<typeof cacheOver>) {
  const askedAtS: number[] = []
  for (let ms = 0; ms <= endS * 1000; ms += 500) {
    const before = upstream.asked
    await scene.ask(queryWire('a.example'))
    if (upstream.asked > before) askedAtS.push(ms / 1000)
    await scene.clock.advance(500)
  }
  return askedAtS.slice(1).map((at, index) => at - askedAtS[index]!)
}

describe('CACHE-1: a failure', () => {
  it.each([
    ['SERVFAIL', { rcode: RCODE.SERVFAIL, authorities: [soa(300, 300)] }],
    ['REFUSED', { rcode: RCODE.REFUSED, answers: [a('a.example', 300)] }],
    ['FORMERR', { rcode: RCODE.FORMERR }],
  ])('%s is held for a second, then for twice as long each time, up to a minute', async (_, fields) => {
    const upstream = upstreamOf(fields)
    const scene = cacheOver(upstream)
    expect(await gapsUntil(250, upstream, scene)).toEqual([1, 2, 4, 8, 16, 32, 60, 60, 60])
  })

  it('is told with extended error 13 beside what was said at first, and never to be kept', async () => {
    const { ask } = cacheOver(unreachable())
    const first = await ask(queryWire('a.example'))
    expect(first.extendedErrors).toEqual([{ code: EXTENDED_ERROR.NETWORK_ERROR, text: 'no link' }])
    expect(await ask(queryWire('A.example', TYPE.A, { id: 9 }))).toMatchObject({
      id: 9,
      rcode: RCODE.SERVFAIL,
      from: 'cache',
      freshS: undefined,
      questions: [{ name: 'A.example' }],
      extendedErrors: [{ code: EXTENDED_ERROR.NETWORK_ERROR, text: 'no link' }, { code: EXTENDED_ERROR.CACHED_ERROR }],
    })
  })

  it('to reach any upstream is held for two seconds at most: the link may be back', async () => {
    const upstream = unreachable()
    expect(await gapsUntil(10, upstream, cacheOver(upstream))).toEqual([1, 2, 2, 2, 2])
  })

  it('of an upstream to reach others is held longer', async () => {
    const upstream = resolverOf(async (query, signal) => ({
      ...(await upstreamOf({ rcode: RCODE.SERVFAIL }).resolve(query, signal)),
      extendedErrors: [{ code: EXTENDED_ERROR.NO_REACHABLE_AUTHORITY }],
    }))
    expect(await gapsUntil(10, upstream, cacheOver(upstream))).toEqual([1, 2, 4])
  })

  it('belongs to one question', async () => {
    const upstream = upstreamOf({ rcode: RCODE.SERVFAIL })
    const { ask } = cacheOver(upstream)
    await ask(queryWire('a.example'))
    await ask(queryWire('a.example', TYPE.AAAA))
    await ask(queryWire('a.example', TYPE.A, { checkingDisabled: true }))
    await ask(queryWire('a.example'), { scope: 'guests' })
    expect(upstream.asked).toBe(4)
  })

  it('is forgotten with an answer: the next one is held for a second again', async () => {
    let fails = true
    const upstream = upstreamOf(() => (fails ? { rcode: RCODE.SERVFAIL } : { answers: [a('a.example', 0)] }))
    const scene = cacheOver(upstream)
    expect(await gapsUntil(5, upstream, scene)).toEqual([1, 2])
    await scene.clock.advance(10_000)
    fails = false
    await scene.ask(queryWire('a.example'))
    expect(scene.cache.status().failures).toBe(0)
    fails = true
    expect(await gapsUntil(2, upstream, scene)).toEqual([1])
  })

  it('is forgotten when told that the link is another one', async () => {
    const upstream = unreachable()
    const { ask, cache } = cacheOver(upstream)
    await ask(queryWire('a.example'))
    cache.flushFailures()
    await ask(queryWire('a.example'))
    expect(upstream.asked).toBe(2)
  })
})

describe('the memory of failures', () => {
  const failure = { rcode: RCODE.SERVFAIL, extendedErrors: [], isUnreachable: false }

  it('is bounded; the oldest go first', () => {
    const failures = new Failures()
    for (let index = 0; index < 3000; index++) failures.note(`name ${index}`, failure, 0)
    expect(failures.size).toBe(2048)
    expect(failures.find('name 0', 0)).toBeUndefined()
    expect(failures.find('name 2999', 0)).toMatchObject({ leftMs: 1000 })
  })

  it('starts anew after five minutes without a failure', () => {
    const failures = new Failures()
    failures.note('a', failure, 0)
    failures.note('a', failure, 1_000)
    expect(failures.find('a', 1_000)?.leftMs).toBe(2_000)
    failures.note('a', failure, 303_000)
    expect(failures.find('a', 303_000)?.leftMs).toBe(1_000)
  })

  it('takes a failure that comes while one is held for the same', () => {
    const failures = new Failures()
    failures.note('a', failure, 0)
    failures.note('a', failure, 500)
    expect(failures.find('a', 500)?.leftMs).toBe(500)
  })
})
