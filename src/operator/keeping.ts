import { join } from 'node:path'
import { readFileIfThere } from '../store/file.ts'
import { type Keep, keptIn } from '../store/kept.ts'
import type { Store } from '../store/postgres.ts'

/**
 * Where CAs and account keys are kept: in the store when other instances may be on it, so that all have the same ones, else
 * in files of the state directory. Files that an instance has from before are taken over by the first that comes.
 */
export function keeping(store: Pick<Store, 'isShared' | 'keep'>, state: string): Keep {
  if (!store.isShared) return keptIn(state)
  return (name, read, make) =>
    store.keep(name, read, async () => (await readFileIfThere(join(state, name)))?.toString() ?? (await make()))
}
