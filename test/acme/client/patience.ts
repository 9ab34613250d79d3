import { type ManualClock, settle } from '../../support/manual-clock.ts'

/**
 * Lets work on a manual clock go on to its end: whenever it waits between two looks (its timeout being the other
 * sleeper), a second passes.
 */
export async function patiently<T>(clock: ManualClock, work: Promise<T>): Promise<T> {
  const state = { isOver: false }
  const over = (): void => void (state.isOver = true)
  work.then(over, over)
  while (!state.isOver) {
    await settle()
    if (clock.sleeping > 1) await clock.advance(1000)
  }
  return work
}
