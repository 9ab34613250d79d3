import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { systemClock } from '../../src/core/clock.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

it('wakes after the time asked for', async () => {
  let isAwake = false
  const sleeping = systemClock.sleep(1000).then(() => (isAwake = true))
  await vi.advanceTimersByTimeAsync(999)
  expect(isAwake).toBe(false)
  await vi.advanceTimersByTimeAsync(1)
  expect(await sleeping).toBe(true)
})

it('sleeps longer than a timer can', async () => {
  const days = 60 * 86_400_000
  let isAwake = false
  const sleeping = systemClock.sleep(days).then(() => (isAwake = true))
  await vi.advanceTimersByTimeAsync(days - 1)
  expect(isAwake).toBe(false)
  await vi.advanceTimersByTimeAsync(1)
  expect(await sleeping).toBe(true)
})

it('rejects with the reason when aborted, before or during, and leaves no timer', async () => {
  const reason = new Error('stop')
  await expect(systemClock.sleep(10, AbortSignal.abort(reason))).rejects.toBe(reason)
  const aborting = new AbortController()
  const sleeping = expect(systemClock.sleep(10, aborting.signal)).rejects.toBe(reason)
  aborting.abort(reason)
  await sleeping
  expect(vi.getTimerCount()).toBe(0)
})

it('does not sleep at all for nothing', async () => {
  await systemClock.sleep(0)
  await systemClock.sleep(-5)
})

it('tells wall time and a monotonic one', () => {
  expect(systemClock.nowMs()).toBe(Date.now())
  expect(systemClock.monotonicMs()).toBeLessThanOrEqual(systemClock.monotonicMs())
})
