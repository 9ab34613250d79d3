import type { Clock } from '../../core/clock.ts'

/** One callback that waits in a line. */
export interface Delayed {
  readonly fire: () => void
  readonly dueMs: number
  before: Delayed | undefined
  after: Delayed | undefined
}

/**
 * Callbacks that all wait equally long, with one timer among them: what comes first is due first. Adding and removing
 * costs no timer, because nearly every question is answered long before its callback is due. It holds what is being
 * waited for and nothing else, so it is bounded by the questions under way.
 *
 * A list of links and not a Set: a Set makes a new table every few questions, and each table that reached the old
 * generation of the heap keeps all later ones, with what is in them, until the next full collection.
 */
export class DelayLine {
  readonly #clock: Clock
  readonly #delayMs: number
  #first: Delayed | undefined
  #last: Delayed | undefined
  #running = false

  constructor(clock: Clock, delayMs: number) {
    this.#clock = clock
    this.#delayMs = delayMs
  }

  /** `nowMs`: on the monotonic clock. */
  add(fire: () => void, nowMs = this.#clock.monotonicMs()): Delayed {
    const delayed: Delayed = { fire, dueMs: nowMs + this.#delayMs, before: this.#last, after: undefined }
    if (this.#last) this.#last.after = delayed
    else this.#first = delayed
    this.#last = delayed
    if (!this.#running) void this.#run()
    return delayed
  }

  /** Once it has been called or removed it may be removed again. */
  remove(delayed: Delayed): void {
    const { before, after } = delayed
    if (before) before.after = after
    else if (this.#first === delayed) this.#first = after
    if (after) after.before = before
    else if (this.#last === delayed) this.#last = before
    delayed.before = undefined
    delayed.after = undefined
  }

  async #run(): Promise<void> {
    this.#running = true
    for (let first = this.#first; first; first = this.#first) {
      const leftMs = first.dueMs - this.#clock.monotonicMs()
      if (leftMs > 0) {
        await this.#clock.sleep(leftMs)
        continue // it may have been removed meanwhile
      }
      this.remove(first)
      first.fire()
    }
    this.#running = false
  }
}
