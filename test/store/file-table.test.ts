import { existsSync } from 'node:fs'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openFileTable } from '../../src/store/file-table.ts'
import { tableContract } from './table-contract.ts'

let home: string
let made = 0
const directory = (): string => join(home, String(made++))

beforeAll(async () => {
  // Thousands of files, each one synced: in memory where there is such a file system, because a busy disk takes a minute.
  const base = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()
  home = await mkdtemp(join(base, 'hearth-rows-'))
})
afterAll(() => rm(home, { recursive: true }))

describe('rows in files', () => tableContract(() => openFileTable(directory())))

it('finds its rows and versions again', async () => {
  const at = directory()
  const table = await openFileTable<{ n: number }>(at)
  const first = await table.insert('../a', { n: 1 })
  const second = await table.replace(first!, { n: 2 })
  await table.remove((await table.insert('b', { n: 3 }))!)
  const again = await openFileTable<{ n: number }>(at)
  expect(await again.list({ limit: 9 })).toEqual([second])
  expect(await again.replace(first!, { n: 9 })).toBeUndefined()
  expect(await readdir(at)).toHaveLength(1)
})

it.each(['', '{', '{"id":5,"version":1,"row":{}}'])('names a damaged file: %j', async (text) => {
  const at = directory()
  await openFileTable(at)
  await writeFile(join(at, 'x.json'), text)
  await expect(openFileTable(at)).rejects.toMatchObject({ code: 'STATE_DAMAGED', facts: { path: join(at, 'x.json') } })
})
