import { join } from 'node:path'
import { Fault } from '../core/fault.ts'
import { readFileIfThere, writeFileAtomic } from './file.ts'

/**
 * Finds what is made at first use and kept for ever under this name (account keys, a CA), or makes it. `read` throws when
 * the text is not what was made; its reason may quote a key, so that only the place is named.
 */
export type Keep = <T>(name: string, read: (text: string) => T, make: () => Promise<string>) => Promise<T>

/** A file for each name. */
export function keptIn(directory: string): Keep {
  return (name, read, make) => kept(join(directory, name), read, make)
}

/** One file. Who comes while it is being made gets what is made. */
export async function kept<T>(path: string, read: (text: string) => T, make: () => Promise<string>): Promise<T> {
  const finding = underWay.get(path) ?? findOrMake(path, make).finally(() => underWay.delete(path))
  underWay.set(path, finding)
  return readKept(await finding, read, path)
}

/** By path. As many as there are kept things that somebody asks for at this moment. */
const underWay = new Map<string, Promise<string>>()

async function findOrMake(path: string, make: () => Promise<string>): Promise<string> {
  const bytes = await readFileIfThere(path)
  if (bytes) return bytes.toString()
  const made = await make()
  await writeFileAtomic(path, made)
  return made
}

export function readKept<T>(text: string, read: (text: string) => T, place: string): T {
  try {
    return read(text)
  } catch {
    throw new Fault('STATE_DAMAGED', `${place} is damaged`, { path: place })
  }
}
