import { describe, expect, it } from 'vitest'
import { fleetCensus } from '../../../src/operator/watch/fleet-census.ts'
import { issuanceHistory, STEP_MS, STEPS_MAX } from '../../../src/operator/watch/issuance-history.ts'
import { silentLog } from '../../support/log.ts'
import { ManualClock, settle } from '../../support/manual-clock.ts'
import { BY, createWorld, DAY_MS } from '../delegation/world.ts'

describe('the count of the fleet', () => {
  const counted = async (world: ReturnType<typeof createWorld>) => {
    const { registry, standing, clock } = world
    const census = fleetCensus({ registry, standing, expiringMs: DAY_MS / 4, clock, log: silentLog })
    const stop = new AbortController()
    expect(census.report()).toBeUndefined()
    const running = census.run(stop.signal)
    while (clock.sleeping === 0) await settle()
    return {
      census,
      end: async () => {
        stop.abort()
        await running
      },
    }
  }

  it('tells how many routers stand how, and when their certificates end', async () => {
    const world = createWorld()
    await world.registry.add({ names: ['attic', 'cellar'], by: BY })
    for (const [name, leftMs] of [
      ['hall', 5 * DAY_MS],
      ['loft', DAY_MS / 5],
      ['yard', 400 * DAY_MS],
      ['shed', -1],
    ] as const) {
      await world.enrolled(name, `account-${name}`)
      await world.publications.insert(`certificate-${name}`, { notAfterMs: world.clock.nowMs() + leftMs })
      await world.order(name, { account: `account-${name}`, status: 'valid', certificate: `certificate-${name}` })
    }
    const { census, end } = await counted(world)
    const { counts, ends } = census.report()!
    expect(counts).toEqual({ waiting: 2, enrolled: 0, valid: 3, failed: 1, revoked: 0, expiring: 1 })
    const filled = ends.filter(({ count }) => count > 0)
    expect(filled.map(({ withinMs, count }) => [withinMs / DAY_MS, count])).toEqual([
      [1, 1],
      [5, 1],
      [Number.MAX_SAFE_INTEGER / DAY_MS, 1],
    ])
    await end()
  })

  it('rests nine times as long as it reads, page by page', async () => {
    const world = createWorld()
    await world.registry.add({ count: 500, by: BY })
    const { list } = world.registry
    let pages = 0
    world.registry.list = async (page) => {
      pages++
      await world.clock.sleep(10)
      return list(page)
    }
    const { registry, standing, clock } = world
    const census = fleetCensus({ registry, standing, expiringMs: 0, clock, log: silentLog })
    const stop = new AbortController()
    const running = census.run(stop.signal)
    await clock.advance(10)
    await clock.advance(89)
    expect(pages).toBe(1)
    await clock.advance(1)
    expect(pages).toBe(2)
    await clock.advance(10 + 90 + 10)
    expect([pages, census.report()!.counts.waiting]).toEqual([3, 500])
    stop.abort()
    await running
  })
})

describe('the history of issuance', () => {
  it('is a ring of two days', async () => {
    const clock = new ManualClock()
    const history = issuanceHistory(clock)
    history.count('issued')
    await clock.advance(STEP_MS)
    history.count('issued')
    history.count('failed')
    const steps = history.steps()
    expect(steps.length).toBe(STEPS_MAX)
    expect(steps.slice(-2)).toMatchObject([
      { issued: 1, failed: 0 },
      { issued: 1, failed: 1 },
    ])
    await clock.advance(STEP_MS * STEPS_MAX)
    expect(history.steps().every(({ issued, failed }) => issued + failed === 0)).toBe(true)
  })
})
