import { expect, it } from 'vitest'
import { memoryTable } from '../../src/store/memory.ts'
import { keptInTable, type SecretRow, STORE_KEY_BYTES, secretIn } from '../../src/store/secrets.ts'

const KEY = Buffer.alloc(STORE_KEY_BYTES, 7)
const asText = (text: string): string => text
const unasked = async (): Promise<string> => expect.unreachable('made again')

it('makes a secret once; everybody else reads that one', async () => {
  const table = memoryTable<SecretRow>()
  expect(await keptInTable(table)('ca', asText, async () => 'made')).toBe('made')
  expect(await keptInTable(table)('ca', asText, unasked)).toBe('made')
})

it('gives ten who make one at the same time the same', async () => {
  const table = memoryTable<SecretRow>()
  const made = Array.from({ length: 10 }, (_, n) => keptInTable(table)('ca', asText, async () => `made by ${n}`))
  expect(new Set(await Promise.all(made)).size).toBe(1)
})

it('says which secret is damaged, and nothing of it', async () => {
  const keep = keptInTable(memoryTable<SecretRow>())
  await keep('ca', asText, async () => 'MIGHAgEA')
  const read = (text: string): never => {
    throw new Error(`cannot read ${text}`)
  }
  const error: unknown = await keep('ca', read, unasked).catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ code: 'STATE_DAMAGED', message: expect.stringContaining('ca') })
  expect(String(error)).not.toContain('MIGHAgEA')
})

it('makes 32 random bytes, the same for all, others under another name', async () => {
  const table = memoryTable<SecretRow>()
  const secret = await secretIn(keptInTable(table), 'nonces')
  expect(secret).toHaveLength(32)
  expect(await secretIn(keptInTable(table), 'nonces')).toEqual(secret)
  expect(await secretIn(keptInTable(table), 'else')).not.toEqual(secret)
})

it('writes nothing readable when there is a key', async () => {
  const table = memoryTable<SecretRow>()
  await keptInTable(table, KEY)('ca', asText, async () => 'readable')
  expect(JSON.stringify((await table.find('ca'))?.row)).not.toMatch(/readable/)
  expect(await keptInTable(table, KEY)('ca', asText, unasked)).toBe('readable')
})

it('encrypts what is there in plain once there is a key', async () => {
  const table = memoryTable<SecretRow>()
  await keptInTable(table)('ca', asText, async () => 'readable')
  expect(await keptInTable(table, KEY)('ca', asText, unasked)).toBe('readable')
  expect((await table.find('ca'))?.row).toEqual({ sealed: expect.any(String) })
})

it('refuses the wrong key, no key, and a row copied from another name', async () => {
  const table = memoryTable<SecretRow>()
  await keptInTable(table, KEY)('ca', asText, async () => 'readable')
  await table.insert('copied', (await table.find('ca'))!.row)
  const wrong = { code: 'STORE_KEY_WRONG' }
  await expect(keptInTable(table, Buffer.alloc(STORE_KEY_BYTES, 8))('ca', asText, unasked)).rejects.toMatchObject(wrong)
  await expect(keptInTable(table)('ca', asText, unasked)).rejects.toMatchObject(wrong)
  await expect(keptInTable(table, KEY)('copied', asText, unasked)).rejects.toMatchObject(wrong)
})
