import type { Clock } from '../../core/clock.ts'
import { Fault } from '../../core/fault.ts'
import { buildReply } from '../../dns/answer.ts'
import { EXTENDED_ERROR, RCODE } from '../../dns/codes.ts'
import { type Asker, isFailure, isTimeout, type Member } from './member.ts'
import type { Answer, Outcome, Query, Resolver } from './resolver.ts'
import { STRATEGIES, type Strategy } from './strategy.ts'

/** A question that nobody answers in this time has failed: clients ask again after about as long (dns §9.10). */
const ANSWER_MS_MAX = 5_000

/**
 * Upstreams that may answer for one another. The strategy says who is asked first; the next one is asked as soon as one
 * fails, and beside one that is slow, which stays asked. Each is asked once at most, so that a question is never sent to
 * one server more often than its transport repeats it (RFC 9520 §3.1). The first usable answer counts; what the others
 * say later only tells how they are. It never throws: a question nobody could answer becomes SERVFAIL with the reason
 * as an extended error (RFC 8914), and at once when all are down.
 */
export function createPool(
  members: readonly Member[],
  { strategy, clock, random }: { readonly strategy: Strategy; readonly clock: Clock; readonly random: () => number },
): Resolver {
  return {
    id: 'pool',
    resolve(query, signal) {
      const up = members.filter((member) => !member.isDown)
      if (up.length === 0) {
        for (const member of members) member.hurry()
        return failureAnswer(query, members[0]!.lastFailure, 'all upstreams are down: ')
      }
      const { inOrder, atOnce } = STRATEGIES[strategy](up, random)
      const candidates =
        up.length === members.length ? inOrder : [...inOrder, ...members.filter(({ isDown }) => isDown)]
      const latestMs = clock.monotonicMs() + ANSWER_MS_MAX
      const bounded = query.deadlineMs <= latestMs ? query : { ...query, deadlineMs: latestMs }
      return new Promise((settle) => new Race(candidates, bounded, signal, clock, settle).start(atOnce))
    },
  }
}

/** One question on its way through the members of a pool. */
class Race implements Asker {
  readonly #candidates: readonly Member[]
  readonly #query: Query
  readonly #signal: AbortSignal
  readonly #clock: Clock
  readonly #settle: (outcome: Outcome) => void
  #isOver = false
  #next = 0
  #running = 0
  /** The last answer that was of no use, given when nobody does better. */
  #refusal: Outcome | undefined
  /** Why the last one failed. */
  #reason: unknown

  constructor(
    candidates: readonly Member[],
    query: Query,
    signal: AbortSignal,
    clock: Clock,
    settle: (outcome: Outcome) => void,
  ) {
    this.#candidates = candidates
    this.#query = query
    this.#signal = signal
    this.#clock = clock
    this.#settle = settle
  }

  start(atOnce: number): void {
    for (let count = 0; count < atOnce; count++) this.#askNext()
    this.#endIfNobodyIsAsked()
  }

  answered(outcome: Outcome): void {
    if (isFailure(outcome)) this.#refusal = outcome
    else this.#end(outcome)
    this.#goOn()
  }

  failed(error: unknown): void {
    this.#reason = error
    this.#goOn()
  }

  slow(): void {
    this.#askNext()
  }

  #goOn(): void {
    this.#running--
    this.#askNext()
    this.#endIfNobodyIsAsked()
  }

  #askNext(): void {
    const member = this.#candidates[this.#next]
    if (this.#isOver || !member || this.#signal.aborted) return
    if (this.#clock.monotonicMs() >= this.#query.deadlineMs) return
    this.#next++
    this.#running++
    member.ask(this.#query, this.#signal, this)
  }

  #endIfNobodyIsAsked(): void {
    if (this.#running > 0 || this.#isOver) return
    this.#end(this.#refusal ?? failureAnswer(this.#query, this.#reason ?? nobodyAsked()))
  }

  #end(outcome: Outcome): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#settle(outcome)
  }
}

/** Made when it is needed: an error costs more than the rest of a question, because of its stack. */
function nobodyAsked(): Fault {
  return new Fault('UPSTREAM_TIMEOUT', 'no upstream was asked in time')
}

function failureAnswer(query: Query, reason: unknown, prefix = ''): Answer {
  const code = isTimeout(reason) ? EXTENDED_ERROR.NO_REACHABLE_AUTHORITY : EXTENDED_ERROR.NETWORK_ERROR
  return {
    kind: 'answer',
    wire: buildReply(query.view, { rcode: RCODE.SERVFAIL }),
    from: 'pool',
    extendedErrors: [{ code, text: prefix + (reason instanceof Fault ? reason.message : 'internal error') }],
  }
}
