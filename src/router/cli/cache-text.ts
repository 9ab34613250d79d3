import type { CacheStats, ShownAnswer } from '../resolve/cache/inspection.ts'
import { durationText } from './text.ts'

/** What `hearth cache` prints. */

export function shownAnswersText({ answers }: { readonly answers: readonly ShownAnswer[] }): string {
  if (answers.length === 0) return 'nothing is held for this name'
  return answers.map(answerText).join('\n')
}

export function flushedText({ removed }: { readonly removed: number }): string {
  return removed === 1 ? '1 answer was forgotten' : `${removed} answers were forgotten`
}

export function cacheStatsText(stats: CacheStats): string {
  const rows: [string, string][] = [
    ['answers', String(stats.entries)],
    ['octets', `${kib(stats.bytes)} in ${kib(stats.allocatedBytes)} of memory, at most ${kib(stats.bytesMax)}`],
    ['hits', `${stats.hits}${stats.hitRate === undefined ? '' : ` (${(100 * stats.hitRate).toFixed(1)} %)`}`],
    ['misses', String(stats.misses)],
    ['stale', `${stats.staleServed} given after their end`],
    ['prefetches', String(stats.prefetches)],
    ['failures', `${stats.failures} remembered, ${stats.failuresServed} given again`],
    ['evictions', String(stats.evictions)],
  ]
  return rows.map(([head, value]) => `${head.padEnd(10)}  ${value}`).join('\n')
}

function answerText(answer: ShownAnswer): string {
  const { name, type, rcode, state, leftS, from, hits, scope } = answer
  const left = durationText(leftS * 1000)
  const particulars = [
    rcode,
    state === 'fresh' ? `${left} left` : `stale, of use for another ${left}`,
    ...(answer.dnssecOk ? ['DO'] : []),
    ...(answer.checkingDisabled ? ['CD'] : []),
    ...(scope === undefined ? [] : [`scope ${scope}`]),
    `from ${from}`,
    hits === 1 ? '1 hit' : `${hits} hits`,
  ]
  const head = `; ${name} ${type === 'any' ? 'any type, and every name below' : type}: ${particulars.join(', ')}`
  return [head, ...answer.records].join('\n')
}

function kib(octets: number): string {
  return `${Math.ceil(octets / 1024)} KiB`
}
