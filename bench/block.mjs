// What a million blocked names cost: `node bench/block.mjs [NAMES]`. Prints memory, time to load, and time per question.

import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build } from 'esbuild'

const NAMES = Number(process.argv[2] ?? 1_000_000)
const QUESTIONS = 200_000
const ROUNDS = 40

const directory = await mkdtemp(join(tmpdir(), 'hearth-bench-'))
try {
  const list = join(directory, 'list.txt')
  await writeList(list)
  const { BlockLists } = await bundled()
  await measure(BlockLists, list)
} finally {
  await rm(directory, { recursive: true })
}

/** The name of the index: two to four labels, 8 to 33 characters, as in public lists. */
function nameOf(index, salt = 'x') {
  const label = (number, length) => `${salt}${(number * 2_654_435_761).toString(36)}`.slice(0, length)
  const host = index % 3 === 0 ? '' : `${label(index * 7 + 3, 3 + (index % 9))}.`
  return `${host}${label(index, 12)}${index.toString(36)}.${['com', 'net', 'org', 'co.uk', 'info'][index % 5]}`
}

async function writeList(path) {
  const file = createWriteStream(path)
  const forms = [(name) => `||${name}^`, (name) => name, (name) => `0.0.0.0 ${name}`]
  for (let index = 0; index < NAMES; index++) {
    if (!file.write(`${forms[index % 3](nameOf(index))}\n`)) await once(file, 'drain')
  }
  file.end()
  await once(file, 'finish')
}

async function bundled() {
  const outfile = join(directory, 'lists.mjs')
  const entry = fileURLToPath(new URL('../src/router/resolve/block/lists.ts', import.meta.url))
  const banner = { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url)" }
  await build({ entryPoints: [entry], bundle: true, platform: 'node', format: 'esm', outfile, banner })
  return import(pathToFileURL(outfile))
}

async function measure(BlockLists, path) {
  const log = { info() {}, warn: console.error, error: console.error }
  const clock = { monotonicMs: () => performance.now() }
  const sources = [{ id: 'bench', path, use: 'block', bit: 1 }]
  const names = Array.from({ length: 4096 }, (_, index) => wireOf(nameOf(index * 97, index % 2 === 0 ? 'x' : 'y')))
  const lists = new BlockLists({ sources, allow: { names: [], bit: 2 } }, { clock, log })

  globalThis.gc?.()
  const rssBefore = process.memoryUsage.rss()
  const cpuBefore = process.cpuUsage()
  const startedMs = performance.now()
  const longestTurnMs = longestTurn()
  await lists.load()
  const loadMs = performance.now() - startedMs
  const { user, system } = process.cpuUsage(cpuBefore)
  globalThis.gc?.()
  const rssMb = (process.memoryUsage.rss() - rssBefore) / 1e6

  const { rules } = lists
  let best = Number.POSITIVE_INFINITY
  let hits = 0
  for (let round = 0; round < ROUNDS; round++) {
    const before = process.cpuUsage()
    for (let index = 0; index < QUESTIONS; index++) if (rules.blockedBy(names[index & 4095], 0, 1, 2) !== 0) hits++
    const used = process.cpuUsage(before)
    best = Math.min(best, ((used.user + used.system) * 1000) / QUESTIONS)
  }
  console.log(`Node ${process.version}, ${NAMES} names, half of the questions blocked`)
  console.log(`names kept        ${rules.blocked.names} in a table of ${(rules.blocked.bytes / 1e6).toFixed(1)} MB`)
  console.log(`memory (RSS)      +${rssMb.toFixed(1)} MB`)
  console.log(`load              ${loadMs.toFixed(0)} ms, ${((user + system) / 1000).toFixed(0)} ms of CPU`)
  console.log(`longest turn      ${longestTurnMs().toFixed(1)} ms of CPU without letting others run`)
  console.log(
    `per question      ${best.toFixed(0)} ns of CPU (best of ${ROUNDS}; ${hits / ROUNDS} of ${QUESTIONS} blocked)`,
  )
}

/** CPU time, because on a busy machine a pause says more about the others. */
function longestTurn() {
  let longest = 0
  let over = false
  let before = process.cpuUsage()
  const turn = () => {
    const { user, system } = process.cpuUsage(before)
    longest = Math.max(longest, (user + system) / 1000)
    before = process.cpuUsage()
    if (!over) setImmediate(turn)
  }
  setImmediate(turn)
  return () => {
    over = true
    return longest
  }
}

function wireOf(name) {
  return Buffer.concat([
    ...name.split('.').map((label) => Buffer.from([label.length, ...Buffer.from(label)])),
    Buffer.of(0),
  ])
}
