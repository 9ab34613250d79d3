import { CLOSED_STREAMS_REMEMBERED } from './limits.ts'

/** How a stream ended decides what a late frame on it is (RFC 9113 §5.1): nothing, a stream error or a connection error. */
export const ENDED = {
  /** Ended long ago, or never used (RFC 9113 §5.1.1). */
  UNKNOWN: 0,
  BY_BOTH: 1,
  RESET_BY_CLIENT: 2,
  RESET_BY_US: 3,
} as const
export type Ended = (typeof ENDED)[keyof typeof ENDED]

/** The streams that ended last. */
export class ClosedStreams {
  readonly #ids = new Uint32Array(CLOSED_STREAMS_REMEMBERED)
  readonly #how = new Uint8Array(CLOSED_STREAMS_REMEMBERED)
  #next = 0

  add(id: number, how: Ended): void {
    this.#ids[this.#next] = id
    this.#how[this.#next] = how
    this.#next = (this.#next + 1) % CLOSED_STREAMS_REMEMBERED
  }

  howEnded(id: number): Ended {
    const place = this.#ids.indexOf(id)
    return place < 0 ? ENDED.UNKNOWN : (this.#how[place] as Ended)
  }
}
