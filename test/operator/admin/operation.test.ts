import { describe, expect, it } from 'vitest'
import { operation, perform } from '../../../src/operator/admin/operation.ts'

const TABLE = {
  greet: operation({
    summary: 'says hello',
    role: 'read',
    input: {
      name: { type: 'string', description: 'to whom', maxLength: 5, required: true },
      times: { type: 'integer', description: 'how often', minimum: 1, maximum: 3 },
      tone: { type: 'string', description: 'how', maxLength: 10, enum: ['warm', 'cool'] },
      others: { type: 'array', description: 'to whom else', maxItems: 2, items: { type: 'string', maxLength: 5 } },
      loud: { type: 'boolean', description: 'in capitals' },
    },
    run: async ({ name, times = 1 }, { by }) => `${by}: ${`hello ${name} `.repeat(times).trim()}`,
  }),
  change: operation({ summary: 'changes something', role: 'operate', input: {}, run: async () => 'changed' }),
}
const reader = { by: 'token page', role: 'read' } as const
const operator = { by: 'cli root (uid 0)', role: 'operate' } as const

describe('an operation', () => {
  it('gets its input and who asks', async () => {
    const input = { name: 'Ada', times: 2, tone: 'warm', others: ['Bob'], loud: false }
    expect(await perform(TABLE, 'greet', input, reader)).toBe('token page: hello Ada hello Ada')
  })

  it('that needs the role operate is not done for a reader', async () => {
    await expect(perform(TABLE, 'change', {}, reader)).rejects.toMatchObject({ code: 'NOT_ALLOWED' })
    expect(await perform(TABLE, 'change', {}, operator)).toBe('changed')
  })

  it.each([
    [{}, 'name is missing'],
    [{ name: 'Adalbert' }, 'name: expected text of at most 5 characters, got "Adalbert"'],
    [{ name: 'Ada', times: 4 }, 'times: expected a whole number from 1 to 3, got 4'],
    [{ name: 'Ada', times: 1.5 }, 'times: expected a whole number from 1 to 3, got 1.5'],
    [{ name: 'Ada', tone: 'hot' }, 'tone: expected warm, cool, got "hot"'],
    [{ name: 'Ada', others: ['a', 'b', 'c'] }, 'others: expected at most 2 texts of at most 5 characters, got a list'],
    [{ name: 'Ada', loud: 'yes' }, 'loud: expected true or false, got "yes"'],
    [{ name: 'Ada', tiems: 1 }, 'there is no "tiems" here; did you mean `times`?'],
    [{ name: 'Ada', __proto__: null, constructor: 1 }, 'there is no "constructor" here'],
    [[], 'expected a JSON object, got a list'],
  ])('refuses %j', async (input, message) => {
    const refused = perform(TABLE, 'greet', input, reader)
    await expect(refused).rejects.toMatchObject({ code: 'USAGE' })
    await expect(refused).rejects.toThrow(message)
  })

  it('that does not exist is refused', async () => {
    await expect(perform(TABLE, 'great', {}, reader)).rejects.toThrow('did you mean `greet`')
    await expect(perform(TABLE, 'constructor', {}, reader)).rejects.toMatchObject({ code: 'USAGE' })
  })
})
