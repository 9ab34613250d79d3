/** Slices of one window. More would be more exact, and longer rows. */
export const SLICES = 24

/** A count as a row of a table keeps it. */
export interface CountRow {
  /** Number of the newest slice since 1970. */
  readonly newest: number
  /** Newest first, without the zeros at the end. */
  readonly counts: readonly number[]
}

/**
 * How many happened in the last `windowMs`, counted in slices: never too few, at most one slice's worth too many.
 * Without a clock of its own, so that the service and its simulation count alike.
 */
export class SlidingCount {
  readonly #sliceMs: number
  /** A ring by slice number. One more than the window holds, because the newest slice has only begun. */
  readonly #counts = new Float64Array(SLICES + 1)
  #newest: number
  #sum = 0

  constructor(windowMs: number, row?: CountRow) {
    this.#sliceMs = windowMs / SLICES
    this.#newest = row?.newest ?? 0
    for (const [age, count] of (row?.counts ?? []).slice(0, SLICES + 1).entries()) {
      this.#counts[this.#at(this.#newest - age)] = count
      this.#sum += count
    }
  }

  used(nowMs: number): number {
    this.#roll(nowMs)
    return this.#sum
  }

  add(nowMs: number): void {
    this.#roll(nowMs)
    this.#counts[this.#at(this.#newest)]! += 1
    this.#sum += 1
  }

  /** When the oldest that count now stop counting. */
  nextFreeMs(nowMs: number): number {
    this.#roll(nowMs)
    for (let slice = this.#newest - SLICES; slice <= this.#newest; slice++)
      if (this.#counts[this.#at(slice)]! > 0) return (slice + SLICES + 1) * this.#sliceMs
    return nowMs
  }

  toRow(): CountRow {
    const counts = Array.from({ length: SLICES + 1 }, (_, age) => this.#counts[this.#at(this.#newest - age)]!)
    return { newest: this.#newest, counts: counts.slice(0, counts.findLastIndex((count) => count > 0) + 1) }
  }

  /** A wall clock that steps back counts into the newest slice. */
  #roll(nowMs: number): void {
    const slice = Math.floor(nowMs / this.#sliceMs)
    if (slice <= this.#newest) return
    const first = Math.max(this.#newest + 1, slice - SLICES)
    for (let each = first; each <= slice; each++) {
      this.#sum -= this.#counts[this.#at(each)]!
      this.#counts[this.#at(each)] = 0
    }
    this.#newest = slice
  }

  #at(slice: number): number {
    return ((slice % (SLICES + 1)) + SLICES + 1) % (SLICES + 1)
  }
}
