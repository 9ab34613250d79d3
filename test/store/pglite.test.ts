import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openStore, type Store } from '../../src/store/postgres.ts'
import { jobsContract } from './jobs-contract.ts'
import { tableContract } from './table-contract.ts'

// Making the database takes seconds, so the tests share one; each has a table of its own in it.
const OPEN_MS_MAX = 60_000

let directory: string
let store: Store
let made = 0

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'hearth-store-'))
  store = await openStore(`pglite:${directory}`)
}, OPEN_MS_MAX)

afterAll(async () => {
  await store.close()
  await rm(directory, { recursive: true })
})

describe('rows in PGlite', () => tableContract(async () => store.table(`kind-${made++}`)))
describe('jobs in PGlite', () => jobsContract(async () => store.jobs(`queue-${made++}`)))

it('refuses a directory that another store has open', async () => {
  await expect(openStore(`pglite:${directory}`)).rejects.toMatchObject({
    code: 'STATE_LOCKED',
    facts: { pid: process.pid },
  })
})

it(
  'keeps rows and jobs over a restart',
  async () => {
    await store.table<{ n: number }>('kept').insert('one', { n: 1 })
    await store.jobs('kept').put('job', 5)
    await store.close()
    store = await openStore(`pglite:${directory}`)
    expect(await store.table('kept').find('one')).toMatchObject({ row: { n: 1 } })
    expect(await store.jobs('kept').take(5, 1, 9)).toEqual(['job'])
  },
  OPEN_MS_MAX,
)

it('keeps kinds and queues apart', async () => {
  await store.table<object>('kind-x').insert('same', { x: 1 })
  expect(await store.table('kind-y').find('same')).toBeUndefined()
  await store.jobs('queue-x').put('same', 0)
  expect(await store.jobs('queue-y').take(0, 1, 9)).toEqual([])
})
