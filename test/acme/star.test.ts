import { assert, integer, property, record } from 'fast-check'
import { describe, expect, it } from 'vitest'
import { latestDue, nextPollMs, publishAtMs, starPlan, window } from '../../src/acme/star.ts'

const DAY_S = 86_400
const DAY_MS = DAY_S * 1000
const HOUR_MS = DAY_MS / 24

/** Day and hour of one month, the way the golden tables are written. */
const january = (day: number, hour = 0): number => Date.UTC(2027, 0, day, hour)

const windowsOf = (plan: ReturnType<typeof starPlan>) =>
  Array.from({ length: plan.count }, (_, index) => {
    const { notBeforeMs, notAfterMs } = window(plan, index)
    return [notBeforeMs, notAfterMs]
  })

describe('RFC 8739 §3.5 dates of automatically renewed certificates', () => {
  const rfcExample = starPlan({
    startMs: january(10),
    endMs: january(20),
    lifetimeS: 4 * DAY_S,
    lifetimeAdjustS: 3 * DAY_S,
  })
  const noPad = starPlan({ startMs: january(1), endMs: january(11), lifetimeS: 3 * DAY_S, lifetimeAdjustS: 0 })

  it('gives the table of the RFC: four days, padded by three', () => {
    expect(windowsOf(rfcExample)).toEqual([
      [january(10), january(14)],
      [january(11), january(18)],
      [january(15), january(20)],
    ])
  })

  it('overlaps by half a lifetime when no pad was asked for', () => {
    expect(windowsOf(noPad)).toEqual([
      [january(1), january(4)],
      [january(2, 12), january(7)],
      [january(5, 12), january(10)],
      [january(8, 12), january(11)],
    ])
  })

  it('publishes a certificate when it becomes valid, never before', () => {
    expect(publishAtMs(noPad, 0)).toBe(january(1))
    expect(publishAtMs(noPad, 1)).toBe(january(2, 12))
  })

  it('names the newest certificate due, and skips what was missed during downtime', () => {
    expect(latestDue(noPad, january(1) - 1)).toBeUndefined()
    expect(latestDue(noPad, january(1))).toBe(0)
    expect(latestDue(noPad, january(2, 12) - 1)).toBe(0)
    expect(latestDue(noPad, january(2, 12))).toBe(1)
    expect(latestDue(noPad, january(9))).toBe(3)
    expect(latestDue(noPad, january(11))).toBeUndefined()
  })

  it('takes a pad longer than the lifetime as one lifetime', () => {
    const plan = starPlan({ startMs: january(1), endMs: january(9), lifetimeS: 2 * DAY_S, lifetimeAdjustS: 9 * DAY_S })
    expect(windowsOf(plan)[1]).toEqual([january(1), january(5)])
  })

  it('makes one certificate when the lifetime is longer than the order', () => {
    const plan = starPlan({ startMs: january(1), endMs: january(3), lifetimeS: 7 * DAY_S, lifetimeAdjustS: 0 })
    expect(windowsOf(plan)).toEqual([[january(1), january(3)]])
  })

  it('refuses a fraction outside 0.5 <= f < 1', () => {
    const terms = { startMs: 0, endMs: DAY_MS, lifetimeS: 3600, lifetimeAdjustS: 0 }
    expect(() => starPlan({ ...terms, fraction: 0.49 })).toThrow('fraction')
    expect(() => starPlan({ ...terms, fraction: 1 })).toThrow('fraction')
  })

  it('keeps the promises of §3.5 for any terms', () => {
    const terms = record({
      durationS: integer({ min: 1, max: 400 * DAY_S }),
      lifetimeS: integer({ min: DAY_S, max: 90 * DAY_S }),
      lifetimeAdjustS: integer({ min: 0, max: 90 * DAY_S }),
    })
    assert(
      property(terms, ({ durationS, lifetimeS, lifetimeAdjustS }) => {
        const startMs = january(1)
        const plan = starPlan({ startMs, endMs: startMs + durationS * 1000, lifetimeS, lifetimeAdjustS })
        const windows = Array.from({ length: plan.count }, (_, index) => window(plan, index))
        expect(windows.at(-1)?.notAfterMs).toBe(plan.endMs)
        for (const [index, { notBeforeMs, notAfterMs }] of windows.entries()) {
          expect(notBeforeMs).toBeGreaterThanOrEqual(startMs)
          expect(notBeforeMs % 1000).toBe(0)
          expect(notAfterMs).toBeLessThanOrEqual(plan.endMs)
          expect(latestDue(plan, Math.max(notBeforeMs, startMs))).toBeGreaterThanOrEqual(index)
          const next = windows[index + 1]
          if (next) expect(notAfterMs - next.notBeforeMs).toBeGreaterThanOrEqual((lifetimeS * 1000) / 2)
        }
      }),
      { seed: 8739, numRuns: 200 },
    )
  })
})

describe('RFC 8739 §3.3 when a client looks for the next certificate', () => {
  const held = { notBeforeMs: january(2, 12), notAfterMs: january(7) }

  it('looks half a lifetime before the end when no pad was agreed', () => {
    expect(nextPollMs({ ...held, lifetimeS: 3 * DAY_S })).toBe(january(5, 12))
  })

  it('looks earlier by the agreed pad', () => {
    expect(nextPollMs({ ...held, lifetimeS: 3 * DAY_S, lifetimeAdjustS: 2 * DAY_S })).toBe(january(5))
  })

  it('looks exactly when the server of these terms publishes', () => {
    const plan = starPlan({ startMs: january(1), endMs: january(31), lifetimeS: 4 * DAY_S, lifetimeAdjustS: 3 * DAY_S })
    for (let index = 0; index + 1 < plan.count; index++) {
      const poll = nextPollMs({ ...window(plan, index), lifetimeS: 4 * DAY_S, lifetimeAdjustS: 3 * DAY_S })
      expect(poll).toBe(publishAtMs(plan, index + 1))
    }
  })

  it('stops at the last one', () => {
    expect(nextPollMs({ ...held, lifetimeS: 3 * DAY_S, endMs: january(7) })).toBeUndefined()
  })

  it('looks halfway when the terms are not known', () => {
    expect(nextPollMs(held)).toBe(january(4, 18))
    expect(nextPollMs(held)! - held.notBeforeMs).toBe(54 * HOUR_MS)
  })
})
