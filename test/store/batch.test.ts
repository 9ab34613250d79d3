import { expect, it } from 'vitest'
import { inBatches } from '../../src/store/batch.ts'

function recorded(rows: Readonly<Record<string, number>>) {
  const asked: (readonly string[])[] = []
  const find = inBatches<number>(async (ids) => {
    asked.push(ids)
    return new Map(ids.flatMap((id) => (rows[id] === undefined ? [] : [[id, rows[id]]])))
  })
  return { asked, find }
}

it('reads what is asked for in one turn together, each once', async () => {
  const { asked, find } = recorded({ a: 1, b: 2 })
  expect(await Promise.all([find('a'), find('b'), find('none'), find('a')])).toEqual([1, 2, undefined, 1])
  expect(asked).toEqual([['a', 'b', 'none']])
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
  const find = inBatches<number>(async () => {
    if (isAway) throw new Error('away')
    return new Map([['a', 1]])
  })
  const both = await Promise.allSettled([find('a'), find('b')])
  expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  isAway = false
  expect(await find('a')).toBe(1)
})
