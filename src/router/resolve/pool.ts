import type { Clock } from '../../core/clock.ts'
import { Fault } from '../../core/fault.ts'
import { buildReply } from '../../dns/answer.ts'
import { EXTENDED_ERROR, RCODE } from '../../dns/codes.ts'
import { isFailure, isTimeout, type Member } from './member.ts'
import type { Answer, Outcome, Query, Resolver } from './resolver.ts'
import { type Choice, STRATEGIES, type Strategy } from './strategy.ts'

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
      const lastResort = up.length === members.length ? [] : members.filter((member) => member.isDown)
      const deadlineMs = Math.min(query.deadlineMs, clock.monotonicMs() + ANSWER_MS_MAX)
      return new Race({ inOrder: [...inOrder, ...lastResort], atOnce }, { ...query, deadlineMs }, signal, clock).run()
    },
  }
}

/** One question on its way through the members of a pool. */
class Race {
  readonly #choice: Choice
  readonly #query: Query
  readonly #signal: AbortSignal
  readonly #clock: Clock
  #next = 0
  #running = 0
  #settle: ((outcome: Outcome) => void) | undefined
  /** The last answer that was of no use, given when nobody does better. */
  #refusal: Outcome | undefined
  #reason: unknown = new Fault('UPSTREAM_TIMEOUT', 'no upstream was asked in time')

  constructor(choice: Choice, query: Query, signal: AbortSignal, clock: Clock) {
    this.#choice = choice
    this.#query = query
    this.#signal = signal
    this.#clock = clock
  }

  run(): Promise<Outcome> {
    return new Promise((settle) => {
      this.#settle = settle
      for (let count = 0; count < this.#choice.atOnce; count++) this.#askNext()
      this.#endIfOver()
    })
  }

  #askNext(): void {
    const member = this.#choice.inOrder[this.#next]
    if (!this.#settle || !member || this.#signal.aborted) return
    if (this.#clock.monotonicMs() >= this.#query.deadlineMs) return
    this.#next++
    this.#running++
    void this.#ask(member)
  }

  async #ask(member: Member): Promise<void> {
    try {
      const outcome = await member.ask(this.#query, this.#signal, () => this.#askNext())
      if (isFailure(outcome)) this.#refusal = outcome
      else this.#end(outcome)
    } catch (error) {
      this.#reason = error
    }
    this.#running--
    this.#askNext()
    this.#endIfOver()
  }

  #endIfOver(): void {
    if (this.#running === 0) this.#end(this.#refusal ?? failureAnswer(this.#query, this.#reason))
  }

  #end(outcome: Outcome): void {
    this.#settle?.(outcome)
    this.#settle = undefined
  }
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
