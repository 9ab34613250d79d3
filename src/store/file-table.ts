import { createHash } from 'node:crypto'
import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Fault } from '../core/fault.ts'
import { deepFreeze } from '../core/freeze.ts'
import type { Stored, Table } from '../core/table.ts'
import { readFileIfThere, removeFile, unwritable, writeFileAtomic } from './file.ts'
import { tableOver } from './memory.ts'

interface RowFile<T> {
  readonly id: string
  readonly version: number
  readonly row: T
}

/**
 * A Table of some thousand rows for a machine without a database: one JSON file for each row, all of them in memory as well.
 * The caller keeps other processes away (`lockDirectory`).
 */
export async function openFileTable<T>(directory: string): Promise<Table<T>> {
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 })
  } catch (error) {
    throw unwritable(directory, error)
  }
  const rows = new Map<string, Stored<T>>()
  const names = await readdir(directory)
  for (const name of names.filter((file) => file.endsWith(SUFFIX))) {
    const path = join(directory, name)
    const stored = parseRowFile<T>(await readFileIfThere(path), path)
    rows.set(stored.id, stored)
  }
  return tableOver(rows, async (id, change) => {
    const path = join(directory, fileName(id))
    if (change === 'remove') await removeFile(path)
    else await writeFileAtomic(path, `{"id":${JSON.stringify(id)},"version":${change.version},"row":${change.row}}\n`)
  })
}

const SUFFIX = '.json'

/** Ids are no file names: they may be long, differ in case only, or climb out of the directory. */
function fileName(id: string): string {
  return createHash('sha256').update(id).digest('hex').slice(0, 40) + SUFFIX
}

function parseRowFile<T>(bytes: Buffer | undefined, path: string): Stored<T> {
  try {
    const { id, version, row }: RowFile<T> = JSON.parse(String(bytes))
    if (typeof id === 'string' && Number.isSafeInteger(version)) return deepFreeze({ id, version, row })
  } catch (error) {
    throw new Fault('STATE_DAMAGED', `${path} is not a row of ours`, { path }, error)
  }
  throw new Fault('STATE_DAMAGED', `${path} is not a row of ours`, { path })
}
