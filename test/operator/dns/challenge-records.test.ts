import { describe, expect, it } from 'vitest'
import type { Table } from '../../../src/core/table.ts'
import { type ChallengeRow, challengeRecords } from '../../../src/operator/dns/challenge-records.ts'
import { memoryTable } from '../../../src/store/memory.ts'
import { ManualClock } from '../../support/manual-clock.ts'

const OWNER = 'cpe-1.acme.example'
const HOUR_MS = 3_600_000
const signal = new AbortController().signal

function createWorld(table: Table<ChallengeRow> = memoryTable<ChallengeRow>()) {
  const clock = new ManualClock()
  return { clock, table, records: challengeRecords(table, clock) }
}

describe('challenge records', () => {
  it('are found in any letter case, by every instance, until they are removed', async () => {
    const { clock, table, records } = createWorld()
    const other = challengeRecords(table, clock)
    await records.present(OWNER, 'one', signal)
    await other.present(OWNER, 'two', signal)
    expect(await records.find(OWNER.toUpperCase())).toEqual(['one', 'two'])
    await other.cleanup(OWNER, 'one')
    expect(await records.find(OWNER)).toEqual(['two'])
    await records.cleanup(OWNER, 'two')
    expect(await other.find(OWNER)).toEqual([])
    expect(await table.list({ limit: 10 })).toEqual([])
  })

  it('may be set and removed twice', async () => {
    const { records } = createWorld()
    await records.present(OWNER, 'one', signal)
    await records.present(OWNER, 'one', signal)
    expect(await records.find(OWNER)).toEqual(['one'])
    await records.cleanup(OWNER, 'one')
    await records.cleanup(OWNER, 'one')
    expect(await records.find(OWNER)).toEqual([])
  })

  it('keep all values when many instances write at once', async () => {
    const { records } = createWorld()
    const values = Array.from({ length: 10 }, (_, index) => `value-${index}`)
    await Promise.all(values.map((value) => records.present(OWNER, value, signal)))
    expect((await records.find(OWNER)).toSorted()).toEqual(values)
  })

  it('are at most sixteen for a name, the newest ones', async () => {
    const { records } = createWorld()
    for (let index = 0; index < 20; index++) await records.present(OWNER, `value-${index}`, signal)
    const found = await records.find(OWNER)
    expect(found).toHaveLength(16)
    expect(found.at(0)).toBe('value-4')
    expect(found.at(-1)).toBe('value-19')
  })

  it('end after an hour, and the sweep removes them from the table', async () => {
    const { clock, table, records } = createWorld()
    await records.present(OWNER, 'old', signal)
    for (let index = 0; index < 250; index++) await records.present(`cpe-old-${index}.acme.example`, 'old', signal)
    await clock.advance(HOUR_MS / 2)
    await records.present(OWNER, 'new', signal)
    await clock.advance(HOUR_MS / 2)
    expect(await records.find(OWNER)).toEqual(['new'])
    await records.sweep()
    expect(await table.list({ limit: 1000 })).toMatchObject([{ row: { values: [{ value: 'new' }] } }])
  })

  it('make the names above them exist, and only these', async () => {
    const { records } = createWorld()
    await records.present('_acme-challenge.cpe-1.cpe.example', 'one', signal)
    for (const name of ['cpe-1.cpe.example', 'CPE.example', 'example'])
      expect(await records.hasBelow(name), name).toBe(true)
    for (const name of [
      '_acme-challenge.cpe-1.cpe.example',
      'cpe.cpe.example',
      'cpe-1.cpe',
      'cpe-10.cpe.example',
      'pe.example',
    ])
      expect(await records.hasBelow(name), name).toBe(false)
  })

  it('say so when others change the row all the time', async () => {
    const { records, table } = createWorld()
    const crowded = challengeRecords({ ...table, insert: async () => undefined }, new ManualClock())
    await expect(crowded.present(OWNER, 'one', signal)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    expect(await records.find(OWNER)).toEqual([])
  })
})
