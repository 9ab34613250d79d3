import type { Stored } from '../core/table.ts'

/** What every Table keeps of a row, whatever it is made of: the JSON of it, so that tests on memory tell the truth. */

/** Text that PostgreSQL can hold: U+0000 and halves of surrogate pairs become U+FFFD. */
export function storableText(text: string): string {
  return text.toWellFormed().replaceAll('\0', '\u{fffd}')
}

export function rowText(row: unknown): string {
  // One step per escape, so that the text `\\u0000` (a backslash, then letters) stays.
  return JSON.stringify(row).replace(/\\(?:u0000|ud...|.)/g, (escape) => (escape.length > 2 ? '\u{fffd}' : escape))
}

/** Each named field, at the top level of the row, is exactly that text. */
export function matches(row: unknown, where: Readonly<Record<string, string>>): boolean {
  return Object.entries(where).every(([name, value]) => Object.getOwnPropertyDescriptor(row, name)?.value === value)
}

export function inOrderOfId(a: Stored<unknown>, b: Stored<unknown>): number {
  return a.id < b.id ? -1 : 1
}
