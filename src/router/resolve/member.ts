import type { Clock } from '../../core/clock.ts'
import { Fault, reasonOf } from '../../core/fault.ts'
import { explain, type Log } from '../../core/log.ts'
import { RCODE } from '../../dns/codes.ts'
import type { MessageView } from '../../dns/view.ts'
import { DelayLine } from './delay-line.ts'
import type { Outcome, Query, Upstream } from './resolver.ts'
import { RoundTrip } from './round-trip.ts'

/** How long an upstream may take before another one is asked beside it, and a failure counted (dns §9.10). */
export const PATIENCE_MS = 2_000
/** The same for one whose last answer did not come: more than most answers from the network take. */
export const PATIENCE_SUSPECT_MS = 400
/** Failures in a row after which an upstream is down (dns §9.10). */
const FAILURES_UNTIL_DOWN = 3
/** How often one that failed is tried: after a second, then after twice as long each time (dns §9.10). */
const PROBE_MS_MIN = 1_000
const PROBE_MS_MAX = 60_000
/** Twice the usual patience: whoever is merely slow is not down. So up to four probes are under way at one time. */
const PROBE_ANSWER_MS = 2 * PATIENCE_MS
/** While people ask in vain, every second: their patience counts more than the load. After them, at the distances above. */
const HURRY_MS = 30_000

export interface MemberContext {
  readonly clock: Clock
  readonly log: Log
  /** Called when one that was down answers. */
  readonly onRecovery: () => void
}

/** Whoever waits for a member. `answered` or `failed` is called once, `slow` at most once before, to ask another beside it. */
export interface Asker {
  answered(outcome: Outcome): void
  failed(error: unknown): void
  slow(): void
}

/** Timers that the members of all pools share. */
export interface Patience {
  readonly usual: DelayLine
  readonly suspect: DelayLine
}

export function createPatience(clock: Clock): Patience {
  return { usual: new DelayLine(clock, PATIENCE_MS), suspect: new DelayLine(clock, PATIENCE_SUSPECT_MS) }
}

/**
 * One upstream, and whether it is worth asking. Up until three failures in a row, of which not all may be questions
 * nobody answered in time: that may be the fault of the name. So the first failure starts probes beside the questions,
 * and they go on until an answer comes.
 */
export class Member {
  readonly upstream: Upstream
  readonly #probe: MessageView
  readonly #context: MemberContext
  readonly #patience: Patience
  readonly #roundTrip = new RoundTrip()
  #queries = 0
  #failures = 0
  #failuresInARow = 0
  /** One of the failures in a row was the upstream's beyond doubt. */
  #isCertain = false
  #lastFailure: unknown
  /** When the last answer came. What was sent before and failed says nothing about now. */
  #answeredMs = Number.NEGATIVE_INFINITY
  #refusal: Fault | undefined
  #probing = false
  #probeWaitMs = PROBE_MS_MIN
  #probedMs = 0
  #hurriedUntilMs = 0
  /** Ends the wait between two probes. */
  #wake: AbortController | undefined
  #stopped = false

  /** `probe`: a question that any upstream of its kind can answer. */
  constructor(upstream: Upstream, probe: MessageView, patience: Patience, context: MemberContext) {
    this.upstream = upstream
    this.#probe = probe
    this.#patience = patience
    this.#context = context
  }

  get isDown(): boolean {
    return this.#refusal !== undefined || (this.#failuresInARow >= FAILURES_UNTIL_DOWN && this.#isCertain)
  }

  /** Why the last question or probe failed. */
  get lastFailure(): unknown {
    return this.#refusal ?? this.#lastFailure
  }

  expectedMs(): number {
    return this.#roundTrip.expectedMs(this.#context.clock.monotonicMs())
  }

  status(): {
    readonly id: string
    readonly state: 'up' | 'down'
    readonly rttMs?: number
    readonly queries: number
    readonly failures: number
    readonly failuresInARow: number
    readonly lastError?: string
  } {
    const { meanMs } = this.#roundTrip
    return {
      id: this.upstream.id,
      state: this.isDown ? 'down' : 'up',
      ...(meanMs === undefined ? {} : { rttMs: Math.round(meanMs * 10) / 10 }),
      queries: this.#queries,
      failures: this.#failures,
      failuresInARow: this.#failuresInARow,
      ...(this.lastFailure === undefined ? {} : { lastError: reasonOf(this.lastFailure) }),
    }
  }

  /** Asks the upstream, and tells `asker` what becomes of it: no promises of our own, because every miss comes by here. */
  ask(query: Query, signal: AbortSignal, asker: Asker): void {
    if (this.#refusal) return asker.failed(this.#refusal)
    const { usual, suspect } = this.#patience
    const startMs = this.#context.clock.monotonicMs()
    const isSuspect = this.#failuresInARow > 0
    let isLate = false
    this.#queries++
    const late = usual.add(() => {
      isLate = true
      this.#overdue(startMs)
      if (!isSuspect) asker.slow()
    }, startMs)
    const slow = isSuspect ? suspect.add(() => asker.slow(), startMs) : undefined
    const over = (): void => {
      usual.remove(late)
      if (slow) suspect.remove(slow)
    }
    const succeeded = (outcome: Outcome): void => {
      over()
      if (isFailure(outcome)) this.#failures++
      else this.#answered(this.#context.clock.monotonicMs() - startMs, isLate)
      asker.answered(outcome)
    }
    const failed = (error: unknown): void => {
      over()
      // Without its two seconds it had no fair chance, and with them the failure has been counted.
      if (!isTimeout(error)) this.#failed(error, 'certainly', startMs)
      asker.failed(error)
    }
    try {
      const outcome = this.upstream.resolve(query, signal)
      if (outcome instanceof Promise) outcome.then(succeeded).catch(failed)
      else succeeded(outcome)
    } catch (error) {
      failed(error)
    }
  }

  /** Someone asks in vain, because all are down. */
  hurry(): void {
    const nowMs = this.#context.clock.monotonicMs()
    this.#hurriedUntilMs = nowMs + HURRY_MS
    if (nowMs - this.#probedMs >= PROBE_MS_MIN) this.#wake?.abort()
  }

  /** The way to it may have changed. One that is not in order is probed at once. */
  reset(): void {
    this.upstream.reset?.()
    this.#probeWaitMs = PROBE_MS_MIN
    this.#wake?.abort()
  }

  /** Takes it out of use for a reason other than its answers, or back into it. */
  refuse(reason: Fault | undefined): void {
    if (this.#refusal?.message === reason?.message) return
    this.#change(() => (this.#refusal = reason))
  }

  stop(): void {
    this.#stopped = true
    this.#wake?.abort()
    this.upstream.close?.()
  }

  #overdue(sentMs: number): void {
    this.#roundTrip.add(PATIENCE_MS, this.#context.clock.monotonicMs())
    this.#failed(new Fault('UPSTREAM_TIMEOUT', `${this.upstream.id} did not answer in time`), 'perhaps', sentMs)
  }

  /** A late answer says that the upstream is there, and no more: it stays suspect. */
  #answered(tookMs: number, isLate: boolean): void {
    const nowMs = this.#context.clock.monotonicMs()
    this.#answeredMs = nowMs
    if (!isLate) this.#roundTrip.add(tookMs, nowMs)
    if (this.#failuresInARow === 0) return
    this.#change(() => {
      this.#isCertain = false
      if (isLate) return
      this.#failuresInARow = 0
      this.#lastFailure = undefined
      this.#probeWaitMs = PROBE_MS_MIN
      this.#wake?.abort()
    })
  }

  #failed(error: unknown, whose: 'certainly' | 'perhaps', sentMs: number): void {
    this.#failures++
    if (sentMs < this.#answeredMs) return
    this.#change(() => {
      this.#failuresInARow++
      this.#isCertain ||= whose === 'certainly'
      this.#lastFailure = error
    })
    if (!this.#probing && !this.#stopped) void this.#probeUntilItAnswers()
  }

  /** One line for each change of state, whatever happens in between. */
  #change(change: () => void): void {
    const wasDown = this.isDown
    change()
    if (wasDown === this.isDown) return
    const { log, onRecovery } = this.#context
    const upstream = this.upstream.id
    if (this.isDown) return log.warn({ upstream, ...explain(this.lastFailure) }, 'upstream is down')
    log.info({ upstream }, 'upstream answers again')
    onRecovery()
  }

  async #probeUntilItAnswers(): Promise<void> {
    this.#probing = true
    while (this.#failuresInARow > 0 && !this.#stopped) {
      if (!this.#refusal) void this.#probeOnce()
      this.#wake = new AbortController()
      await this.#context.clock.sleep(this.#takeProbeWaitMs(), this.#wake.signal).catch(() => {})
    }
    this.#probing = false
  }

  #takeProbeWaitMs(): number {
    if (this.#context.clock.monotonicMs() < this.#hurriedUntilMs) return PROBE_MS_MIN
    const waitMs = this.#probeWaitMs
    this.#probeWaitMs = Math.min(PROBE_MS_MAX, 2 * waitMs)
    return waitMs
  }

  async #probeOnce(): Promise<void> {
    const { clock } = this.#context
    const startMs = clock.monotonicMs()
    this.#probedMs = startMs
    try {
      const outcome = await this.upstream.resolve(
        { view: this.#probe, client: PROBE_CLIENT, deadlineMs: startMs + PROBE_ANSWER_MS },
        NOBODYS_SIGNAL,
      )
      // REFUSED too shows that somebody is there; SERVFAIL is what a forwarder without a link of its own says.
      if (outcome.kind === 'answer' && rcodeOf(outcome.wire) === RCODE.SERVFAIL)
        throw new Fault('UPSTREAM_BROKEN', `${this.upstream.id} answers, but cannot resolve (SERVFAIL)`)
      const tookMs = clock.monotonicMs() - startMs
      this.#answered(tookMs, tookMs > PATIENCE_MS)
    } catch (error) {
      this.#failed(error, 'certainly', startMs)
    }
  }
}

const PROBE_CLIENT = { address: '127.0.0.1', transport: 'udp' } as const
const NOBODYS_SIGNAL = new AbortController().signal

/** Answers that say more about the server than about the name: another one may do better. */
const FAILURES: readonly number[] = [RCODE.SERVFAIL, RCODE.REFUSED, RCODE.NOTIMP, RCODE.FORMERR]

export function isFailure(outcome: Outcome): boolean {
  return outcome.kind === 'answer' && FAILURES.includes(rcodeOf(outcome.wire))
}

export function isTimeout(error: unknown): boolean {
  return error instanceof Fault && error.code === 'UPSTREAM_TIMEOUT'
}

function rcodeOf(wire: Uint8Array): number {
  return wire[3]! & 0x0f
}
