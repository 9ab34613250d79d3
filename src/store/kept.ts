import { readFileIfThere, writeFileAtomic } from './file.ts'

/** The text of a file that is made at first use and kept for ever: account keys, a CA. */
export async function keptText(path: string, make: () => Promise<string>): Promise<string> {
  const kept = await readFileIfThere(path)
  if (kept) return kept.toString()
  const made = await make()
  await writeFileAtomic(path, made)
  return made
}
