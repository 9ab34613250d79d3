import { equalBytes } from '../../../core/bytes.ts'
import type { Clock } from '../../../core/clock.ts'
import { Fault } from '../../../core/fault.ts'
import { explain, type Log } from '../../../core/log.ts'
import { readFileIfThere, removeFile, writeFileAtomic } from '../../../store/file.ts'
import type { Cache } from '../cache.ts'
import { ageS } from './answers.ts'
import { HeldAnswer, type Segment } from './held-answer.ts'
import { lifetimeOf } from './lifetime.ts'
import { buildSnapshot, parseSnapshot, type SavedAnswer } from './snapshot.ts'

export interface SavedCacheOptions {
  readonly path: string
  /** The flash budget; what was used last is saved first. */
  readonly bytesMax: number
  /** SHA-256 of the settings: other upstreams may have other answers. */
  readonly settings: Uint8Array
  readonly clock: Clock
  readonly log: Log
}

/**
 * Takes the answers of the last run into the cache. Their time went on meanwhile: by the wall clock when that can be
 * believed, and else they are stale from the start. A damaged file, or one over the budget, is
 * removed; the cache then starts empty.
 */
export async function loadCache(cache: Cache, options: SavedCacheOptions): Promise<void> {
  const { path, bytesMax, settings, clock, log } = options
  try {
    const octets = await readFileIfThere(path, bytesMax)
    if (!octets) return
    const snapshot = parseSnapshot(octets)
    if (!snapshot) throw new Fault('STATE_DAMAGED', `${path} is damaged`)
    if (!equalBytes(snapshot.settings, settings)) {
      return log.info({ path }, 'the settings have changed since the cache was saved: it starts empty')
    }
    const awayS = (clock.nowMs() - snapshot.savedAtMs) / 1000
    // A clock that has not been set yet is behind the moment of saving.
    const isTrusted = awayS >= 0
    // The oldest first, so that the order of use is as it was.
    for (const { ageS, bits, scope, from, prepared } of snapshot.answers.toReversed()) {
      const pastS = isTrusted ? ageS + awayS : Math.max(ageS, lifetimeOf(prepared))
      if (pastS >= lifetimeOf(prepared) + cache.answers.staleS) continue
      const variant = cache.answers.variant(bits, scope)
      if (variant < 0) continue
      cache.answers.keep({ prepared, variant, storedMs: clock.monotonicMs() - pastS * 1000, from })
    }
    log.info({ path, answers: cache.answers.store.entries }, 'cache loaded')
  } catch (error) {
    log.warn(explain(error), 'the saved cache is not used')
    if (error instanceof Fault && error.code === 'STATE_DAMAGED') await discardCache(path)
  }
}

/** It says which names were asked for, so it does not stay when it is of no use. */
export async function discardCache(path: string): Promise<void> {
  if (await readFileIfThere(path, 0).catch(() => true)) await removeFile(path)
}

/** Once, at stop: nothing is written while the router runs (design §3.9). */
export async function saveCache(cache: Cache, options: SavedCacheOptions): Promise<void> {
  const { path, bytesMax, settings, clock } = options
  const answers = lastUsedFirst(cache, clock.monotonicMs())
  await writeFileAtomic(path, buildSnapshot(answers, { savedAtMs: clock.nowMs(), settings, bytesMax }))
}

function* lastUsedFirst({ answers }: Cache, nowMs: number): Generator<SavedAnswer> {
  const uses: { readonly usedS: number; readonly segment: Segment; readonly at: number }[] = []
  for (const held of answers.store.all()) {
    if (ageS(held, nowMs) >= held.lifetimeS + answers.staleS) continue
    uses.push({ usedS: held.usedS, segment: held.segment, at: held.at })
  }
  uses.sort((a, b) => b.usedS - a.usedS)
  const held = new HeldAnswer()
  for (const { segment, at } of uses) {
    const { bits, scope, from } = answers.particulars(held.moveTo(segment, at))
    yield { ageS: ageS(held, nowMs), bits, scope, from, message: held.message }
  }
}
