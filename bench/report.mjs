// From samples to tables: medians, and Hearth against the best of the others.

/**
 * @typedef {import('./dns.mjs').Results} Results
 * @typedef {{ row: string, hearth: number | null, best: number | null, peer: string | null, ratio: number | null, unit: string }} Row
 */

/** Below 1 Hearth costs less than the best peer. Null: nothing was measured. @param {Results} results @returns {Row[]} */
export function ratioRows({ samples, unitOf }) {
  return [...samples].map(([row, byServer]) => {
    const figures = [...byServer]
      .filter(([, taken]) => taken.length > 0)
      .map(([name, taken]) => ({ name, value: median(taken, 'figure') }))
    const hearth = figures.find(({ name }) => name === 'hearth')?.value ?? null
    const best = figures.filter(({ name }) => name !== 'hearth').sort((a, b) => a.value - b.value)[0]
    return {
      row,
      hearth: rounded(hearth),
      best: rounded(best?.value ?? null),
      peer: best?.name ?? null,
      ratio: hearth !== null && best ? rounded(hearth / best.value) : null,
      unit: unitOf(row),
    }
  })
}

/** @param {Row[]} rows */
export function ratioTable(rows) {
  const head = ['row', 'hearth', 'best peer', 'which', 'ratio', 'unit']
  return table(
    head,
    rows.map(({ row, hearth, best, peer, ratio, unit }) => [row, hearth, best, peer, ratio, unit]),
  )
}

/** Every server's figure with what belongs to it. @param {Results} results */
export function detailTable({ samples, names, unitOf }) {
  const head = ['row', 'server', 'figure', 'lowest', 'highest', 'unit', 'per second', 'p50 µs', 'p99 µs']
  const lines = [...samples].flatMap(([row, byServer]) =>
    names
      .filter((name) => byServer.get(name).length > 0)
      .map((name) => {
        const taken = byServer.get(name)
        const figures = taken.map(({ figure }) => figure)
        const beside =
          taken[0].perSecond === undefined
            ? []
            : ['perSecond', 'p50Us', 'p99Us'].map((key) => Math.round(median(taken, key)))
        return [
          row,
          name,
          ...[median(taken, 'figure'), Math.min(...figures), Math.max(...figures)].map(rounded),
          unitOf(row),
          ...beside,
        ]
      }),
  )
  return table(head, lines)
}

export function median(taken, key) {
  const sorted = taken.map((sample) => sample[key]).sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

function rounded(value) {
  return value === null ? null : Number(value.toPrecision(3))
}

export function table(head, lines) {
  const cells = [head, ...lines].map((line) => head.map((_, column) => String(line[column] ?? '-')))
  const widths = head.map((_, column) => Math.max(...cells.map((line) => line[column].length)))
  const isNumber = (cell) => /^[\d.]+$/.test(cell)
  return cells
    .map((line) =>
      line
        .map((cell, column) => (isNumber(cell) ? cell.padStart(widths[column]) : cell.padEnd(widths[column])))
        .join(' | ')
        .trimEnd(),
    )
    .join('\n')
}
