import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { EXTENDED_ERROR, RCODE, TYPE } from '../../../../src/dns/codes.ts'
import { discardCache, loadCache, saveCache } from '../../../../src/router/resolve/cache/saved.ts'
import { recordingLog } from '../../../support/log.ts'
import { ManualClock } from '../../../support/manual-clock.ts'
import { queryWire } from '../../../support/query.ts'
import { a, cacheOver, soa, upstreamOf } from './scene.ts'

const STARTED_MS = Date.UTC(2026, 10, 24)
const BUDGET = 1 << 20
const SETTINGS = new Uint8Array(32).fill(7)

async function directory(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'hearth-cache-'))
  onTestFinished(() => rm(path, { recursive: true }))
  return path
}

/** One life of the router: what it finds at start, and `stop`. */
async function life(
  path: string,
  wallMs: number,
  { bytesMax = BUDGET, serveStaleMs = 86_400_000, fails = false, settings = SETTINGS } = {},
) {
  const clock = new ManualClock(wallMs)
  const { log, lines } = recordingLog()
  const upstream = upstreamOf((view) => (fails ? { rcode: RCODE.SERVFAIL } : { answers: [a(view.questionName, 300)] }))
  const scene = cacheOver(upstream, { clock, serveStaleMs })
  const options = { path: join(path, 'cache.bin'), bytesMax, settings, clock, log }
  await loadCache(scene.cache, options)
  return { ...scene, upstream, lines, options, stop: () => saveCache(scene.cache, options) }
}

describe('answers over a restart', () => {
  it('are older by the time between, DO and scope included', async () => {
    const path = await directory()
    const first = await life(path, STARTED_MS)
    const edns = { udpSize: 1232, version: 0, dnssecOk: true, options: [] }
    await first.ask(queryWire('a.example'))
    await first.ask(queryWire('do.example', TYPE.A, { edns }), { scope: 'guests' })
    await first.clock.advance(50_000)
    await first.stop()
    expect((await stat(join(path, 'cache.bin'))).mode & 0o777).toBe(0o600)

    const second = await life(path, STARTED_MS + 150_000)
    expect(await second.ask(queryWire('a.example'))).toMatchObject({
      from: 'cache',
      freshS: 150,
      answers: [{ ttl: 150 }],
    })
    expect(await second.ask(queryWire('do.example', TYPE.A, { edns }), { scope: 'guests' })).toMatchObject({
      from: 'cache',
    })
    expect((await second.ask(queryWire('do.example', TYPE.A, { edns }))).from).toBe('up')
  })

  it('that ended meanwhile are stale, and given while nothing better comes', async () => {
    const path = await directory()
    const first = await life(path, STARTED_MS)
    await first.ask(queryWire('a.example'))
    await first.stop()
    const second = await life(path, STARTED_MS + 3_600_000, { fails: true })
    expect(await second.ask(queryWire('a.example'))).toMatchObject({
      freshS: 30,
      extendedErrors: [{ code: EXTENDED_ERROR.STALE_ANSWER }],
    })
  })

  it('are stale when the clock has not been set yet', async () => {
    const path = await directory()
    const first = await life(path, STARTED_MS)
    await first.ask(queryWire('a.example'))
    await first.stop()
    const second = await life(path, Date.UTC(2020, 0, 1), { fails: true })
    expect((await second.ask(queryWire('a.example'))).freshS).toBe(30)
  })

  it('that are of no use any more are left behind', async () => {
    const path = await directory()
    const first = await life(path, STARTED_MS)
    await first.ask(queryWire('a.example'))
    await first.stop()
    expect((await life(path, STARTED_MS + 7 * 86_400_000)).cache.status().entries).toBe(0)
    expect((await life(path, STARTED_MS + 300_000, { serveStaleMs: 0 })).cache.status().entries).toBe(0)
  })

  it('are not taken over when the settings that made them have changed', async () => {
    const path = await directory()
    const first = await life(path, STARTED_MS)
    await first.ask(queryWire('a.example'))
    await first.stop()
    const second = await life(path, STARTED_MS, { settings: new Uint8Array(32) })
    expect(second.cache.status().entries).toBe(0)
    expect(second.lines).toMatchObject([{ level: 'info' }])
  })

  it('are the most recently used within the budget', async () => {
    const path = await directory()
    const first = await life(path, STARTED_MS, { bytesMax: 1_000 })
    for (let index = 0; index < 50; index++) {
      await first.ask(queryWire(`host-${index}.example`))
      await first.clock.advance(1_000)
    }
    await first.ask(queryWire('host-3.example'))
    await first.stop()
    expect((await stat(join(path, 'cache.bin'))).size).toBeLessThanOrEqual(1_000)
    const second = await life(path, STARTED_MS + 60_000, { bytesMax: 1_000 })
    for (const name of ['host-3.example', 'host-49.example'])
      expect((await second.ask(queryWire(name))).from).toBe('cache')
    expect((await second.ask(queryWire('host-0.example'))).from).toBe('up')
  })

  it('keep denying what is below a name', async () => {
    const path = await directory()
    const clock = new ManualClock(STARTED_MS)
    const denying = upstreamOf({ rcode: RCODE.NXDOMAIN, authorities: [soa(300, 300)] })
    const scene = cacheOver(denying, { clock, nxdomainCut: true })
    const { log } = recordingLog()
    const options = { path: join(path, 'cache.bin'), bytesMax: BUDGET, settings: SETTINGS, clock, log }
    await scene.ask(queryWire('gone.example'))
    await saveCache(scene.cache, options)
    const next = cacheOver(denying, { clock, nxdomainCut: true })
    await loadCache(next.cache, options)
    expect(await next.ask(queryWire('a.gone.example'))).toMatchObject({ rcode: RCODE.NXDOMAIN, from: 'cache' })
  })
})

describe('the file', () => {
  it('is written at stop alone, as a whole', async () => {
    const path = await directory()
    const { ask, stop } = await life(path, STARTED_MS)
    await ask(queryWire('a.example'))
    expect(await readdir(path)).toEqual([])
    await stop()
    expect(await readdir(path)).toEqual(['cache.bin'])
  })

  it('is removed with one line in the log when it is damaged or over the budget', async () => {
    const path = await directory()
    const file = join(path, 'cache.bin')
    const first = await life(path, STARTED_MS)
    await first.ask(queryWire('a.example'))
    await first.stop()
    const good = await readFile(file)
    for (const bad of [Buffer.from('damaged'), good.subarray(0, -1), Buffer.alloc(BUDGET + 1)]) {
      await writeFile(file, bad)
      const { cache, lines } = await life(path, STARTED_MS)
      expect(cache.status().entries).toBe(0)
      expect(lines.length).toBe(1)
      expect(lines[0]).toMatchObject({ level: 'warn', reason: expect.stringContaining(file) })
      expect(await readdir(path)).toEqual([])
    }
  })

  it('does not stay when nothing is to be saved any more', async () => {
    const path = await directory()
    const file = join(path, 'cache.bin')
    await discardCache(file)
    await writeFile(file, 'x')
    await discardCache(file)
    expect(await readdir(path)).toEqual([])
  })
})
