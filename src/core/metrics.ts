/**
 * Figures for a monitoring system, in the text format of Prometheus 0.0.4. What there is stands in one table, from which
 * the reference page is made, too.
 */
export type MetricTable = Readonly<Record<string, MetricAbout>>

export interface MetricAbout {
  readonly type: 'counter' | 'gauge' | 'histogram'
  /** What it counts, for people; one line. */
  readonly help: string
  readonly labels: readonly string[]
  /** Upper bounds of a histogram, ascending. */
  readonly buckets?: readonly number[]
}

export type Labels = Readonly<Record<string, string | number>>

/** Different values of the labels of one metric. What comes after is counted together, with `other` in every label. */
const SERIES_MAX = 1000

export interface Metrics<T extends MetricTable = MetricTable> {
  add(name: keyof T & string, labels?: Labels, amount?: number): void
  set(name: keyof T & string, labels: Labels, value: number): void
  /** One value of a histogram. */
  observe(name: keyof T & string, labels: Labels, value: number): void
  /** Called before each `text()`: for figures that are looked up when somebody wants them. Must be cheap. */
  onScrape(look: () => void): void
  /** Forgets the values of a gauge, before they are set anew. */
  clear(name: keyof T & string): void
  text(): string
}

interface Series {
  readonly labels: string
  value: number
  /** Of a histogram: how many values fell into each bucket, the last without a bound. */
  readonly counts?: number[]
}

export function createMetrics<const T extends MetricTable>(table: T): Metrics<T> {
  const all = new Map<string, Map<string, Series>>()
  const looks: (() => void)[] = []

  const seriesOf = (name: string, labels: Labels): Series => {
    const about = table[name]!
    let family = all.get(name)
    if (!family) all.set(name, (family = new Map()))
    const values = about.labels.map((label) => String(labels[label] ?? ''))
    const key = labelText(about.labels, values)
    const found = family.get(key)
    if (found) return found
    const isFull = family.size >= SERIES_MAX && values.some((value) => value !== OTHER)
    if (isFull) return seriesOf(name, Object.fromEntries(about.labels.map((label) => [label, OTHER])))
    const made: Series = {
      labels: key,
      value: 0,
      ...(about.buckets ? { counts: Array.from({ length: about.buckets.length + 1 }, () => 0) } : {}),
    }
    family.set(key, made)
    return made
  }

  return {
    add(name, labels = {}, amount = 1) {
      seriesOf(name, labels).value += amount
    },
    set(name, labels, value) {
      seriesOf(name, labels).value = value
    },
    observe(name, labels, value) {
      const series = seriesOf(name, labels)
      const { buckets } = table[name]!
      const place = buckets!.findIndex((bound) => value <= bound)
      series.counts![place < 0 ? buckets!.length : place]!++
      series.value += value
    },
    onScrape: (look) => void looks.push(look),
    clear: (name) => void all.delete(name),
    text() {
      for (const look of looks) look()
      const lines: string[] = []
      for (const [name, about] of Object.entries(table)) {
        lines.push(`# HELP ${name} ${about.help}`, `# TYPE ${name} ${about.type}`)
        for (const series of all.get(name)?.values() ?? []) lines.push(...linesOf(name, about, series))
      }
      return `${lines.join('\n')}\n`
    },
  }
}

const OTHER = 'other'

function linesOf(name: string, { buckets }: MetricAbout, { labels, value, counts }: Series): readonly string[] {
  if (!buckets || !counts) return [`${name}${braced(labels)} ${value}`]
  let count = 0
  const lines = [...buckets, '+Inf'].map((bound, place) => {
    count += counts[place]!
    return `${name}_bucket${braced([labels, `le="${bound}"`].filter((text) => text !== '').join(','))} ${count}`
  })
  return [...lines, `${name}_sum${braced(labels)} ${value}`, `${name}_count${braced(labels)} ${count}`]
}

function braced(labels: string): string {
  return labels === '' ? '' : `{${labels}}`
}

function labelText(names: readonly string[], values: readonly string[]): string {
  return names.map((name, place) => `${name}="${escaped(values[place]!)}"`).join(',')
}

function escaped(value: string): string {
  return value.replace(/[\\"\n]/g, (sign) => (sign === '\n' ? '\\n' : `\\${sign}`))
}

/** The table for people, as Markdown. */
export function metricsReference(title: string, table: MetricTable): string {
  const rows = Object.entries(table).map(
    ([name, { type, help, labels }]) =>
      `| \`${name}\` | ${type} | ${labels.map((label) => `\`${label}\``).join(', ')} | ${help} |`,
  )
  return [`# ${title}`, '', '| name | type | labels | meaning |', '|---|---|---|---|', ...rows, ''].join('\n')
}
