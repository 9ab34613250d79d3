import { describe, expect, it } from 'vitest'
import { hexOf } from './dns/golden.ts'
import { chainedQuestions, chainedRecords, hostilePackets, malformedRecords } from './dns/hostile.ts'
import { FUZZ_TARGETS, type FuzzTarget } from './support/fuzz-targets.ts'

/**
 * Every parser over damaged octets. `./scripts/fuzz` runs the same with more cases, another seed, or one of them alone; a
 * case is made of the seed and its own number, so that one that failed can be run again.
 */
const { HEARTH_FUZZ_CASES, HEARTH_FUZZ_SEED, HEARTH_FUZZ_ONLY, HEARTH_FUZZ_FIRST } = process.env
const CASES = Number(HEARTH_FUZZ_CASES ?? 200_000)
const SEED = Number(HEARTH_FUZZ_SEED ?? 1)
const FIRST = Number(HEARTH_FUZZ_FIRST ?? 0)
const names = Object.keys(FUZZ_TARGETS).filter((name) => HEARTH_FUZZ_ONLY === undefined || name === HEARTH_FUZZ_ONLY)
const CASES_EACH = Math.ceil(CASES / names.length)
/** Cases are short; what takes so long for one of them is not linear. */
const CASE_MS_MAX = 20
/** Much more than a case takes, all told. */
const TIMEOUT_MS = 20_000 + CASES_EACH

describe(`${CASES} cases from seed ${SEED}`, () => {
  it('of something', () => expect(names).not.toEqual([]))

  it.each(names)(
    '%s',
    (name) => {
      const target = FUZZ_TARGETS[name]!
      let slowestMs = 0
      for (let index = FIRST; index < FIRST + CASES_EACH; index++)
        slowestMs = Math.max(slowestMs, timeOf(target, caseOf(target, index), `${name}: seed ${SEED}, case ${index}`))
      expect(slowestMs).toBeLessThan(CASE_MS_MAX)
    },
    TIMEOUT_MS,
  )
})

// Those that see packets first have a stricter bound, in dns/hostile.test.ts.
it('64 KiB made to be slow are read in time', () => {
  for (const packet of [chainedQuestions(), chainedRecords(), malformedRecords()])
    for (const name of names) expect(timeOf(FUZZ_TARGETS[name]!, packet, name)).toBeLessThan(CASE_MS_MAX)
})

/** Two numbers in one, the same way for ever. */
function caseOf({ samples }: FuzzTarget, index: number): Uint8Array {
  const seed = Math.imul(SEED, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca6b)
  return hostilePackets(seed, 1, samples).next().value!
}

/** Milliseconds that it takes: when it was slow, the best of five, because the machine may be busy with something else. */
function timeOf(target: FuzzTarget, octets: Uint8Array, what: string): number {
  const run = (): number => {
    const startMs = performance.now()
    try {
      target.run(octets)
    } catch (error) {
      throw new Error(`${what}: ${String(error)}, with ${hexOf(octets).slice(0, 4_000)}`, { cause: error })
    }
    return performance.now() - startMs
  }
  const firstMs = run()
  if (firstMs < CASE_MS_MAX) return firstMs
  const bestMs = Math.min(...Array.from({ length: 5 }, run))
  if (bestMs >= CASE_MS_MAX) throw new Error(`${what} takes ${bestMs} ms, with ${hexOf(octets).slice(0, 4_000)}`)
  return bestMs
}
