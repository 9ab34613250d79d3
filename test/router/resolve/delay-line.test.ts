import { expect, it } from 'vitest'
import { DelayLine } from '../../../src/router/resolve/delay-line.ts'
import { ManualClock } from '../../support/manual-clock.ts'

it('calls each after the delay, in order, with one sleeper for all', async () => {
  const clock = new ManualClock()
  const line = new DelayLine(clock, 1_000)
  const fired: string[] = []
  line.add(() => fired.push(`a ${clock.monotonicMs()}`))
  await clock.advance(300)
  line.add(() => fired.push(`b ${clock.monotonicMs()}`))
  expect(clock.sleeping).toBe(1)
  await clock.advance(2_000)
  expect(fired).toEqual(['a 1000', 'b 1300'])
  expect(clock.sleeping).toBe(0)
})

it('what was removed is not called, and keeps nobody else waiting', async () => {
  const clock = new ManualClock()
  const line = new DelayLine(clock, 1_000)
  const fired: string[] = []
  const first = line.add(() => fired.push('first'))
  await clock.advance(500)
  line.remove(first)
  line.add(() => fired.push('second'))
  await clock.advance(999)
  expect(fired).toEqual([])
  await clock.advance(1)
  expect(fired).toEqual(['second'])
})

it('may be added to by what it calls', async () => {
  const clock = new ManualClock()
  const line = new DelayLine(clock, 100)
  let count = 0
  const again = (): void => {
    if (++count < 3) line.add(again)
  }
  line.add(again)
  await clock.advance(1_000)
  expect(count).toBe(3)
})
