import { mkdtemp, rename, rm, unlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { nameToWire } from '../../../../src/dns/name.ts'
import { findRule } from '../../../../src/router/resolve/block/find-rule.ts'
import { BlockLists } from '../../../../src/router/resolve/block/lists.ts'
import type { ListSource, Loaded } from '../../../../src/router/resolve/block/load.ts'
import { recordingLog } from '../../../support/log.ts'
import { ManualClock } from '../../../support/manual-clock.ts'

const LOOK_MS = 10_000
const ALLOWED_BIT = 1 << 30

async function scene(files: Readonly<Record<string, string>>) {
  const directory = await mkdtemp(join(tmpdir(), 'hearth-lists-'))
  onTestFinished(() => rm(directory, { recursive: true }))
  const path = (name: string): string => join(directory, name)
  for (const [name, content] of Object.entries(files)) await writeFile(path(name), content)
  const clock = new ManualClock()
  const { log, lines } = recordingLog()
  const sources = ['ads', 'adult'].map(
    (id, index): ListSource => ({ id, path: path(id), use: 'block', bit: 1 << index }),
  )
  const allow = { names: [] as string[], bit: ALLOWED_BIT }
  const open = (former?: Loaded, use = { sources, allow }): BlockLists => new BlockLists(use, { clock, log, former })
  const lists = open()
  /** As a download tool does: written beside, then moved over. */
  const put = async (name: string, content: string): Promise<void> => {
    await writeFile(path('new'), content)
    await utimes(path('new'), new Date(), new Date(++putAtMs))
    await rename(path('new'), path(name))
  }
  return { path, put, clock, lines, lists, open, sources, allow }
}
let putAtMs = 1_000_000_000_000

const isBlocked = (lists: BlockLists, name: string, holding = 3): boolean =>
  lists.rules.blockedBy(nameToWire(name)!, 0, holding, ALLOWED_BIT) !== 0

/** Lets the watcher look `count` times; the reading of files takes real time. */
async function looks(clock: ManualClock, lists: BlockLists, count: number, until?: () => boolean): Promise<void> {
  for (let look = 0; look < count; look++) {
    while (clock.sleeping === 0) await new Promise((resolve) => setTimeout(resolve, 1))
    await clock.advance(LOOK_MS)
  }
  for (let turn = 0; turn < 500 && until && !until(); turn++) await new Promise((resolve) => setTimeout(resolve, 2))
  expect(lists).toBeDefined()
}

function running(lists: BlockLists): void {
  const stopping = new AbortController()
  const run = lists.run(stopping.signal).catch(() => {})
  onTestFinished(async () => {
    stopping.abort()
    await run
  })
}

describe('loading', () => {
  it('blocks nothing before, everything after, and says so once', async () => {
    const { lists, lines } = await scene({ ads: 'ads.example\n', adult: '0.0.0.0 adult.example\n' })
    expect(isBlocked(lists, 'ads.example')).toBe(false)
    await lists.load()
    expect(['ads.example', 'adult.example', 'a.adult.example'].map((name) => isBlocked(lists, name))).toEqual([
      true,
      true,
      false,
    ])
    expect(lines).toMatchObject([{ level: 'info', msg: 'block lists are loaded', names: 2, exceptions: 0 }])
  })

  it('an allow file turns every rule into an exception for everybody; names of the settings too', async () => {
    const { open, sources, path } = await scene({
      ads: 'ads.example\nx.example\ny.example\nz.example\n',
      adult: '',
      good: 'ads.example\n@@||x.example^\n',
    })
    const good: ListSource = { id: 'good', path: path('good'), use: 'allow', bit: 1 << 24 }
    const allow = { names: ['y.example'], bit: ALLOWED_BIT }
    const lists = open(undefined, { sources: [...sources, good], allow })
    await lists.load()
    const verdict = (name: string) => lists.rules.blockedBy(nameToWire(name)!, 0, 1, ALLOWED_BIT | good.bit)
    expect(['ads.example', 'x.example', 'www.y.example', 'z.example'].map(verdict)).toEqual([0, 0, 0, 1])
  })

  it('tells how many names a list has and what it passed over', async () => {
    const { lists, path } = await scene({ ads: 'a.example\nb.example\n||c^$popup\nbücher.example\n', adult: '' })
    await lists.load()
    expect(lists.status()).toEqual([
      { name: 'ads', file: path('ads'), use: 'block', names: 2, skippedLines: 2 },
      { name: 'adult', file: path('adult'), use: 'block', names: 0, skippedLines: 0 },
    ])
  })

  it('a missing list is one warning; the others hold', async () => {
    const { lists, lines, path } = await scene({ ads: 'ads.example\n' })
    await lists.load()
    await lists.load()
    expect(isBlocked(lists, 'ads.example')).toBe(true)
    expect(lines.filter(({ level }) => level === 'warn')).toMatchObject([
      { list: 'adult', code: 'LIST_UNREADABLE', reason: expect.stringContaining('adult cannot be read') },
    ])
    expect(lists.status()[1]?.problem).toBe(`${path('adult')} cannot be read`)
  })
})

describe('a file that changes', () => {
  it('is read when it is the same at two looks', async () => {
    const { lists, clock, put } = await scene({ ads: 'old.example\n', adult: 'adult.example\n' })
    await lists.load()
    running(lists)
    await looks(clock, lists, 1)
    await put('ads', 'new.example\n')
    await looks(clock, lists, 1)
    expect(isBlocked(lists, 'new.example')).toBe(false)
    await looks(clock, lists, 1, () => isBlocked(lists, 'new.example'))
    expect(['old.example', 'new.example', 'adult.example'].map((name) => isBlocked(lists, name))).toEqual([
      false,
      true,
      true,
    ])
  })

  it('may appear later', async () => {
    const { lists, clock, put } = await scene({ adult: '' })
    await lists.load()
    running(lists)
    await looks(clock, lists, 1)
    await put('ads', 'late.example\n')
    await looks(clock, lists, 2, () => isBlocked(lists, 'late.example'))
    expect(isBlocked(lists, 'late.example')).toBe(true)
    expect(lists.status()[0]?.problem).toBeUndefined()
  })

  it.each([
    ['disappears', undefined, 'cannot be read'],
    ['is no list any more', '<html>\n<body>\nSign in\n', 'lines that are no rules'],
  ])('and %s leaves the old rules in force, exceptions too, with one warning', async (_, content, problem) => {
    const { lists, clock, put, path, lines } = await scene({
      ads: 'ads.example\n@@||good.ads.example^\n',
      adult: 'adult.example\n',
    })
    await lists.load()
    running(lists)
    await looks(clock, lists, 1)
    if (content === undefined) await unlink(path('ads'))
    else await put('ads', content)
    await looks(clock, lists, 4, () => lists.status()[0]?.problem !== undefined)
    expect(lists.status()[0]).toMatchObject({ names: 2, problem: expect.stringContaining(problem) })
    expect(['ads.example', 'good.ads.example', 'adult.example'].map((name) => isBlocked(lists, name))).toEqual([
      true,
      false,
      true,
    ])
    expect(lines.filter(({ level }) => level === 'warn')).toHaveLength(1)
  })
})

describe('a successor', () => {
  it('has the rules at once, whatever place a list has now, and reads only what has changed', async () => {
    const { lists, open, sources, allow, put } = await scene({ ads: 'ads.example\n', adult: 'adult.example\n' })
    await lists.load()
    await put('ads', 'new.example\n')
    const [ads, adult] = sources as [ListSource, ListSource]
    const successor = open(lists.loaded, {
      allow,
      sources: [
        { ...adult, bit: 1 },
        { ...ads, bit: 2 },
      ],
    })
    expect(isBlocked(successor, 'ads.example')).toBe(true)
    await successor.load()
    expect(isBlocked(successor, 'ads.example')).toBe(false)
    expect(isBlocked(successor, 'new.example', 2)).toBe(true)
    expect([isBlocked(successor, 'adult.example', 1), isBlocked(successor, 'adult.example', 2)]).toEqual([true, false])
  })

  it('forgets lists that are no longer named', async () => {
    const { lists, open, sources, allow } = await scene({ ads: 'ads.example\n', adult: 'adult.example\n' })
    await lists.load()
    const successor = open(lists.loaded, { allow, sources: sources.slice(1) })
    await successor.load()
    expect([isBlocked(successor, 'ads.example'), isBlocked(successor, 'adult.example')]).toEqual([false, true])
  })
})

it('findRule names the line and the rule', async () => {
  const { path } = await scene({
    ads: '# x\n0.0.0.0 www.ads.example\n@@||a.example^\n||ADS.example^\nads.example\n',
    adult: '',
  })
  const find = (name: string, isException = false) => findRule(path('ads'), name, (found) => found === isException)
  expect(await find('x.ads.example')).toEqual({ line: 4, name: 'ads.example', isExact: false })
  expect(await find('WWW.ads.example')).toEqual({ line: 2, name: 'www.ads.example', isExact: true })
  expect(await find('b.a.example', true)).toEqual({ line: 3, name: 'a.example', isExact: false })
  expect(await find('a.example')).toBeUndefined()
})
