import type { Clock } from '../../../core/clock.ts'

/** Values that are good for some seconds of monotonic time; over `entriesMax` the one used longest ago goes. */
export class ExpiringMap<T> {
  readonly #entries = new Map<string, { readonly value: T; readonly untilMs: number }>()
  readonly #entriesMax: number
  readonly #clock: Clock

  constructor(entriesMax: number, clock: Clock) {
    this.#entriesMax = entriesMax
    this.#clock = clock
  }

  get size(): number {
    return this.#entries.size
  }

  get(key: string): T | undefined {
    const entry = this.#entries.get(key)
    if (!entry) return undefined
    this.#entries.delete(key)
    if (entry.untilMs <= this.#clock.monotonicMs()) return undefined
    this.#entries.set(key, entry)
    return entry.value
  }

  set(key: string, value: T, forS: number): void {
    this.#entries.delete(key)
    this.#entries.set(key, { value, untilMs: this.#clock.monotonicMs() + forS * 1000 })
    if (this.#entries.size <= this.#entriesMax) return
    // A Map keeps the order of insertion, and `get` inserts anew.
    for (const oldest of this.#entries.keys()) return void this.#entries.delete(oldest)
  }

  delete(key: string): void {
    this.#entries.delete(key)
  }

  clear(): void {
    this.#entries.clear()
  }
}
