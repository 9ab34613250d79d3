import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { Fault } from '../../../core/fault.ts'

/** One name in a file of names, and where it stands. Lines count from 1. */
export interface NamedLine {
  readonly name: string
  readonly line: number
}

/** Longer lines are no names. */
const LINE_CHARS_MAX = 1000

/** Names of a file, one a line, in batches; empty lines and what follows `#` are for people. Read as a stream. */
export async function* nameBatches(path: string, size: number): AsyncGenerator<readonly NamedLine[]> {
  let batch: NamedLine[] = []
  let line = 0
  try {
    // Read twice: first to check, then to add.
    if (!(await stat(path)).isFile()) throw new Fault('USAGE', `--from ${path} is not a file`)
    for await (const text of createInterface({ input: createReadStream(path), crlfDelay: Infinity })) {
      line++
      if (text.length > LINE_CHARS_MAX) throw new Fault('USAGE', `${path}:${line}: a line of ${text.length} characters`)
      const name = text.replace(/#.*/, '').trim()
      if (name !== '') batch.push({ name, line })
      if (batch.length < size) continue
      yield batch
      batch = []
    }
  } catch (error) {
    if (error instanceof Fault) throw error
    throw new Fault('USAGE', `--from ${path} cannot be read`, { path }, error)
  }
  if (batch.length > 0) yield batch
}

/** The same for the same names in the same order. */
export async function fingerprint(path: string): Promise<{ readonly names: number; readonly hash: string }> {
  const hash = createHash('sha256')
  let names = 0
  for await (const batch of nameBatches(path, 1000)) {
    names += batch.length
    for (const { name } of batch) hash.update(`${name}\n`)
  }
  return { names, hash: hash.digest('hex').slice(0, 16) }
}
