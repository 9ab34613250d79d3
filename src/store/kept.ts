import { Fault } from '../core/fault.ts'
import { readFileIfThere, writeFileAtomic } from './file.ts'

/**
 * What a file holds that is made at first use and kept for ever: account keys, a CA. `read` throws when the text is not
 * what was made; its reason may quote a key, so that only the file is named.
 */
export async function kept<T>(path: string, read: (text: string) => T, make: () => Promise<string>): Promise<T> {
  const bytes = await readFileIfThere(path)
  if (bytes) {
    try {
      return read(bytes.toString())
    } catch {
      throw new Fault('STATE_DAMAGED', `${path} is damaged`, { path })
    }
  }
  const made = await make()
  await writeFileAtomic(path, made)
  return read(made)
}
