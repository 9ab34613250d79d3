import { expect, it } from 'vitest'
import { publishAtMs, starPlan, window } from '../../../src/acme/star.ts'
import {
  momentWithin,
  retryAfterMs,
  spreadFraction,
  urgencyOf,
  waitMs,
} from '../../../src/operator/schedule/renewal.ts'

const HOUR_MS = 3_600_000

it('spreads renewals evenly, each at its own place before halfway (RFC 8739 §3.5)', () => {
  const places = Array.from({ length: 10_000 }, (_, index) => spreadFraction(`publication-${index}`, 0.2))
  expect(Math.min(...places)).toBeGreaterThanOrEqual(0.5)
  expect(Math.max(...places)).toBeLessThan(0.7)
  const tenths = Array.from({ length: 10 }, () => 0)
  for (const place of places) tenths[Math.floor((place - 0.5) * 50)]! += 1
  for (const share of tenths) expect(Math.abs(share - 1000)).toBeLessThan(150)
  expect(spreadFraction('publication-1', 0.2)).toBe(places[1])
  expect(spreadFraction('publication-1', 0)).toBe(0.5)
})

it('publishes each certificate when it is valid and at the latest halfway through the one before', () => {
  for (let id = 0; id < 50; id++) {
    const plan = starPlan({
      startMs: 0,
      endMs: 100 * HOUR_MS,
      lifetimeS: 10 * 3600,
      lifetimeAdjustS: 0,
      fraction: spreadFraction(`${id}`, 0.4),
    })
    for (let index = 1; index < plan.count; index++) {
      const before = plan.startMs + (index - 1) * plan.lifetimeMs
      expect(publishAtMs(plan, index)).toBeLessThanOrEqual(before + plan.lifetimeMs / 2)
      expect(publishAtMs(plan, index)).toBe(window(plan, index).notBeforeMs)
    }
  }
})

it('finds the same moment of a span after every restart', () => {
  const span = { startMs: 1_000, endMs: 2_000 }
  const moments = Array.from({ length: 100 }, (_, id) => momentWithin(span, `${id}`))
  expect(Math.min(...moments)).toBeGreaterThanOrEqual(1_000)
  expect(Math.max(...moments)).toBeLessThan(2_000)
  expect(new Set(moments).size).toBeGreaterThan(90)
  expect(momentWithin(span, '7')).toBe(moments[7])
})

it('is the more urgent the nearer the end is, from halfway on', () => {
  const urgencies = [90, 50, 25, 10, 0, -5].map((hours) => urgencyOf(hours * HOUR_MS, 100 * HOUR_MS))
  expect(urgencies).toEqual([0, 0, 0.5, 0.8, 1, 1])
})

it('tries again soon at first, then the sooner the less life is left', () => {
  expect([1, 2, 3].map((failures) => retryAfterMs(failures, 80 * HOUR_MS, 1))).toEqual([2_000, 4_000, 8_000])
  expect(retryAfterMs(17, 80 * HOUR_MS, 1)).toBe(5 * HOUR_MS)
  expect(retryAfterMs(17, 16 * HOUR_MS, 1)).toBe(HOUR_MS)
  expect(retryAfterMs(17, 16 * HOUR_MS, 0)).toBe(HOUR_MS / 2)
  expect(retryAfterMs(17, 1_000, 1)).toBe(60_000)
  expect(retryAfterMs(17, 0, 1)).toBe(600_000)
  expect(retryAfterMs(100, undefined, 1)).toBe(600_000)
})

it('waits for a budget over several of its openings, and no longer than the life that is left allows', () => {
  expect([0, 1].map((random) => waitMs(HOUR_MS / 4, 80 * HOUR_MS, random))).toEqual([
    (2.5 * HOUR_MS) / 8,
    2.5 * HOUR_MS,
  ])
  expect(waitMs(1_000, 80 * HOUR_MS, 1)).toBe(2.5 * HOUR_MS)
  expect(waitMs(HOUR_MS, 16 * HOUR_MS, 1)).toBe(HOUR_MS)
  expect(waitMs(HOUR_MS, undefined, 1)).toBe(60_000)
  expect(waitMs(-5, undefined, 1)).toBe(8_000)
})
