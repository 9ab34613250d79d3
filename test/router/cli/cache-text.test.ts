import { expect, it } from 'vitest'
import { cacheStatsText, flushedText, shownAnswersText } from '../../../src/router/cli/cache-text.ts'

const SHOWN = {
  name: 'a.example',
  type: 'A',
  class: 'IN',
  rcode: 'NOERROR',
  dnssecOk: false,
  checkingDisabled: false,
  state: 'fresh',
  leftS: 43,
  from: 'tls://192.0.2.53',
  hits: 1,
  records: ['a.example. 43 IN A 192.0.2.1'],
} as const

it('shows an answer as its records under a line about them', () => {
  const stale = {
    ...SHOWN,
    type: 'any',
    state: 'stale',
    leftS: 3600,
    hits: 2,
    dnssecOk: true,
    checkingDisabled: true,
  } as const
  expect(shownAnswersText({ answers: [SHOWN, { ...stale, scope: 'guests' }] })).toBe(
    `; a.example A: NOERROR, 43 s left, from tls://192.0.2.53, 1 hit
a.example. 43 IN A 192.0.2.1
; a.example any type, and every name below: NOERROR, stale, of use for another 1 h, DO, CD, scope guests, from tls://192.0.2.53, 2 hits
a.example. 43 IN A 192.0.2.1`,
  )
  expect(shownAnswersText({ answers: [] })).toBe('nothing is held for this name')
})

it('says how much was forgotten', () => {
  expect([0, 1, 2].map((removed) => flushedText({ removed }))).toEqual([
    '0 answers were forgotten',
    '1 answer was forgotten',
    '2 answers were forgotten',
  ])
})

it('shows the figures of the cache', () => {
  const stats = {
    entries: 10,
    bytes: 1700,
    allocatedBytes: 140_000,
    bytesMax: 16 * 1024 * 1024,
    hits: 90,
    misses: 10,
    hitRate: 0.9,
    staleServed: 1,
    prefetches: 2,
    failures: 3,
    failuresServed: 4,
    evictions: 5,
  }
  expect(cacheStatsText(stats)).toBe(`answers     10
octets      2 KiB in 137 KiB of memory, at most 16384 KiB
hits        90 (90.0 %)
misses      10
stale       1 given after their end
prefetches  2
failures    3 remembered, 4 given again
evictions   5`)
})
