import { expect, it } from 'vitest'
import { createLog } from '../../src/core/log.ts'
import type { Publisher } from '../../src/operator/publisher.ts'
import { createWorker } from '../../src/operator/worker.ts'
import { memoryJobs } from '../../src/store/memory.ts'
import { ManualClock } from '../support/manual-clock.ts'

function createWorld() {
  const clock = new ManualClock()
  const jobs = memoryJobs()
  const world = { clock, jobs, begun: 0, aborted: 0, finish: () => {} }
  const publisher = {
    work: (_job: string, signal: AbortSignal) => {
      world.begun++
      return new Promise<void>((resolve) => {
        world.finish = resolve
        signal.addEventListener('abort', () => {
          world.aborted++
          resolve()
        })
      })
    },
  } as unknown as Publisher
  const stop = new AbortController()
  const running = createWorker({ jobs, publisher, clock, log: createLog('silent') }).run(stop.signal)
  const end = async (): Promise<void> => {
    stop.abort()
    world.finish()
    await running
  }
  return Object.assign(world, { end })
}

it('keeps the lease of a step for as long as it takes', async () => {
  const world = createWorld()
  await world.jobs.put('issue/1', world.clock.nowMs())
  await world.clock.advance(120_000)
  expect([world.begun, world.aborted]).toEqual([1, 0])
  await world.end()
})

it('ends a step whose lease it could not keep: another worker may have begun with it', async () => {
  const world = createWorld()
  world.jobs.extend = () => Promise.reject(new Error('the store is away'))
  await world.jobs.put('issue/1', world.clock.nowMs())
  await world.clock.advance(2_000)
  expect([world.begun, world.aborted]).toEqual([1, 0])
  await world.clock.advance(20_000)
  expect(world.aborted).toBe(1)
  await world.end()
})
