/** setTimeout treats anything longer as 1 ms. */
const TIMEOUT_MS_MAX = 2 ** 31 - 1

/**
 * One timer for the deadlines of many questions. A timer for each would cost more than the question: nearly all are
 * answered long before. The alarm rings at the earliest moment it was told of; `ring` looks at everything that is open
 * and returns the next one. Times are on the monotonic clock of the process.
 */
export class Alarm {
  readonly #ring: (nowMs: number) => number
  #timer: NodeJS.Timeout | undefined
  #dueMs = Number.POSITIVE_INFINITY
  #resting = false

  constructor(ring: (nowMs: number) => number) {
    this.#ring = ring
  }

  /** Something has to be looked at no later than this. */
  at(dueMs: number): void {
    if (dueMs < this.#dueMs) this.#set(dueMs)
    else if (this.#resting) this.#timer?.ref()
    this.#resting = false
  }

  /** Nothing is open: the timer runs out by itself, and until then keeps no process alive. */
  rest(): void {
    this.#resting = true
    this.#timer?.unref()
  }

  #set(dueMs: number): void {
    clearTimeout(this.#timer)
    this.#dueMs = dueMs
    if (dueMs === Number.POSITIVE_INFINITY) return
    // Rounded up: a timer may not fire a fraction of a millisecond before what it stands for.
    const waitMs = Math.ceil(Math.max(0, dueMs - performance.now()))
    this.#timer = setTimeout(() => this.#fire(), Math.min(waitMs, TIMEOUT_MS_MAX))
  }

  #fire(): void {
    this.#dueMs = Number.POSITIVE_INFINITY
    this.#timer = undefined
    const nextMs = this.#ring(performance.now())
    if (nextMs < this.#dueMs) this.#set(nextMs)
  }
}
