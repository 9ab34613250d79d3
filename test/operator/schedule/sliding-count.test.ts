import { array, assert, integer, property } from 'fast-check'
import { expect, it } from 'vitest'
import { SlidingCount } from '../../../src/operator/schedule/sliding-count.ts'

const WINDOW_MS = 10_800_000

it('never counts too few, at most one slice too many, and survives being a row', () => {
  assert(
    property(array(integer({ min: 0, max: 2_000_000 }), { maxLength: 200 }), (gaps) => {
      let count = new SlidingCount(WINDOW_MS)
      let nowMs = 1_800_000_000_000
      const times: number[] = []
      for (const gap of gaps) {
        nowMs += gap
        count.add(nowMs)
        times.push(nowMs)
        count = new SlidingCount(WINDOW_MS, JSON.parse(JSON.stringify(count.toRow())))
        const exact = times.filter((ms) => ms > nowMs - WINDOW_MS).length
        const withSlice = times.filter((ms) => ms > nowMs - WINDOW_MS - WINDOW_MS / 24).length
        expect(count.used(nowMs)).toBeGreaterThanOrEqual(exact)
        expect(count.used(nowMs)).toBeLessThanOrEqual(withSlice)
      }
      if (times.length > 0) expect(count.used(count.nextFreeMs(nowMs))).toBeLessThan(count.used(nowMs) + times.length)
      expect(count.used(nowMs + 2 * WINDOW_MS)).toBe(0)
    }),
    { seed: 1, numRuns: 200 },
  )
})

it('counts into the newest slice when the clock steps back', () => {
  const count = new SlidingCount(WINDOW_MS)
  count.add(1_800_000_000_000)
  count.add(1_700_000_000_000)
  expect(count.used(1_800_000_000_000)).toBe(2)
})
