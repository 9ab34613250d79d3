// One measured stretch of load, in the generator's process: warm up, count, read the server's CPU, print one JSON line.
import { readFileSync, writeSync } from 'node:fs'
import { cpuUs } from './cost.mjs'

const WARM_UP_MS = 500
/** Latencies are counted per microsecond up to here; slower ones count as this. */
const LATENCY_US_MAX = 1_000_000

/**
 * @typedef {object} Measured
 * @property {number} answers
 * @property {number} seconds
 * @property {number} cpuUs of the server
 * @property {number} p50Us
 * @property {number} p99Us
 */

/** What a generator is told: the server's port and pid, for how long, and what its kind of load needs. */
export const job = readJob()

/** On the command line, or `@FILE`. */
function readJob() {
  const [, , given = '{}'] = process.argv
  return JSON.parse(given.startsWith('@') ? readFileSync(given.slice(1), 'utf8') : given)
}

export class Latencies {
  #counts = new Uint32Array(LATENCY_US_MAX + 1)
  count = 0

  add(us) {
    this.#counts[Math.min(Math.round(us), LATENCY_US_MAX)]++
    this.count++
  }
  /** The latency that `share` of all stay below. */
  at(share) {
    let left = share * this.count
    let us = 0
    while (us < LATENCY_US_MAX && (left -= this.#counts[us]) > 0) us++
    return us
  }
}

/** Counts from the end of the warm-up; when the time is over it prints what was measured and ends the process. */
export class Stretch {
  #latencies = new Latencies()
  #counting = false

  constructor() {
    setTimeout(() => {
      const startedMs = performance.now()
      const before = cpuUs(job.pid)
      this.#counting = true
      setTimeout(
        () => report(this.#latencies, (performance.now() - startedMs) / 1000, cpuUs(job.pid) - before),
        job.seconds * 1000,
      )
    }, WARM_UP_MS)
  }

  /** `sentMs` and `nowMs` as performance.now() gives them. */
  answered(sentMs, nowMs) {
    if (this.#counting) this.#latencies.add((nowMs - sentMs) * 1000)
  }
}

/** @param {Latencies} latencies */
export function report(latencies, seconds, us) {
  if (latencies.count === 0) fail('no answer came')
  const measured = { answers: latencies.count, seconds, cpuUs: us, p50Us: latencies.at(0.5), p99Us: latencies.at(0.99) }
  process.stdout.write(JSON.stringify(measured), () => process.exit())
}

/** A server that answers wrongly has no figure. */
export function fail(reason) {
  writeSync(process.stderr.fd, reason)
  process.exit(1)
}
