import type { Clock } from '../../src/core/clock.ts'

/** A clock that moves only when told to. Sleepers wake in order of their due time. */
export class ManualClock implements Clock {
  #nowMs: number
  #monotonicMs = 0
  #sleepers: { dueMs: number; wake: () => void }[] = []

  constructor(nowMs = Date.UTC(2026, 10, 24)) {
    this.#nowMs = nowMs
  }
  nowMs(): number {
    return this.#nowMs
  }
  monotonicMs(): number {
    return this.#monotonicMs
  }
  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const onAbort = (): void => {
        this.#sleepers = this.#sleepers.filter((other) => other !== sleeper)
        reject(signal?.reason)
      }
      const wake = (): void => {
        signal?.removeEventListener('abort', onAbort)
        resolve()
      }
      const sleeper = { dueMs: this.#monotonicMs + ms, wake }
      this.#sleepers.push(sleeper)
      signal?.addEventListener('abort', onAbort)
    })
  }

  /** How many are asleep: lets a test wait until the code under test has gone to sleep. */
  get sleeping(): number {
    return this.#sleepers.length
  }
  async advance(ms: number): Promise<void> {
    const endMs = this.#monotonicMs + ms
    for (;;) {
      await settle()
      this.#sleepers.sort((a, b) => a.dueMs - b.dueMs)
      const next = this.#sleepers[0]
      if (!next || next.dueMs > endMs) break
      this.#sleepers.shift()
      this.#move(next.dueMs)
      next.wake()
    }
    this.#move(endMs)
    await settle()
  }
  /** The wall clock jumps (NTP); timers do not notice. */
  step(ms: number): void {
    this.#nowMs += ms
  }
  #move(monotonicMs: number): void {
    this.#nowMs += Math.max(0, monotonicMs - this.#monotonicMs)
    this.#monotonicMs = Math.max(this.#monotonicMs, monotonicMs)
  }
}

/** Lets everything that is ready to run do so. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise<void>((resolve) => void setImmediate(resolve))
}
