// The cache by itself: memory of many answers and the cost of a hit. Usage: node bench/cache.mjs [--answers N]
// For the router's flags: node --expose-gc --max-old-space-size=64 --max-semi-space-size=2 --optimize-for-size bench/cache.mjs
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { build } from 'esbuild'

const SIZE_BYTES = 64 * 1024 * 1024
const HITS = 1_000_000
const ROUNDS = 5
const NAMES_FEW = 500
/** Questions of one household a day follow such a curve: a few names make up most of them. */
const ZIPF_EXPONENT = 0.9
const ZIPF_QUESTIONS = 400_000

const { values } = parseArgs({ options: { answers: { type: 'string', default: '100000' } } })
const answers = Number(values.answers)
const { withCache, MessageView, prepareAnswer } = await hearth()

console.log(`Node ${process.version}, ${answers} answers of ${meanOctets()} octets on average`)
measureMemoryAndHits()
measureEviction()

/** The modules under test, from source. */
async function hearth() {
  const directory = mkdtempSync(join(tmpdir(), 'hearth-bench-'))
  try {
    const outfile = join(directory, 'cache.mjs')
    const source = (path) => JSON.stringify(new URL(`../src/${path}`, import.meta.url).pathname)
    const contents = [
      `export { withCache } from ${source('router/resolve/cache.ts')}`,
      `export { MessageView } from ${source('dns/view.ts')}`,
      `export { prepareAnswer } from ${source('dns/answer.ts')}`,
    ].join('\n')
    const banner = { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url)" }
    const stdin = { contents, resolveDir: import.meta.dirname ?? '.', loader: 'ts' }
    await build({ stdin, bundle: true, platform: 'node', format: 'esm', outfile, banner, logLevel: 'error' })
    return await import(pathToFileURL(outfile).href)
  } finally {
    rmSync(directory, { recursive: true })
  }
}

function measureMemoryAndHits() {
  const before = memory()
  const { cache, ask } = filledCache(SIZE_BYTES)
  let slowestMs = 0
  for (let index = 0; index < answers; index++) {
    const startedMs = performance.now()
    ask(index)
    slowestMs = Math.max(slowestMs, performance.now() - startedMs)
  }
  const after = memory()
  const { entries, bytes, allocatedBytes } = cache.status()
  console.log(`held ${entries}: ${mb(bytes)} of records in ${mb(allocatedBytes)}`)
  console.log(
    `heap +${mb(after.heapUsed - before.heapUsed)}, RSS +${mb(after.rss - before.rss)}, slowest miss ${slowestMs.toFixed(1)} ms`,
  )
  for (const names of [Math.min(NAMES_FEW, answers), answers]) {
    const queries = Array.from({ length: names }, (_, index) => message(index, 0))
    const rounds = Array.from({ length: ROUNDS }, () => {
      const before = process.cpuUsage()
      for (let hit = 0; hit < HITS; hit++) ask(hit % names, queries[hit % names])
      return (process.cpuUsage(before).user * 1000) / HITS
    })
    console.log(
      `hit over ${names} names: ${Math.min(...rounds).toFixed(0)} ns of CPU (view, look-up, copy, patch; best of ${ROUNDS})`,
    )
  }
}

/** Second chance against strict LRU, each with the same number of answers. */
function measureEviction() {
  const names = answers
  const weights = Float64Array.from({ length: names }, (_, rank) => (rank + 1) ** -ZIPF_EXPONENT)
  for (let rank = 1; rank < names; rank++) weights[rank] += weights[rank - 1]
  const { cache, ask } = filledCache(Math.ceil((names * 180) / 10))
  const lru = new Map()
  let [seed, lruHits] = [1, 0]
  for (let question = 0; question < ZIPF_QUESTIONS; question++) {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
    const index = lowerBound(weights, (seed / 2 ** 32) * weights[names - 1])
    ask(index)
    if (lru.delete(index)) lruHits++
    lru.set(index, true)
    while (lru.size > cache.status().entries) lru.delete(lru.keys().next().value)
  }
  const { hits, misses, entries } = cache.status()
  const share = (count) => `${((100 * count) / (hits + misses)).toFixed(2)} %`
  console.log(
    `a tenth of the names fits (${entries}), Zipf ${ZIPF_EXPONENT}: hits ${share(hits)}, strict LRU ${share(lruHits)}`,
  )
}

function filledCache(bytesMax) {
  const clock = { nowMs: Date.now, monotonicMs: () => performance.now(), sleep: async () => {} }
  const cache = withCache({ bytesMax, clock, prefetch: true, nxdomainCut: true, serveStaleMs: 86_400_000 })
  let asked = 0
  const upstream = {
    id: 'bench',
    resolve() {
      const wire = message(asked, 2 + (asked % 4))
      return { kind: 'answer', wire, from: 'bench', prepared: prepareAnswer(wire) }
    },
  }
  const resolver = cache.layer(upstream)
  const client = { address: '192.168.1.2', transport: 'udp' }
  const { signal } = new AbortController()
  const ask = (index, wire = message(index, 0)) => {
    asked = index
    return resolver.resolve({ view: MessageView.over(wire), client, deadlineMs: 0 }, signal)
  }
  return { cache, ask }
}

/** A question, or the answer to it with this many address records. */
function message(index, records) {
  const labels = [`host-${index}`, 'some-site', 'example', 'com']
  const name = labels.map((label) => Buffer.from([label.length, ...Buffer.from(label)]))
  const header = Buffer.from([0, 0, records ? 0x81 : 1, records ? 0x80 : 0, 0, 1, 0, records, 0, 0, 0, 0])
  const record = (last) => Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 14, 16, 0, 4, 192, 0, 2, last])
  const answer = Array.from({ length: records }, (_, last) => record(last))
  return new Uint8Array(Buffer.concat([header, ...name, Buffer.from([0, 0, 1, 0, 1]), ...answer]))
}

function meanOctets() {
  let octets = 0
  for (let index = 0; index < answers; index++) octets += message(index, 2 + (index % 4)).length
  return Math.round(octets / answers)
}

function lowerBound(sums, value) {
  let [low, high] = [0, sums.length - 1]
  while (low < high) {
    const middle = (low + high) >> 1
    if (sums[middle] < value) low = middle + 1
    else high = middle
  }
  return low
}

function memory() {
  globalThis.gc?.()
  globalThis.gc?.()
  return process.memoryUsage()
}

function mb(bytes) {
  return `${(bytes / 1e6).toFixed(1)} MB`
}
