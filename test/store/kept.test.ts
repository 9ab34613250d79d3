import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { keptIn } from '../../src/store/kept.ts'

const directory = await mkdtemp(join(tmpdir(), 'hearth-kept-'))
afterAll(() => rm(directory, { recursive: true }))
const asItIs = (text: string): string => text

it('those who come first at the same time get the same thing, and it stays', async () => {
  const keep = keptIn(directory)
  let made = 0
  const make = async (): Promise<string> => `number ${++made}`
  const all = await Promise.all([1, 2, 3].map(() => keep('key', asItIs, make)))
  expect(all).toEqual(['number 1', 'number 1', 'number 1'])
  expect(await keep('key', asItIs, make)).toBe('number 1')
  expect(await readFile(join(directory, 'key'), 'utf8')).toBe('number 1')
})

it('what could not be made is tried again', async () => {
  const keep = keptIn(directory)
  const failing = keep('other', asItIs, () => Promise.reject(new Error('no entropy')))
  await expect(failing).rejects.toThrow('no entropy')
  expect(await keep('other', asItIs, async () => 'made')).toBe('made')
})
