import { expect, it } from 'vitest'
import { ExpiringMap } from '../../../../src/router/resolve/validation/expiring-map.ts'
import { ManualClock } from '../../../support/manual-clock.ts'

it('forgets a value when its time is over, by the clock that never steps', async () => {
  const clock = new ManualClock()
  const map = new ExpiringMap<string>(10, clock)
  map.set('a', 'x', 5)
  clock.step(3_600_000)
  await clock.advance(4_999)
  expect(map.get('a')).toBe('x')
  await clock.advance(1)
  expect([map.get('a'), map.size]).toEqual([undefined, 0])
})

it('over its bound gives up what was used longest ago', () => {
  const map = new ExpiringMap<number>(3, new ManualClock())
  for (const [index, key] of ['a', 'b', 'c'].entries()) map.set(key, index, 60)
  map.get('a')
  map.set('d', 3, 60)
  expect(['a', 'b', 'c', 'd'].map((key) => map.get(key))).toEqual([0, undefined, 2, 3])
  map.set('a', 9, 60)
  expect([map.get('a'), map.size]).toEqual([9, 3])
})
