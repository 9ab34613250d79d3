import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { type Clock, systemClock } from '../../src/core/clock.ts'
import { loadRouterConfig, type RouterConfig } from '../../src/router/config.ts'
import { keepCache } from '../../src/router/kept-cache.ts'
import { runRouter } from '../../src/router/main.ts'
import { parseSnapshot } from '../../src/router/resolve/cache/snapshot.ts'
import { recordingLog } from '../support/log.ts'
import { writeRouterSettings } from '../support/router-settings.ts'

/** A clock that knows who sleeps: nobody may, once all is over. */
function countingClock() {
  let sleeping = 0
  let slept = 0
  const sleep: Clock['sleep'] = (ms, signal) => {
    sleeping++
    slept++
    return systemClock.sleep(ms, signal).finally(() => sleeping--)
  }
  return { clock: { ...systemClock, sleep }, sleeping: () => sleeping, slept: () => slept }
}

/** A router of which the test owns signal and reload. */
async function running(cache = '{}') {
  const directory = await mkdtemp(join(tmpdir(), 'hearth-main-'))
  onTestFinished(() => rm(directory, { recursive: true }))
  const file = await writeRouterSettings(
    directory,
    `listen: { do53: ["127.0.0.1:0"], dot: [], doh: [] }
upstreams: [{ url: "udp://127.0.0.1:1" }]
cache: ${cache}
state: state
`,
  )
  const config = await loadRouterConfig(file)
  const stop = new AbortController()
  const { clock, sleeping, slept } = countingClock()
  const { log, lines } = recordingLog()
  let reload: ((load: () => Promise<RouterConfig>) => void) | undefined
  const over = runRouter(config, { clock, log, signal: stop.signal, onReload: (hears) => (reload = hears) })
  await vi.waitFor(() => expect(reload).toBeDefined())
  const says = (words: string): boolean => lines.some(({ msg }) => msg === words)
  return { config, directory, stop, over, sleeping, slept, says, reload: reload! }
}

describe('the end', () => {
  it('leaves nothing running, after a reload too', async () => {
    const { config, stop, over, sleeping, says, reload } = await running()
    reload(async () => ({ ...config, cache: { ...config.cache, prefetch: false } }))
    await vi.waitFor(() => expect(says('the new settings are in force')).toBe(true))
    stop.abort()
    await over
    expect(sleeping()).toBe(0)
  })

  it('saves the answers of the settings in force, soon after a reload too', async () => {
    const { config, directory, stop, over, says, reload } = await running('{ persist: true }')
    const next = { ...config, cache: { ...config.cache, prefetch: false } }
    reload(async () => next)
    await vi.waitFor(() => expect(says('the new settings are in force')).toBe(true))
    stop.abort()
    await over
    const saved = parseSnapshot(await readFile(join(directory, 'state/cache.bin')))!
    const { clock } = countingClock()
    const { settings } = await keepCache(next, { clock, log: recordingLog().log, former: undefined })
    expect(Buffer.from(saved.settings).equals(settings)).toBe(true)
  })

  it('that comes during a reload leaves nothing running', async () => {
    const { config, stop, over, sleeping, slept, reload } = await running()
    let give: (config: RouterConfig) => void = () => {}
    reload(() => new Promise((resolve) => (give = resolve)))
    stop.abort()
    await over
    const before = slept()
    give(config)
    await vi.waitFor(() => expect(slept()).toBeGreaterThan(before))
    await vi.waitFor(() => expect(sleeping()).toBe(0))
  })
})
