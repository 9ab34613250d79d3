/** Failures in a row that are nobody's but this authority's. */
const FAILURES_MAX = 3
const PROBE_AFTER_MS_MIN = 5_000
export const PROBE_AFTER_MS_MAX = 300_000
/** A probe that was never heard of again: whoever sent it has died. */
const PROBE_MS_MAX = 300_000
/** After an outage: 1, 2, 4 … orders in each of these, until more than that are due. */
const RAMP_WINDOW_MS = 10_000
const RAMP_ORDERS_MAX = 512

export type BreakerState = 'closed' | 'open' | 'half-open'

/**
 * Keeps orders away from an authority that is out, and gives it back to them gradually: one that has just come up again
 * must not be met by the whole backlog. Without a clock of its own, so that the service and its simulation behave alike.
 */
export class Breaker {
  #state: BreakerState = 'closed'
  #sinceMs: number
  #failures = 0
  #probeAfterMs = PROBE_AFTER_MS_MIN
  #openUntilMs = 0
  #probeSentMs = Number.NEGATIVE_INFINITY
  /** Half-open after a good probe: when the present window began, and what is left of it. */
  #rampFromMs: number | undefined
  #rampOrders = 0
  #rampLeft = 0

  constructor(nowMs: number) {
    this.#sinceMs = nowMs
  }

  get state(): BreakerState {
    return this.#state
  }

  get sinceMs(): number {
    return this.#sinceMs
  }

  /** May one more order be sent there? Asking changes nothing; who sends one says so with `sent`. */
  admits(nowMs: number): boolean {
    if (this.#state === 'closed') return true
    if (this.#state === 'open') return nowMs >= this.#openUntilMs
    if (this.#rampFromMs === undefined) return nowMs - this.#probeSentMs >= PROBE_MS_MAX
    return this.#rampLeft > 0 || nowMs - this.#rampFromMs >= RAMP_WINDOW_MS
  }

  /** Undefined: open it is not. */
  get openUntilMs(): number | undefined {
    return this.#state === 'open' ? this.#openUntilMs : undefined
  }

  /** Another instance has found the authority out. */
  heardOpen(nowMs: number, untilMs: number): void {
    if (this.#state !== 'closed' || untilMs <= nowMs) return
    this.#openUntilMs = untilMs
    this.#probeAfterMs = PROBE_AFTER_MS_MIN
    this.#move('open', nowMs)
  }

  /** When `admits` may say yes again. */
  admitsAtMs(nowMs: number): number {
    if (this.admits(nowMs)) return nowMs
    if (this.#state === 'open') return this.#openUntilMs
    return this.#rampFromMs === undefined ? this.#probeSentMs + PROBE_MS_MAX : this.#rampFromMs + RAMP_WINDOW_MS
  }

  sent(nowMs: number): void {
    if (this.#state === 'closed') return
    if (this.#rampFromMs === undefined) {
      this.#move('half-open', nowMs)
      this.#probeSentMs = nowMs
      return
    }
    if (nowMs - this.#rampFromMs >= RAMP_WINDOW_MS) {
      this.#rampFromMs = nowMs
      this.#rampOrders *= 2
      this.#rampLeft = this.#rampOrders
      if (this.#rampOrders > RAMP_ORDERS_MAX) return this.#close(nowMs)
    }
    this.#rampLeft--
  }

  /** The order that `sent` announced stays away: there is no budget for it. */
  notSent(): void {
    if (this.#rampFromMs === undefined) this.#probeSentMs = Number.NEGATIVE_INFINITY
    else this.#rampLeft++
  }

  succeeded(nowMs: number): void {
    this.#failures = 0
    if (this.#state !== 'half-open' || this.#rampFromMs !== undefined) return
    this.#rampFromMs = nowMs
    this.#rampOrders = 1
    this.#rampLeft = 1
  }

  /** `wide`: it says something about every order, not about this one alone. `retryAfterMs`: how long the CA wants to be left alone. */
  failed(nowMs: number, { wide, retryAfterMs = 0 }: { readonly wide: boolean; readonly retryAfterMs?: number }): void {
    this.#failures++
    if (this.#state === 'closed' && !wide && this.#failures < FAILURES_MAX) return
    // Those sent before it opened come back one by one; they say nothing new.
    if (this.#state === 'open') {
      this.#openUntilMs = Math.max(this.#openUntilMs, nowMs + retryAfterMs)
      return
    }
    this.#probeAfterMs =
      this.#state === 'closed' ? PROBE_AFTER_MS_MIN : Math.min(this.#probeAfterMs * 2, PROBE_AFTER_MS_MAX)
    this.#openUntilMs = nowMs + Math.max(this.#probeAfterMs, retryAfterMs)
    this.#rampFromMs = undefined
    this.#move('open', nowMs)
  }

  #close(nowMs: number): void {
    this.#rampFromMs = undefined
    this.#move('closed', nowMs)
  }

  #move(state: BreakerState, nowMs: number): void {
    if (state !== this.#state) this.#sinceMs = nowMs
    this.#state = state
  }
}
