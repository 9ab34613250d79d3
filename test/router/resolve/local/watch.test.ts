import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { systemClock } from '../../../../src/core/clock.ts'
import { LOOK_MS, watchPaths } from '../../../../src/router/resolve/local/watch.ts'
import { ManualClock, settle } from '../../../support/manual-clock.ts'

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'hearth-watch-'))
  onTestFinished(() => rm(directory, { recursive: true }))
})

function watching(paths: readonly string[], clock = systemClock) {
  const stopping = new AbortController()
  const seen = { looks: 0 }
  const ended = watchPaths(paths, async () => void seen.looks++, { clock, signal: stopping.signal })
  const stop = async (): Promise<void> => {
    stopping.abort()
    await ended
  }
  onTestFinished(stop)
  return { seen, stop }
}

describe('the system tells, long before we would look', () => {
  it('that a file was written or replaced', async () => {
    const path = join(directory, 'leases')
    const { seen } = watching([path])
    await writeFile(path, 'a')
    await vi.waitFor(() => expect(seen.looks).toBe(1), { timeout: LOOK_MS - 1_000 })
    await writeFile(join(directory, 'other'), 'b')
    await rename(join(directory, 'other'), path)
    await vi.waitFor(() => expect(seen.looks).toBe(2), { timeout: LOOK_MS - 1_000 })
  })

  it('that something in a directory of hosts files changed', async () => {
    const folder = join(directory, 'hosts')
    await mkdir(folder)
    const { seen } = watching([folder])
    await writeFile(join(folder, 'odhcpd.hosts.lan'), 'a')
    await vi.waitFor(() => expect(seen.looks).toBe(1), { timeout: LOOK_MS - 1_000 })
  })
})

describe('where the system tells nothing', () => {
  it('we look every few seconds, and end at once', async () => {
    const clock = new ManualClock()
    const { seen, stop } = watching([join(directory, 'missing', 'leases')], clock)
    for (let looks = 0; looks < 3; looks++) {
      await settle()
      expect(seen.looks).toBe(looks)
      await clock.advance(LOOK_MS)
    }
    await stop()
    await clock.advance(10 * LOOK_MS)
    expect(seen.looks).toBe(3)
    expect(clock.sleeping).toBe(0)
  })
})
