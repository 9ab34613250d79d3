import { readList } from './read-list.ts'

export interface FoundRule {
  /** Counted from 1. */
  readonly line: number
  readonly name: string
  readonly isExact: boolean
}

/**
 * The first rule of a list that is about the name: line numbers are not kept in memory, so the file is read again. Undefined
 * when the file no longer has one.
 */
export async function findRule(
  path: string,
  name: string,
  isWanted: (isException: boolean) => boolean,
): Promise<FoundRule | undefined> {
  const wanted = name.toLowerCase()
  let found: FoundRule | undefined
  await readList(path, (octets, rule, line) => {
    const length = rule.nameEnd - rule.nameStart
    if (found || length > wanted.length || !isWanted(rule.isException)) return
    const text = Buffer.from(octets.buffer, octets.byteOffset + rule.nameStart, length)
      .toString('latin1')
      .toLowerCase()
    const isAbout = text === wanted || (!rule.isExact && wanted.endsWith(`.${text}`))
    if (isAbout) found = { line, name: text, isExact: rule.isExact }
  })
  return found
}
