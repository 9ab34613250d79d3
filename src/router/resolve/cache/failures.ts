import { EXTENDED_ERROR } from '../../../dns/codes.ts'
import type { ExtendedError } from '../../../dns/edns.ts'
import { skipPlainName } from '../../../dns/name.ts'

/** RFC 9520 §3.2: at least one second, at most five minutes, longer each time. */
const HOLD_MS_MIN = 1_000
const HOLD_MS_MAX = 300_000
/** Where doubling ends: a name that is mended is found again within a minute. */
const BACK_OFF_MS_MAX = 60_000
/**
 * When no upstream was reached it is our link that is down. Two seconds after it is back questions go out again, whether or
 * not anybody told us of the change (`flushFailures`): from the link's return to the first answer it takes under five.
 */
const UNREACHABLE_MS_MAX = 2_000
/** How long a question that failed is remembered for its next failure to be held longer. */
const REMEMBERED_MS = HOLD_MS_MAX
/** Some 500 octets each: a megabyte. A flood of failing names pushes out the oldest. */
const FAILURES_MAX = 2048

const CACHED_ERROR: ExtendedError = { code: EXTENDED_ERROR.CACHED_ERROR }

export interface Failure {
  /** The four bits of the header. */
  readonly rcode: number
  readonly extendedErrors: readonly ExtendedError[]
  /** No upstream was reached, rather than one saying so. */
  readonly isUnreachable: boolean
}

/** On the monotonic clock. */
interface Held extends Failure {
  readonly holdMs: number
  readonly untilMs: number
}

/** Questions that failed a short time ago: they are not asked again while it is likely that they fail again (RFC 9520). */
export class Failures {
  readonly #held = new Map<string, Held>()

  get size(): number {
    return this.#held.size
  }

  /** The failure to answer with, and for how long still. Extended error 13 stands beside what was said the first time. */
  find(key: string, nowMs: number): (Failure & { readonly leftMs: number }) | undefined {
    const held = this.#held.get(key)
    if (!held || nowMs >= held.untilMs) return undefined
    return { ...held, extendedErrors: [...held.extendedErrors, CACHED_ERROR], leftMs: held.untilMs - nowMs }
  }

  note(key: string, failure: Failure, nowMs: number): void {
    const before = this.#held.get(key)
    if (before && nowMs < before.untilMs) return // a flight that was under way already
    const isAgain = before !== undefined && nowMs < before.untilMs + REMEMBERED_MS
    const most = failure.isUnreachable ? UNREACHABLE_MS_MAX : BACK_OFF_MS_MAX
    const holdMs = isAgain ? Math.min(2 * before.holdMs, most) : HOLD_MS_MIN
    this.#held.delete(key)
    if (this.#held.size >= FAILURES_MAX) this.#held.delete(this.#held.keys().next().value!)
    this.#held.set(key, { ...failure, holdMs, untilMs: nowMs + Math.min(holdMs, HOLD_MS_MAX) })
  }

  /** It was answered after all. */
  forget(key: string): void {
    if (this.#held.size > 0) this.#held.delete(key)
  }

  /** By name, in lower case. */
  forgetWhere(isMeant: (name: Uint8Array) => boolean): void {
    for (const key of this.#held.keys()) {
      const octets = Buffer.from(key, 'latin1')
      if (isMeant(octets.subarray(0, skipPlainName(octets, 0)))) this.#held.delete(key)
    }
  }

  clear(): void {
    this.#held.clear()
  }
}
