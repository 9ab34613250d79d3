import { describe, expect, it } from 'vitest'
import { EDNS_OPTION, EXTENDED_ERROR, RCODE, TYPE } from '../../../../src/dns/codes.ts'
import type { Message } from '../../../../src/dns/message.ts'
import type { Outcome } from '../../../../src/router/resolve/resolver.ts'
import { recordingLog } from '../../../support/log.ts'
import { settle } from '../../../support/manual-clock.ts'
import { queryOf, queryWire, resolverOf } from '../../../support/query.ts'
import { a, cacheOver, soa, upstreamOf } from './scene.ts'

const NEVER = new AbortController().signal
const DAY_MS = 86_400_000
const GOOD = { answers: [a('a.example', 300)] }
const BETTER = { answers: [a('a.example', 300, '192.0.2.99')] }
const withError = (code: number) => ({
  udpSize: 1232,
  version: 0,
  dnssecOk: false,
  options: [{ code: EDNS_OPTION.EXTENDED_ERROR, data: Uint8Array.of(0, code) }],
})
const FAILED = { rcode: RCODE.SERVFAIL }

/** A cache that holds an answer for a.example which ended a minute ago, over an upstream that says what the test wants. */
async function staleScene(first: Partial<Message> = GOOD, staleMs = DAY_MS) {
  let fields: Partial<Message> = first
  const upstream = upstreamOf(() => fields)
  const scene = cacheOver(upstream, { serveStaleMs: staleMs })
  await scene.ask(queryWire('a.example'))
  await scene.clock.advance(360_000)
  return { ...scene, upstream, says: (next: Partial<Message>) => (fields = next) }
}

/** As above, over an upstream that answers when the test says so. */
async function waitingScene() {
  const flights: { settle: (fields: Partial<Message>) => void; fail: (error: Error) => void }[] = []
  const upstream = resolverOf(
    (query, signal) =>
      new Promise<Outcome>((resolve, reject) => {
        flights.push({ settle: (fields) => resolve(upstreamOf(fields).resolve(query, signal)), fail: reject })
      }),
  )
  const { log, lines } = recordingLog()
  const scene = cacheOver(upstream, { serveStaleMs: DAY_MS, log })
  const filled = scene.ask(queryWire('a.example'))
  flights[0]!.settle(GOOD)
  await filled
  await scene.clock.advance(360_000)
  return { ...scene, upstream, flights, lines }
}

describe('CACHE-3: a stale answer', () => {
  it('is given with TTL 30 and extended error 3 when the refresh fails', async () => {
    for (const failed of [FAILED, { rcode: RCODE.REFUSED }, { truncated: true }]) {
      const { ask, upstream, says } = await staleScene()
      says(failed)
      expect(await ask(queryWire('A.example', TYPE.A, { id: 5 }))).toMatchObject({
        id: 5,
        rcode: RCODE.NOERROR,
        from: 'cache',
        freshS: 30,
        questions: [{ name: 'A.example' }],
        answers: [{ ttl: 30, data: { address: '192.0.2.1' } }],
        extendedErrors: [{ code: EXTENDED_ERROR.STALE_ANSWER }],
      })
      expect(upstream.asked).toBe(2)
    }
  })

  it.each([EXTENDED_ERROR.BLOCKED, EXTENDED_ERROR.CENSORED, EXTENDED_ERROR.FILTERED])(
    'does not help out where the refresh was refused on purpose (extended error %i)',
    async (code) => {
      const { ask, says } = await staleScene()
      says({ rcode: RCODE.REFUSED, edns: withError(code) })
      for (let round = 0; round < 2; round++) expect((await ask(queryWire('a.example'))).rcode).toBe(RCODE.REFUSED)
    },
  )

  it('that is NXDOMAIN carries extended error 19', async () => {
    const { ask, says } = await staleScene({ rcode: RCODE.NXDOMAIN, authorities: [soa(300, 300)] })
    says(FAILED)
    expect(await ask(queryWire('a.example'))).toMatchObject({
      rcode: RCODE.NXDOMAIN,
      authorities: [{ ttl: 30 }],
      extendedErrors: [{ code: EXTENDED_ERROR.STALE_NXDOMAIN }],
    })
  })

  it('is given after 1.8 s while the refresh goes on, and then at once, in the same tick', async () => {
    const { ask, resolver, clock, flights, cache } = await waitingScene()
    let answered = false
    const asked = ask(queryWire('a.example')).finally(() => (answered = true))
    await clock.advance(1_799)
    expect(answered).toBe(false)
    await clock.advance(1)
    expect((await asked).extendedErrors).toEqual([{ code: EXTENDED_ERROR.STALE_ANSWER }])
    expect(resolver.resolve(queryOf(queryWire('a.example')), NEVER)).toMatchObject({ kind: 'answer', freshS: 30 })
    expect(flights.length).toBe(2)
    flights[1]!.settle(BETTER)
    await settle()
    expect(await ask(queryWire('a.example'))).toMatchObject({
      freshS: 300,
      answers: [{ data: { address: '192.0.2.99' } }],
    })
    expect(cache.status()).toMatchObject({ staleServed: 2, entries: 1 })
  })

  it('is not given when the refresh brings an answer in time', async () => {
    const { ask, clock, flights } = await waitingScene()
    const asked = ask(queryWire('a.example'))
    await clock.advance(1_700)
    flights[1]!.settle(BETTER)
    expect(await asked).toMatchObject({ from: 'up', answers: [{ ttl: 300, data: { address: '192.0.2.99' } }] })
    expect(clock.sleeping).toBe(0)
  })

  it('stands in when a refresh fails by a bug, which is logged', async () => {
    const { ask, flights, lines } = await waitingScene()
    const asked = ask(queryWire('a.example'))
    flights[1]!.fail(new Error('a bug'))
    expect((await asked).freshS).toBe(30)
    expect(lines).toMatchObject([{ reason: 'a bug' }])
  })

  it('a failing refresh is tried again after 30 s, not sooner', async () => {
    const { ask, resolver, upstream, says, clock } = await staleScene()
    says(FAILED)
    await ask(queryWire('a.example'))
    for (let second = 1; second < 30; second++) {
      await clock.advance(1_000)
      expect(resolver.resolve(queryOf(queryWire('a.example')), NEVER)).not.toBeInstanceOf(Promise)
    }
    expect(upstream.asked).toBe(2)
    await clock.advance(1_000)
    says(BETTER)
    expect((await ask(queryWire('a.example'))).from).toBe('up')
    expect(upstream.asked).toBe(3)
  })

  it('is refreshed at once when told that the link is another one', async () => {
    const { ask, upstream, says, cache } = await staleScene()
    says(FAILED)
    await ask(queryWire('a.example'))
    cache.flushFailures()
    says(BETTER)
    expect((await ask(queryWire('a.example'))).from).toBe('up')
    expect(upstream.asked).toBe(3)
  })

  it('is tried again over a changed link by every chain over the cache', async () => {
    const { ask, says, cache } = await staleScene()
    says(FAILED)
    await ask(queryWire('a.example'))
    cache.layer(upstreamOf(GOOD)) // of settings that were not taken
    cache.flushFailures()
    says(BETTER)
    expect((await ask(queryWire('a.example'))).from).toBe('up')
  })

  it('is replaced by NXDOMAIN, NODATA and an answer that cannot be kept', async () => {
    for (const fresh of [
      { rcode: RCODE.NXDOMAIN, authorities: [soa(60, 60)] },
      { rcode: RCODE.NXDOMAIN },
      { authorities: [soa(60, 60)] },
      { answers: [a('a.example', 0)] },
    ]) {
      const { ask, says, clock } = await staleScene()
      says(fresh)
      expect((await ask(queryWire('a.example'))).from).toBe('up')
      says(FAILED)
      await clock.advance(60_000)
      expect((await ask(queryWire('a.example'))).answers).toEqual([])
    }
  })

  it('stops after its time', async () => {
    const { ask, says, clock } = await staleScene(GOOD, 3_600_000)
    says(FAILED)
    await clock.advance(3_600_000 - 60_000 - 1)
    expect((await ask(queryWire('a.example'))).rcode).toBe(RCODE.NOERROR)
    await clock.advance(60_000)
    expect((await ask(queryWire('a.example'))).rcode).toBe(RCODE.SERVFAIL)
  })

  it('is never given when that is off', async () => {
    const { ask, says } = await staleScene(GOOD, 0)
    says(FAILED)
    expect((await ask(queryWire('a.example'))).rcode).toBe(RCODE.SERVFAIL)
  })

  it('counts in the memory bound', async () => {
    const upstream = upstreamOf((view) => ({ answers: [a(view.questionName, 1)] }))
    const { ask, cache, clock } = cacheOver(upstream, { serveStaleMs: DAY_MS, bytesMax: 10_000 })
    for (let index = 0; index < 300; index++) {
      await ask(queryWire(`host-${index}.example`))
      await clock.advance(2_000)
    }
    expect(cache.status().allocatedBytes).toBeLessThanOrEqual(10_000)
    expect(cache.status().evictions).toBeGreaterThan(200)
  })

  it('a stale denial denies nothing below its name', async () => {
    const upstream = upstreamOf({ rcode: RCODE.NXDOMAIN, authorities: [soa(60, 60)] })
    const { ask, clock } = cacheOver(upstream, { serveStaleMs: DAY_MS, nxdomainCut: true })
    await ask(queryWire('gone.example'))
    await clock.advance(61_000)
    await ask(queryWire('a.gone.example'))
    expect(upstream.asked).toBe(2)
  })
})
