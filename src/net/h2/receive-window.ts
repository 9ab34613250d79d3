import { ConnectionError } from './error.ts'
import { CONNECTION_WINDOW_BYTES } from './limits.ts'
import type { Output } from './output.ts'

/** RFC 9113 §6.9.2. */
const WINDOW_BYTES_DEFAULT = 65_535
/** A WINDOW_UPDATE is sent when this much can be given back, or when this little is left. */
const QUARTER = CONNECTION_WINDOW_BYTES / 4

/**
 * What the client may still send in DATA frames of all streams. Bodies that wait for their end are held back from it, so it
 * bounds the memory they take.
 */
export class ReceiveWindow {
  #left = CONNECTION_WINDOW_BYTES
  #owed = 0

  /** Said once, behind our first SETTINGS. */
  announce(output: Output): void {
    output.windowUpdate(0, CONNECTION_WINDOW_BYTES - WINDOW_BYTES_DEFAULT)
  }

  /** Every octet of a DATA frame counts, padding and closed streams included (RFC 9113 §6.1, §6.9). */
  take(bytes: number): void {
    this.#left -= bytes
    this.#owed += bytes
    if (this.#left < 0) throw new ConnectionError('FLOW_CONTROL_ERROR', 'more data than the window lets through')
  }
  hold(bytes: number): void {
    this.#owed -= bytes
  }
  release(bytes: number): void {
    this.#owed += bytes
  }

  update(output: Output): void {
    if (this.#owed === 0 || (this.#owed < QUARTER && this.#left > QUARTER)) return
    output.windowUpdate(0, this.#owed)
    this.#left += this.#owed
    this.#owed = 0
  }
}
