import type { Clock } from '../../core/clock.ts'

export interface Delayed {
  readonly dueMs: number
  readonly fire: () => void
}

/**
 * Callbacks that all wait equally long, with one timer among them: what comes first is due first. Adding and removing
 * costs no timer, because nearly every question is answered long before its callback is due. It holds what is being
 * waited for and nothing else, so it is bounded by the questions under way.
 */
export class DelayLine {
  readonly #clock: Clock
  readonly #delayMs: number
  /** In the order of their arrival. */
  readonly #waiting = new Set<Delayed>()
  #running = false

  constructor(clock: Clock, delayMs: number) {
    this.#clock = clock
    this.#delayMs = delayMs
  }

  add(fire: () => void): Delayed {
    const delayed = { dueMs: this.#clock.monotonicMs() + this.#delayMs, fire }
    this.#waiting.add(delayed)
    if (!this.#running) void this.#run()
    return delayed
  }

  remove(delayed: Delayed): void {
    this.#waiting.delete(delayed)
  }

  async #run(): Promise<void> {
    this.#running = true
    for (let first = this.#first(); first; first = this.#first()) {
      const leftMs = first.dueMs - this.#clock.monotonicMs()
      if (leftMs > 0) {
        await this.#clock.sleep(leftMs)
        continue // it may have been removed meanwhile
      }
      this.#waiting.delete(first)
      first.fire()
    }
    this.#running = false
  }

  #first(): Delayed | undefined {
    for (const delayed of this.#waiting) return delayed
    return undefined
  }
}
