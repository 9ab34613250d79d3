import { describe, expect, it } from 'vitest'
import { REMOVED_AT_ONCE_MAX, type Stored, type Table } from '../../src/core/table.ts'

export interface Sample {
  readonly owner: string
  readonly count: number
  readonly tags?: readonly string[] | undefined
}

/** What every Table promises. `open` gives an empty one each time. */
export function tableContract(open: () => Promise<Table<Sample>>): void {
  const filled = async (ids: readonly string[]): Promise<Table<Sample>> => {
    const table = await open()
    for (const [index, id] of ids.entries()) await table.insert(id, { owner: index % 2 ? 'odd' : 'even', count: index })
    return table
  }
  const idsOf = (found: readonly Stored<Sample>[]): string[] => found.map(({ id }) => id)

  describe('find and insert', () => {
    it('gives back what was inserted', async () => {
      const table = await open()
      const row = { owner: 'kim', count: 1, tags: ['a', 'b'] }
      const inserted = await table.insert('one', row)
      expect(inserted).toMatchObject({ id: 'one', row })
      expect(await table.find('one')).toEqual(inserted)
      expect(await table.find('two')).toBeUndefined()
    })

    it('keeps the first of two rows with one id', async () => {
      const table = await open()
      await table.insert('one', { owner: 'kim', count: 1 })
      expect(await table.insert('one', { owner: 'lee', count: 2 })).toBeUndefined()
      expect((await table.find('one'))?.row.owner).toBe('kim')
    })

    it('lets one of twenty simultaneous inserts win', async () => {
      const table = await open()
      const inserts = Array.from({ length: 20 }, (_, count) => table.insert('one', { owner: 'all', count }))
      expect((await Promise.all(inserts)).filter(Boolean)).toHaveLength(1)
    })

    it('is not changed through what was given or gotten', async () => {
      const table = await open()
      const tags = ['a']
      const inserted = await table.insert('one', { owner: 'kim', count: 1, tags })
      tags.push('b')
      expect(() => Object.assign(inserted?.row ?? {}, { count: 9 })).toThrow(TypeError)
      expect((await table.find('one'))?.row).toEqual({ owner: 'kim', count: 1, tags: ['a'] })
    })

    it('drops fields that are undefined, as JSON does', async () => {
      const table = await open()
      await table.insert('one', { owner: 'kim', count: 1, tags: undefined })
      expect(Object.keys((await table.find('one'))?.row ?? {}).sort()).toEqual(['count', 'owner'])
    })

    it('takes ids and text of every kind', async () => {
      const table = await open()
      const ids = [
        'a/b',
        '..',
        '.',
        'A',
        'a',
        'ü',
        '名',
        'a b',
        "'; drop table hearth_row; --",
        '%2e',
        '\u{1f600}',
        'x'.repeat(300),
      ]
      for (const id of ids) expect(await table.insert(id, { owner: id, count: 0 })).toBeDefined()
      for (const id of ids) expect((await table.find(id))?.row.owner).toBe(id)
      expect(idsOf(await table.list({ limit: 99 })).sort()).toEqual(ids.sort())
    })

    it('replaces what no database holds: U+0000 and half pairs', async () => {
      const table = await open()
      await table.insert('one', { owner: 'a\0b\ud800c', count: 1, tags: ['\\u0000'] })
      expect((await table.find('one'))?.row).toMatchObject({ owner: 'a\ufffdb\ufffdc', tags: ['\\u0000'] })
      expect(await table.find('\0')).toBeUndefined()
      expect(await table.list({ where: { owner: '\0' }, after: '\ud800', limit: 1 })).toEqual([])
    })
  })

  describe('replace and remove', () => {
    it('writes when nobody wrote since', async () => {
      const table = await filled(['one'])
      const seen = (await table.find('one'))!
      const next = await table.replace(seen, { owner: 'kim', count: 7 })
      expect(next?.version).not.toBe(seen.version)
      expect(await table.find('one')).toEqual(next)
    })

    it('refuses when someone wrote since', async () => {
      const table = await filled(['one'])
      const seen = (await table.find('one'))!
      await table.replace(seen, { owner: 'kim', count: 7 })
      expect(await table.replace(seen, { owner: 'lee', count: 8 })).toBeUndefined()
      expect(await table.remove(seen)).toBe(false)
      expect((await table.find('one'))?.row.count).toBe(7)
    })

    it('removes what was seen', async () => {
      const table = await filled(['one'])
      const seen = (await table.find('one'))!
      expect(await table.remove(seen)).toBe(true)
      expect(await table.find('one')).toBeUndefined()
      expect(await table.remove(seen)).toBe(false)
      expect(await table.replace(seen, seen.row)).toBeUndefined()
    })

    it('does not take a row made again for the one that was seen', async () => {
      const table = await filled(['one'])
      const seen = (await table.find('one'))!
      await table.remove(seen)
      await table.insert('one', { owner: 'new', count: 0 })
      expect(await table.replace(seen, seen.row)).toBeUndefined()
      expect(await table.remove(seen)).toBe(false)
    })

    it('loses none of twenty simultaneous increments', async () => {
      const table = await open()
      await table.insert('counter', { owner: 'all', count: 0 })
      const increment = async (): Promise<void> => {
        for (;;) {
          const seen = (await table.find('counter'))!
          if (await table.replace(seen, { ...seen.row, count: seen.row.count + 1 })) return
        }
      }
      await Promise.all(Array.from({ length: 20 }, increment))
      expect((await table.find('counter'))?.row.count).toBe(20)
    })
  })

  it('writes many rows at once, each by itself: what is taken or was overtaken stops none of the others', async () => {
    const table = await filled(['id-7', 'id-30'])
    const ids = Array.from({ length: 120 }, (_, n) => `id-${n}`)
    const inserted = await Promise.all(ids.map((id, count) => table.insert(id, { owner: `owner of ${id}`, count })))
    expect(ids.filter((_, n) => !inserted[n])).toEqual(['id-7', 'id-30'])
    const seen = await Promise.all(ids.map(async (id) => (await table.find(id))!))
    await table.replace(seen[3]!, { owner: 'faster', count: 0 })
    const replaced = await Promise.all(seen.map((each) => table.replace(each, { ...each.row, count: 9 })))
    expect(ids.filter((_, n) => !replaced[n])).toEqual(['id-3'])
    const found = await Promise.all(ids.map(async (id) => (await table.find(id))!))
    expect(found.map(({ id, row }) => [id, row.owner])).toEqual(
      ids.map((id, n) => [id, n === 3 ? 'faster' : n === 7 ? 'even' : n === 30 ? 'odd' : `owner of ${id}`]),
    )
    expect(replaced.filter((each, n) => each && each.version !== found[n]!.version)).toEqual([])
  })

  describe('removeUpTo', () => {
    it('removes the rows up to an id, and no others', async () => {
      const table = await filled(['c', 'a', 'B', 'd', '10', '9'])
      expect(await table.removeUpTo('b')).toBe(4)
      expect(idsOf(await table.list({ limit: 10 }))).toEqual(['c', 'd'])
      expect(await table.removeUpTo('b')).toBe(0)
      expect(await table.removeUpTo('c')).toBe(1)
      expect(await table.find('c')).toBeUndefined()
    })

    it('removes a bounded batch, the first ones first', async () => {
      const table = await open()
      const ids = Array.from({ length: REMOVED_AT_ONCE_MAX + 5 }, (_, n) => `id-${String(n).padStart(6, '0')}`)
      for (const id of ids) await table.insert(id, { owner: 'all', count: 0 })
      expect(await table.removeUpTo('id-9')).toBe(REMOVED_AT_ONCE_MAX)
      expect(idsOf(await table.list({ limit: 10 }))).toEqual(ids.slice(-5))
      expect(await table.removeUpTo('id-9')).toBe(5)
    })
  })

  describe('list', () => {
    it('goes in order of id, whatever the order of insertion', async () => {
      const table = await filled(['c', 'a', 'B', 'd', '10', '9'])
      expect(idsOf(await table.list({ limit: 10 }))).toEqual(['10', '9', 'B', 'a', 'c', 'd'])
    })

    it('pages without a gap or a repetition, also while rows come and go', async () => {
      const table = await filled(['a', 'b', 'c', 'd', 'e'])
      const first = await table.list({ limit: 2 })
      await table.remove(first[1]!)
      await table.insert('bb', { owner: 'new', count: 9 })
      const second = await table.list({ after: first[1]!.id, limit: 2 })
      const third = await table.list({ after: second[1]!.id, limit: 99 })
      expect([first, second, third].map(idsOf)).toEqual([
        ['a', 'b'],
        ['bb', 'c'],
        ['d', 'e'],
      ])
      expect(await table.list({ after: 'e', limit: 2 })).toEqual([])
    })

    it('looks at the fields asked for', async () => {
      const table = await filled(['a', 'b', 'c', 'd', 'e'])
      expect(idsOf(await table.list({ where: { owner: 'odd' }, limit: 10 }))).toEqual(['b', 'd'])
      expect(idsOf(await table.list({ where: { owner: 'even' }, after: 'a', limit: 1 }))).toEqual(['c'])
      expect(idsOf(await table.list({ where: { owner: 'nobody' }, limit: 10 }))).toEqual([])
      expect(idsOf(await table.list({ where: {}, limit: 10 }))).toHaveLength(5)
    })

    it('compares text with text only, and own fields only', async () => {
      const table = await filled(['a', 'b'])
      expect(await table.list({ where: { count: '1' }, limit: 10 })).toEqual([])
      expect(await table.list({ where: { toString: 'x' }, limit: 10 })).toEqual([])
      expect(await table.list({ where: { "owner' or true --": 'x' }, limit: 10 })).toEqual([])
    })
  })
}
