import assert from 'node:assert'
import type { Clock } from '../../core/clock.ts'
import type { Log } from '../../core/log.ts'
import { buildReply, type PreparedAnswer, prepareAnswer, writeAnswer } from '../../dns/answer.ts'
import { EXTENDED_ERROR } from '../../dns/codes.ts'
import { ageS, CachedAnswers } from './cache/answers.ts'
import { type Failure, Failures } from './cache/failures.ts'
import type { HeldAnswer } from './cache/held-answer.ts'
import { type ExplainScoped, explainCache } from './cache/inspection.ts'
import { cacheKey } from './cache/key.ts'
import { isFailure, lifetimeOf } from './cache/lifetime.ts'
import { type Ask, Refreshes, Trials } from './cache/refreshes.ts'
import type { Layer } from './chain.ts'
import type { Answer, Outcome, Query } from './resolver.ts'

export interface CacheOptions {
  readonly bytesMax: number
  /** How long after their end answers may help out (RFC 8767); absent or 0: not at all. */
  readonly serveStaleMs?: number
  /** Renew popular answers shortly before their end. */
  readonly prefetch?: boolean
  /** An NXDOMAIN denies the names below too (RFC 8020). */
  readonly nxdomainCut?: boolean
  /** Domains with upstreams of their own. */
  readonly routedDomains?: readonly string[]
  readonly clock: Clock
  /** Hears of refreshes that failed by a bug, which nobody waited for. */
  readonly log?: Log
}

export interface CacheStatus {
  readonly entries: number
  /** Octets of the answers held, of the memory taken for them, and the most that is ever taken. */
  readonly bytes: number
  readonly allocatedBytes: number
  readonly bytesMax: number
  readonly hits: number
  /** Questions that were passed on. */
  readonly misses: number
  readonly staleServed: number
  readonly prefetches: number
  /** Questions remembered because they failed, and answers given from that memory. */
  readonly failures: number
  readonly failuresServed: number
  readonly evictions: number
}

export interface Cache {
  /** May be laid over one chain after the other: a reload that changes nothing below keeps the answers. */
  readonly layer: Layer
  readonly answers: CachedAnswers
  readonly failures: Failures
  status(): CacheStatus
  readonly explain: ExplainScoped
  /** The link or the upstreams have changed: what failed before is asked again at once. */
  flushFailures(): void
}

/**
 * Answers that may be given again, bounded in bytes. Age is counted on the monotonic clock, so a step of the wall clock
 * neither revives nor kills an entry. A hit is copied once into one reused buffer, in the tick that asks. What is not held
 * fresh is looked for in this order: a denial of the name or of one above it, a stale answer, a recent failure, the next
 * layer.
 */
export function withCache(options: CacheOptions): Cache {
  const { clock } = options
  const answers = new CachedAnswers({
    bytesMax: options.bytesMax,
    staleS: (options.serveStaleMs ?? 0) / 1000,
    cutsBelow: options.nxdomainCut === true,
    routedDomains: options.routedDomains ?? [],
    monotonicMs: () => clock.monotonicMs(),
  })
  const failures = new Failures()
  const counts = { hits: 0, misses: 0, staleServed: 0, prefetches: 0, failuresServed: 0 }
  const trials = new Trials()

  const settle = (query: Query, variant: number, outcome: Outcome): Outcome => {
    if (outcome.kind !== 'answer') return outcome
    const { from, extendedErrors } = outcome
    const prepared = outcome.prepared ?? prepareAnswer(outcome.wire)
    assert(prepared, `${from} made a message that is none`)
    const nowMs = clock.monotonicMs()
    if (isFailure(prepared.rcode)) {
      failures.note(cacheKey(query), failureOf(outcome, prepared), nowMs)
      if (isWithheld(outcome)) answers.forget(query.view, variant)
    } else if (!prepared.truncated) {
      if (failures.size > 0) failures.forget(cacheKey(query))
      answers.keep({ prepared, variant, storedMs: nowMs, from, ...(extendedErrors ? { extendedErrors } : {}) })
    }
    // The flight may have been shared, so the id, letter case and flags are this asker's, not the first one's. That goes
    // for failures too.
    const wire = new Uint8Array(prepared.wire.length)
    writeAnswer(prepared, wire, 0, query.view, 0)
    const freshS = lifetimeOf(prepared)
    return {
      kind: 'answer',
      wire,
      from,
      ...(freshS > 0 ? { freshS } : {}),
      ...(extendedErrors ? { extendedErrors } : {}),
    }
  }

  const layer: Layer = (next) => {
    const ask: Ask = (query, variant, signal) => {
      const outcome = next.resolve(query, signal)
      return outcome instanceof Promise
        ? outcome.then((settled) => settle(query, variant, settled))
        : settle(query, variant, outcome)
    }
    const renewing = new Refreshes(answers, ask, { ...options, counts, trials })

    const hit = (held: HeldAnswer, query: Query, variant: number, nowMs: number): Answer | undefined => {
      const answer = answers.answer(held, query.view, nowMs)
      if (!answer) return undefined
      counts.hits++
      held.countHit(Math.floor(nowMs / 1000))
      // A denial of a name above is renewed when that name is asked for.
      const isOwn = held.questionEnd === query.view.questionEnd
      if (options.prefetch && renewing.isDue(held, answer.freshS!, nowMs) && isOwn)
        renewing.startAhead(held, query, variant, nowMs)
      return answer
    }

    const resolveUnheld = (query: Query, variant: number, signal: AbortSignal, nowMs: number) => {
      const { view } = query
      const denial = answers.findDenial(view, variant, nowMs)
      const denied = denial && hit(denial, query, variant, nowMs)
      if (denied) return denied
      const stale = answers.findStale(view, variant, nowMs)
      if (stale) return renewing.resolveStale(stale, query, variant, nowMs)
      const failure = failures.size > 0 ? failures.find(cacheKey(query), nowMs) : undefined
      if (failure) {
        counts.failuresServed++
        const { rcode, extendedErrors } = failure
        return { kind: 'answer', wire: buildReply(view, { rcode }), from: 'cache', extendedErrors } satisfies Answer
      }
      counts.misses++
      return ask(query, variant, signal)
    }

    return {
      id: 'cache',
      resolve(query, signal) {
        const { view } = query
        // A signed message is between its two ends (RFC 5625 §4.5).
        const variant = view.signed ? -1 : answers.variantOf(query)
        if (variant < 0) return next.resolve(query, signal)
        const nowMs = clock.monotonicMs()
        const held = answers.find(view, variant)
        const answer = held && ageS(held, nowMs) < held.lifetimeS ? hit(held, query, variant, nowMs) : undefined
        return answer ?? resolveUnheld(query, variant, signal, nowMs)
      },
    }
  }

  return {
    layer,
    answers,
    failures,
    status: () => ({
      entries: answers.store.entries,
      bytes: answers.store.bytes,
      allocatedBytes: answers.store.allocatedBytes,
      bytesMax: options.bytesMax,
      ...counts,
      failures: failures.size,
      evictions: answers.store.evictions,
    }),
    explain: explainCache({ answers, failures }, () => clock.monotonicMs()),
    flushFailures() {
      failures.clear()
      trials.forget(clock.monotonicMs())
    },
  }
}

/** Refused on purpose, by a list of ours or of the upstream: what was held before must not help out. */
function isWithheld({ extendedErrors = [] }: Answer): boolean {
  return extendedErrors.some(({ code }) => WITHHOLDING.has(code))
}
const WITHHOLDING: ReadonlySet<number> = new Set([
  EXTENDED_ERROR.BLOCKED,
  EXTENDED_ERROR.CENSORED,
  EXTENDED_ERROR.FILTERED,
])

/** Nobody was reached when our own layers say so: an upstream that speaks of unreachable servers was reached itself. */
function failureOf({ prepared, extendedErrors = [] }: Answer, { rcode }: PreparedAnswer): Failure {
  const isUnreachable =
    prepared === undefined &&
    extendedErrors.some(
      ({ code }) => code === EXTENDED_ERROR.NO_REACHABLE_AUTHORITY || code === EXTENDED_ERROR.NETWORK_ERROR,
    )
  return { rcode: rcode & 0x0f, extendedErrors, isUnreachable }
}
