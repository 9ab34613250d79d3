import type { Clock } from '../../../core/clock.ts'
import { explain, type Log } from '../../../core/log.ts'
import type { Answer, Outcome, Query } from '../resolver.ts'
import type { CachedAnswers } from './answers.ts'
import type { HeldAnswer } from './held-answer.ts'
import { isFailure } from './lifetime.ts'

/** How long a client waits for a refresh while there is a stale answer: the client response timer of RFC 8767 §5. */
const CLIENT_RESPONSE_MS = 1_800
/** A refresh that failed is not tried again sooner (RFC 8767 §5). */
const RETRY_S = 30
/** A refresh ahead of time is for names that are asked for again and again, and live long enough to make it worth it. */
const PREFETCH_HITS_MIN = 2
const PREFETCH_LIFETIME_S_MIN = 10
/** It starts when this share of the lifetime is left. */
const PREFETCH_SHARE = 1 / 10
/** Refreshes ahead of time under way at once: they must not crowd out the questions somebody waits for. */
const PREFETCHES_MAX = 64
/** As long as a listener waits for an answer. */
const REFRESH_MS_MAX = 5_000
/** A refresh belongs to nobody who could go away. */
const NOBODYS_SIGNAL = new AbortController().signal

/** Since the start, counted up here. */
export interface RefreshCounts {
  staleServed: number
  /** Refreshes ahead of time. */
  prefetches: number
}

/** Refreshes that failed, as all chains over one cache see them. */
export class Trials {
  /** What was tried up to this second was tried over a link that is another one now. */
  forgottenS = 0

  /** Refreshes that failed may be tried again at once. */
  forget(nowMs: number): void {
    this.forgottenS = secondAfter(nowMs)
  }
}

/** Asks the next layer and keeps what it says. */
export type Ask = (query: Query, variant: number, signal: AbortSignal) => Outcome | Promise<Outcome>

/** Renews what is held: ahead of its end when it is popular, and after its end while the old answer helps out (RFC 8767). */
export class Refreshes {
  readonly #answers: CachedAnswers
  readonly #ask: Ask
  readonly #clock: Clock
  readonly #log: Log | undefined
  #prefetching = 0
  readonly #counts: RefreshCounts
  readonly #trials: Trials

  constructor(
    answers: CachedAnswers,
    ask: Ask,
    options: { readonly clock: Clock; readonly log?: Log; readonly counts: RefreshCounts; readonly trials: Trials },
  ) {
    this.#answers = answers
    this.#ask = ask
    this.#clock = options.clock
    this.#log = options.log
    this.#counts = options.counts
    this.#trials = options.trials
  }

  /** Whether a refresh is worth starting now that this much is left; called for every hit, so the usual no comes first. */
  isDue(held: HeldAnswer, leftS: number, nowMs: number): boolean {
    const { lifetimeS } = held
    return (
      leftS <= lifetimeS * PREFETCH_SHARE &&
      lifetimeS >= PREFETCH_LIFETIME_S_MIN &&
      held.hits >= PREFETCH_HITS_MIN &&
      this.#prefetching < PREFETCHES_MAX &&
      this.#mayTry(held, nowMs)
    )
  }

  /** One at a time for each question: it counts as tried from now on. What is held goes on being given meanwhile. */
  startAhead(held: HeldAnswer, query: Query, variant: number, nowMs: number): void {
    held.triedS = secondAfter(nowMs)
    this.#prefetching++
    this.#counts.prefetches++
    const ask = async (): Promise<Outcome> =>
      this.#ask({ ...query, deadlineMs: nowMs + REFRESH_MS_MAX }, variant, NOBODYS_SIGNAL)
    ask()
      .catch((error: unknown) => this.#complain(error))
      .finally(() => this.#prefetching--)
  }

  /** A fresh answer if one comes in time, else the stale one; that at once while a refresh has failed lately or is slow. */
  resolveStale(held: HeldAnswer, query: Query, variant: number, nowMs: number): Outcome | Promise<Outcome> {
    if (!this.#mayTry(held, nowMs)) return this.#serveStale(held, query)
    const refresh = this.#ask(query, variant, NOBODYS_SIGNAL)
    if (refresh instanceof Promise) return this.#freshOrStale(query, variant, refresh)
    return isSuccess(refresh) ? refresh : (this.#fallBack(query, variant) ?? refresh)
  }

  async #freshOrStale(query: Query, variant: number, refresh: Promise<Outcome>): Promise<Outcome> {
    const timer = new AbortController()
    const late = this.#clock.sleep(CLIENT_RESPONSE_MS, timer.signal).catch(() => {})
    const asked = refresh.catch((error: unknown) => this.#complain(error))
    const first = await Promise.race([asked, late])
    timer.abort()
    if (first && isSuccess(first)) return first
    return this.#fallBack(query, variant) ?? first ?? refresh
  }

  /** Undefined when the stale answer has gone meanwhile. */
  #fallBack(query: Query, variant: number): Answer | undefined {
    const nowMs = this.#clock.monotonicMs()
    const held = this.#answers.findStale(query.view, variant, nowMs)
    if (!held) return undefined
    held.triedS = secondAfter(nowMs)
    const answer = this.#serveStale(held, query)
    return { ...answer, wire: answer.wire.slice() } // others are answered before this one is sent
  }

  #serveStale(held: HeldAnswer, query: Query): Answer {
    this.#counts.staleServed++
    held.countHit(Math.floor(this.#clock.monotonicMs() / 1000))
    return this.#answers.staleAnswer(held, query.view)
  }

  #mayTry(held: HeldAnswer, nowMs: number): boolean {
    return held.triedS <= this.#trials.forgottenS || Math.floor(nowMs / 1000) - held.triedS >= RETRY_S
  }

  #complain(error: unknown): undefined {
    this.#log?.error(explain(error), 'a refresh failed by a bug of ours')
  }
}

/** Zero is kept for "never". */
function secondAfter(nowMs: number): number {
  return Math.max(1, Math.ceil(nowMs / 1000))
}

/** What replaces stale data: NOERROR and NXDOMAIN, nothing else (RFC 8767 §4). */
function isSuccess(outcome: Outcome): boolean {
  return outcome.kind === 'answer' && !isFailure(outcome.wire[3]! & 0x0f) && (outcome.wire[2]! & 0x02) === 0
}
