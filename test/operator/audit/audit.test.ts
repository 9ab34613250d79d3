import { beforeEach, describe, expect, it } from 'vitest'
import type { Stored, Table } from '../../../src/core/table.ts'
import { type AuditHeadRow, openAudit } from '../../../src/operator/audit/audit.ts'
import type { AuditEntry } from '../../../src/operator/audit/entry.ts'
import { type AuditVerdict, verifyAudit } from '../../../src/operator/audit/verify.ts'
import { memoryTable } from '../../../src/store/memory.ts'
import { ManualClock } from '../../support/manual-clock.ts'

const DAY_MS = 86_400_000
let clock: ManualClock
let entries: Table<AuditEntry>
let heads: Table<AuditHeadRow>
beforeEach(() => {
  clock = new ManualClock()
  entries = memoryTable()
  heads = memoryTable()
})

const instance = () => openAudit({ entries, heads, clock })
const revoked = (device: string) => ({ event: 'device-revoked', by: 'cli root (uid 0)', device }) as const
const all = (): Promise<readonly Stored<AuditEntry>[]> => entries.list({ limit: 10_000 })

async function* each(rows: readonly Stored<AuditEntry>[]): AsyncGenerator<Stored<AuditEntry>> {
  yield* rows
}
async function verify(): Promise<AuditVerdict> {
  return verifyAudit(each(await all()), { isWhole: true })
}
async function rewriteEntry(index: number, change: Partial<AuditEntry>): Promise<string> {
  const entry = (await all())[index]!
  await entries.replace(entry, { ...entry.row, ...change })
  return entry.id
}

describe('the audit log', () => {
  it('keeps what was decided, by whom and when, in order of time', async () => {
    const audit = instance()
    await audit.record({ ...revoked('a'), reason: 'keyCompromise' })
    clock.step(1000)
    await audit.record({ event: 'device-added', by: 'token x', devices: ['b', 'c'] })
    const rows = (await audit.list({ limit: 10 })).map(({ row }) => row)
    expect(rows).toMatchObject([
      { event: 'device-revoked', by: 'cli root (uid 0)', device: 'a', reason: 'keyCompromise', number: 1 },
      { event: 'device-added', by: 'token x', devices: ['b', 'c'], number: 2 },
    ])
    expect((await audit.list({ sinceMs: clock.nowMs(), limit: 10 })).map(({ row }) => row.event)).toEqual([
      'device-added',
    ])
  })

  it('is whole after many at once, a clock that steps back, and instances beside and after one another', async () => {
    const first = instance()
    await Promise.all(Array.from({ length: 20 }, (_, n) => first.record(revoked(`a${n}`))))
    clock.step(-5000)
    await first.record(revoked('b'))
    const second = instance()
    await second.record(revoked('c'))
    await first.record(revoked('d'))
    clock.step(10_000)
    await instance().record(revoked('e'))
    expect(await verify()).toEqual({ entries: 24, chains: 3, unanchored: 0 })
    // The third goes on from both others.
    expect(Object.keys((await all()).at(-1)!.row.continues!).length).toBe(2)
    expect((await heads.list({ limit: 10 })).length).toBe(1)
  })

  it('begins a new chain after a write of which nobody knows whether it was done', async () => {
    const audit = instance()
    await audit.record(revoked('a'))
    const { insert } = entries
    entries.insert = async (id, row) => {
      await insert(id, row)
      throw new Error('the connection went away')
    }
    await expect(audit.record(revoked('b'))).rejects.toThrow('went away')
    entries.insert = insert
    await audit.record(revoked('c'))
    expect(await verify()).toEqual({ entries: 3, chains: 2, unanchored: 0 })
  })
})

describe('verifying tells', () => {
  beforeEach(async () => {
    const first = instance()
    for (const device of ['a', 'b', 'c']) await first.record(revoked(device))
    clock.step(1000)
    await instance().record(revoked('d'))
  })

  it('nothing when nothing was changed', async () => {
    expect(await verify()).toEqual({ entries: 4, chains: 2, unanchored: 0 })
  })

  it('the entry after one that was changed', async () => {
    await rewriteEntry(1, { by: 'nobody' })
    expect((await verify()).broken).toEqual({
      id: (await all())[2]!.id,
      reason: 'it was not written after the entry that stands before it; one of both was changed',
    })
  })

  it('the entry after one that was taken away', async () => {
    await entries.remove((await all())[1]!)
    expect((await verify()).broken).toMatchObject({
      id: (await all())[1]!.id,
      reason: expect.stringContaining('entry 2'),
    })
  })

  it('a chain that lost its beginning', async () => {
    await entries.remove((await all())[0]!)
    expect((await verify()).broken).toMatchObject({
      id: (await all())[0]!.id,
      reason: expect.stringContaining('entry 1'),
    })
  })

  it('a chain that lost its end, once another goes on from it', async () => {
    await entries.remove((await all())[2]!)
    expect((await verify()).broken).toMatchObject({
      id: (await all())[2]!.id,
      reason: expect.stringContaining('goes on'),
    })
  })

  it('entries that rest on what is outside of a part', async () => {
    const part = (await all()).slice(1)
    expect(await verifyAudit(each(part), { isWhole: false })).toEqual({ entries: 3, chains: 2, unanchored: 1 })
  })
})

describe('trimming', () => {
  it('removes what is too old, on the record, and leaves a log that verifies', async () => {
    const idle = instance()
    const busy = instance()
    await idle.record(revoked('a'))
    await busy.record(revoked('b'))
    clock.step(10 * DAY_MS)
    await busy.record(revoked('c'))
    await idle.record(revoked('d'))
    clock.step(1)
    expect(await busy.trim(clock.nowMs() - DAY_MS)).toBe(true)
    expect((await all()).map(({ row }) => row.event)).toEqual(['device-revoked', 'device-revoked', 'log-trimmed'])
    expect((await verify()).broken).toBeUndefined()
    // The record of the first trimming is itself trimmed.
    clock.step(10 * DAY_MS)
    await idle.record(revoked('e'))
    clock.step(1)
    await instance().trim(clock.nowMs() - DAY_MS)
    expect((await verify()).broken).toBeUndefined()
    expect((await all()).map(({ row }) => row.device)).toEqual(['e', undefined])
  })

  it('does not excuse what was taken away later', async () => {
    const audit = instance()
    await audit.record(revoked('a'))
    clock.step(10 * DAY_MS)
    for (const device of ['b', 'c']) await audit.record(revoked(device))
    await audit.trim(clock.nowMs() - DAY_MS)
    await entries.remove((await all())[0]!)
    expect((await verify()).broken?.reason).toContain('entry 2')
  })

  it('writes nothing when nothing is old', async () => {
    const audit = instance()
    await audit.record(revoked('a'))
    expect(await audit.trim(clock.nowMs() - DAY_MS)).toBe(true)
    expect((await all()).length).toBe(1)
  })
})
