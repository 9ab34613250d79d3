import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { keeping } from '../../src/operator/keeping.ts'
import { memoryTable } from '../../src/store/memory.ts'
import { keptInTable, type SecretRow } from '../../src/store/secrets.ts'

const asText = (text: string): string => text

async function directory(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'hearth-keeping-'))
  onTestFinished(() => rm(path, { recursive: true }))
  return path
}
const store = (isShared: boolean) => ({ isShared, keep: keptInTable(memoryTable<SecretRow>()) })

it('keeps files of its own where nobody else is', async () => {
  const state = await directory()
  await keeping(store(false), state)('ca', asText, async () => 'mine')
  expect(await readdir(state)).toEqual(['ca'])
})

it('shares through the store, and leaves no file behind', async () => {
  const shared = store(true)
  const [one, other] = [await directory(), await directory()]
  expect(await keeping(shared, one)('ca', asText, async () => 'of one')).toBe('of one')
  expect(await keeping(shared, other)('ca', asText, async () => 'of the other')).toBe('of one')
  expect(await readdir(one)).toEqual([])
})

it('takes the file of an instance from before over into the store, so that its root stays good', async () => {
  const shared = store(true)
  const [old, fresh] = [await directory(), await directory()]
  await writeFile(join(old, 'ca'), 'from before')
  expect(await keeping(shared, old)('ca', asText, async () => 'new')).toBe('from before')
  expect(await keeping(shared, fresh)('ca', asText, async () => 'new')).toBe('from before')
})
