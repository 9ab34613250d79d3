import { expect, it } from 'vitest'
import { inBatches } from '../../src/store/batch.ts'

function recorded(rows: Readonly<Record<string, number>>) {
  const asked: (readonly string[])[] = []
  const ask = inBatches<{ readonly id: string }, number>(async (batch) => {
    const ids = batch.map(({ id }) => id)
    asked.push(ids)
    return new Map(ids.flatMap((id) => (rows[id] === undefined ? [] : [[id, rows[id]]])))
  })
  return { asked, find: (id: string) => ask({ id }) }
}

it('asks in one turn together', async () => {
  const { asked, find } = recorded({ a: 1, b: 2 })
  expect(await Promise.all([find('a'), find('b'), find('none'), find('a')])).toEqual([1, 2, undefined, 1])
  expect(asked).toEqual([['a', 'b', 'none', 'a']])
})

it('keeps nothing: a later question is asked again', async () => {
  const rows: Record<string, number> = { a: 1 }
  const { asked, find } = recorded(rows)
  expect(await find('a')).toBe(1)
  rows['a'] = 2
  expect(await find('a')).toBe(2)
  expect(asked).toEqual([['a'], ['a']])
})

it('splits what is too much for one statement', async () => {
  const { asked, find } = recorded({ 'id-249': 7 })
  const found = await Promise.all(Array.from({ length: 250 }, (_, n) => find(`id-${n}`)))
  expect(found.at(-1)).toBe(7)
  expect(asked.map((ids) => ids.length)).toEqual([100, 100, 50])
})

it('tells everybody who waits when the store is away, and goes on', async () => {
  let isAway = true
  const ask = inBatches<{ readonly id: string }, number>(async () => {
    if (isAway) throw new Error('away')
    return new Map([['a', 1]])
  })
  const both = await Promise.allSettled([ask({ id: 'a' }), ask({ id: 'b' })])
  expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  isAway = false
  expect(await ask({ id: 'a' })).toBe(1)
})

it('lets what is asked wait while two batches are out, and sends it together when one is back', async () => {
  const out: { readonly ids: readonly string[]; readonly answer: () => void }[] = []
  const ask = inBatches<{ readonly id: string }, string>((batch) => {
    const ids = batch.map(({ id }) => id)
    return new Promise((resolve) => {
      out.push({ ids, answer: () => resolve(new Map(ids.map((id) => [id, id.toUpperCase()]))) })
    })
  })
  const asked = []
  for (const id of ['a', 'b', 'c', 'd', 'e']) {
    asked.push(ask({ id }))
    await new Promise(setImmediate)
  }
  expect(out.map(({ ids }) => ids)).toEqual([['a'], ['b']])
  out[1]!.answer()
  expect(await asked[1]).toBe('B')
  expect(out.map(({ ids }) => ids)).toEqual([['a'], ['b'], ['c', 'd', 'e']])
  for (const { answer } of out) answer()
  expect(await Promise.all(asked)).toEqual(['A', 'B', 'C', 'D', 'E'])
})

it('puts no id into a batch twice where writes must be apart', async () => {
  const batches: (readonly { readonly id: string; readonly value: number }[])[] = []
  const write = inBatches<{ readonly id: string; readonly value: number }, number>(
    async (batch) => {
      batches.push(batch)
      return new Map(batch.map(({ id, value }) => [id, value]))
    },
    { apart: true },
  )
  const asked = [write({ id: 'a', value: 1 }), write({ id: 'a', value: 2 }), write({ id: 'b', value: 3 })]
  expect(await Promise.all(asked)).toEqual([1, 2, 3])
  expect(batches.map((batch) => batch.map(({ value }) => value))).toEqual([[1, 3], [2]])
})
