import { mkdir, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { createClockTrust } from '../../src/router/clock-trust.ts'
import { ManualClock } from '../support/manual-clock.ts'

const BUILT_MS = Date.UTC(2026, 10, 24)
const DAY_MS = 86_400_000

async function stateDirectory(files: Readonly<Record<string, number>>): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'hearth-clock-'))
  onTestFinished(() => rm(directory, { recursive: true }))
  for (const [name, writtenMs] of Object.entries(files)) {
    await writeFile(join(directory, name), '')
    await utimes(join(directory, name), writtenMs / 1000, writtenMs / 1000)
  }
  return directory
}

it('a clock before the build is wrong, and right once it is set', async () => {
  const clock = new ManualClock(0)
  const trust = await createClockTrust(clock, '/nowhere', BUILT_MS)
  expect(trust.isTrusted()).toBe(false)
  clock.step(BUILT_MS + 1)
  expect(trust.isTrusted()).toBe(true)
})

it('the state that was written last is later than the build', async () => {
  const state = await stateDirectory({ 'identity.json': BUILT_MS + 9 * DAY_MS, 'account.json': BUILT_MS + DAY_MS })
  const clock = new ManualClock(BUILT_MS + 5 * DAY_MS)
  const trust = await createClockTrust(clock, state, BUILT_MS)
  expect(trust).toMatchObject({ floorMs: BUILT_MS + 9 * DAY_MS })
  expect(trust.isTrusted()).toBe(false)
})

it('what is no file says nothing: the lock is made anew at every start', async () => {
  const state = await stateDirectory({})
  await mkdir(join(state, '.lock'))
  expect((await createClockTrust(new ManualClock(BUILT_MS), state, BUILT_MS)).isTrusted()).toBe(true)
})
