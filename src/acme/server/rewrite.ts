import assert from 'node:assert'
import type { Stored, Table } from '../../core/table.ts'

/** Writers of one row are its client and one worker: more collisions in a row than this are a bug. */
const COLLISIONS_MAX = 10

/** Changes a row however often others write to it meanwhile. `change` decides anew each time; undefined leaves the row. */
export async function rewrite<T>(table: Table<T>, id: string, change: (row: T) => T | undefined): Promise<Stored<T>> {
  for (let attempt = 0; attempt < COLLISIONS_MAX; attempt++) {
    const seen = await table.find(id)
    assert(seen, `there is no row ${id}`)
    const next = change(seen.row)
    if (next === undefined) return seen
    const written = await table.replace(seen, next)
    if (written) return written
  }
  throw new assert.AssertionError({ message: `row ${id} is written to without end` })
}
