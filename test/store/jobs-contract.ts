import { expect, it } from 'vitest'
import type { Jobs } from '../../src/core/table.ts'

/** What every Jobs promises. `open` gives an empty one each time. Times are the test's own. */
export function jobsContract(open: () => Promise<Jobs>): void {
  const LEASE_MS = 100

  it('gives jobs that are due, earliest first', async () => {
    const jobs = await open()
    await jobs.put('late', 30)
    await jobs.put('early', 10)
    await jobs.put('middle', 20)
    expect(await jobs.take(25, LEASE_MS, 10)).toEqual(['early', 'middle'])
    expect(await jobs.take(30, LEASE_MS, 10)).toEqual(['late'])
  })

  it('gives no more than asked for', async () => {
    const jobs = await open()
    for (const name of ['a', 'b', 'c']) await jobs.put(name, 1)
    expect(await jobs.take(1, LEASE_MS, 2)).toHaveLength(2)
    expect(await jobs.take(1, LEASE_MS, 2)).toHaveLength(1)
  })

  it('gives a job again only once its lease is over', async () => {
    const jobs = await open()
    await jobs.put('a', 0)
    expect(await jobs.take(10, LEASE_MS, 1)).toEqual(['a'])
    expect(await jobs.take(109, LEASE_MS, 1)).toEqual([])
    expect(await jobs.take(110, LEASE_MS, 1)).toEqual(['a'])
  })

  it('keeps a job for a worker that asks for more time', async () => {
    const jobs = await open()
    await jobs.put('a', 0)
    await jobs.take(0, LEASE_MS, 1)
    await jobs.extend('a', 50, LEASE_MS)
    expect(await jobs.take(149, LEASE_MS, 1)).toEqual([])
    expect(await jobs.take(150, LEASE_MS, 1)).toEqual(['a'])
    await jobs.finish('a', 200)
    await jobs.extend('a', 899, LEASE_MS)
    expect(await jobs.take(200, LEASE_MS, 1)).toEqual(['a'])
  })

  it('tells how many are due that nobody has taken, and since when', async () => {
    const jobs = await open()
    expect(await jobs.backlog(100)).toEqual({ due: 0 })
    for (const [name, dueMs] of [
      ['a', 30],
      ['b', 10],
      ['c', 20],
      ['later', 101],
    ] as const)
      await jobs.put(name, dueMs)
    expect(await jobs.backlog(100)).toEqual({ due: 3, oldestMs: 10 })
    await jobs.take(100, LEASE_MS, 1)
    expect(await jobs.backlog(100)).toEqual({ due: 2, oldestMs: 20 })
  })

  it('ends a job that is finished', async () => {
    const jobs = await open()
    await jobs.put('a', 0)
    await jobs.take(0, LEASE_MS, 1)
    await jobs.finish('a')
    expect(await jobs.take(1000, LEASE_MS, 1)).toEqual([])
    await jobs.finish('a')
  })

  it('gives a finished job again when it is due next', async () => {
    const jobs = await open()
    await jobs.put('a', 0)
    await jobs.take(0, LEASE_MS, 1)
    await jobs.finish('a', 50.7)
    expect(await jobs.take(49, LEASE_MS, 1)).toEqual([])
    expect(await jobs.take(51, LEASE_MS, 1)).toEqual(['a'])
  })

  it('moves the due time of a job that is there', async () => {
    const jobs = await open()
    await jobs.put('a', 10)
    await jobs.put('a', 50)
    expect(await jobs.take(49, LEASE_MS, 1)).toEqual([])
    await jobs.put('a', 5)
    expect(await jobs.take(5, LEASE_MS, 10)).toEqual(['a'])
  })

  it('does not lose a job that was put again while a worker had it', async () => {
    const jobs = await open()
    await jobs.put('a', 0)
    await jobs.take(0, LEASE_MS, 1)
    await jobs.put('a', 20)
    expect(await jobs.take(30, LEASE_MS, 1)).toEqual([])
    await jobs.finish('a')
    expect(await jobs.take(30, LEASE_MS, 1)).toEqual(['a'])
    await jobs.put('a', 40)
    await jobs.finish('a', 500)
    expect(await jobs.take(40, LEASE_MS, 1)).toEqual(['a'])
    await jobs.finish('a')
    expect(await jobs.take(9999, LEASE_MS, 1)).toEqual([])
  })

  it('gives each job to one of eight simultaneous takers', async () => {
    const jobs = await open()
    const names = Array.from({ length: 40 }, (_, n) => `job-${n}`)
    await Promise.all(names.map((name) => jobs.put(name, 0)))
    const worker = async (): Promise<string[]> => {
      const mine: string[] = []
      for (;;) {
        const taken = await jobs.take(1, LEASE_MS, 3)
        if (taken.length === 0) return mine
        mine.push(...taken)
      }
    }
    const taken = (await Promise.all(Array.from({ length: 8 }, worker))).flat()
    // A taker that came upon rows others were just leasing may go home early; the next one finds the rest.
    expect([...taken, ...(await worker())].sort()).toEqual(names.sort())
  })
}
