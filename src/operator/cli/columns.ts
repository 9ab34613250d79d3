/** Rows for people, as wide as their longest cells. The first row is the heads. */
export function columns(rows: readonly (readonly string[])[]): string {
  const widths = rows.reduce<number[]>(
    (widest, row) => row.map((cell, index) => Math.max(cell.length, widest[index] ?? 0)),
    [],
  )
  return rows
    .map((row) =>
      row
        .map((cell, index) => cell.padEnd(widths[index]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** The same for one page of a list. `next`: there are more after this one. */
export function pageOf(rows: readonly (readonly string[])[], next: string | undefined): string {
  return next === undefined ? columns(rows) : `${columns(rows)}\nthere are more: add --after ${next}`
}

/** `name   value` lines, without those that have no value. */
export function facts(pairs: Readonly<Record<string, string | number | undefined>>): string {
  const rows = Object.entries(pairs).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]]))
  return columns(rows)
}

/** `2027-01-10T08:00:00Z` → `2027-01-10 08:00`, always UTC. */
export function minute(date: string | undefined): string {
  return date === undefined ? '-' : date.slice(0, 16).replace('T', ' ')
}
