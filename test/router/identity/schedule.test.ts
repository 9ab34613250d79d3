import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { jitteredMs, retryDelayMs } from '../../../src/router/identity/schedule.ts'

const HOUR_MS = 3_600_000
const failures = fc.integer({ min: 1, max: 10_000 })
const lifetimeMs = fc.integer({ min: 1_000, max: 90 * 24 * HOUR_MS })
const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })

describe('retryDelayMs', () => {
  it('lies between half a second and one hour', () => {
    fc.assert(
      fc.property(failures, lifetimeMs, random, (count, lifetime, share) => {
        const delay = retryDelayMs(count, lifetime, share)
        expect(delay).toBeGreaterThanOrEqual(500)
        expect(delay).toBeLessThanOrEqual(HOUR_MS)
      }),
      { seed: 1 },
    )
  })

  it('leaves room for at least twenty tries in a lifetime of twenty seconds or more', () => {
    fc.assert(
      fc.property(failures, lifetimeMs, random, (count, lifetime, share) => {
        if (lifetime >= 20_000) expect(retryDelayMs(count, lifetime, share)).toBeLessThanOrEqual(lifetime / 20)
      }),
      { seed: 2 },
    )
  })

  it('never gets shorter with more failures, and at most doubles', () => {
    fc.assert(
      fc.property(failures, lifetimeMs, random, (count, lifetime, share) => {
        const [now, next] = [retryDelayMs(count, lifetime, share), retryDelayMs(count + 1, lifetime, share)]
        expect(next).toBeGreaterThanOrEqual(now)
        expect(next).toBeLessThanOrEqual(now * 2)
      }),
      { seed: 3 },
    )
  })

  it('spreads over the upper half of the delay', () => {
    expect([0, 0.5, 0.999].map((share) => Math.round(retryDelayMs(3, 7 * 24 * HOUR_MS, share) / 1000))).toEqual([
      120, 180, 240,
    ])
  })

  it('for a week: a minute, then twice as long each time, up to an hour', () => {
    const delays = Array.from({ length: 9 }, (_, index) => retryDelayMs(index + 1, 7 * 24 * HOUR_MS, 1) / 60_000)
    expect(delays).toEqual([1, 2, 4, 8, 16, 32, 60, 60, 60])
  })
})

describe('jitteredMs', () => {
  it('is never early, and late by a twentieth of the lifetime at most', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4e12 }), lifetimeMs, random, (renewAt, lifetime, share) => {
        const at = jitteredMs(renewAt, lifetime, share)
        expect(at).toBeGreaterThanOrEqual(renewAt)
        expect(at - renewAt).toBeLessThanOrEqual(lifetime / 20 + 1) // dates of today have no finer fractions
      }),
      { seed: 4 },
    )
  })
})
