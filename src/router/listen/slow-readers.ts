import type { Socket } from 'node:net'

/** An answer that has not left after this long has no reader; a phone at the edge of its Wi-Fi takes a second or two. */
const DRAIN_MS_MAX = 10_000
/** What all slow readers of a listener may have waiting here: each is asked nothing more, but each may be owed something. */
const WAITING_BYTES_MAX = 8 * 1024 * 1024
/** They are counted anew each time so much has been added. */
const COUNT_EACH_BYTES = 1024 * 1024

/** The connections of a listener whose clients do not take their answers: bounded in time and, together, in bytes. */
export class SlowReaders {
  /** When the oldest of its answers began to wait. The longest waiting come first. */
  readonly #sinceMs = new Map<Socket, number>()
  #uncounted = 0

  /** To be told whenever a write did not leave at once. */
  add(socket: Socket, bytes: number, nowMs: number): void {
    if (!this.#sinceMs.has(socket)) this.#sinceMs.set(socket, nowMs)
    this.#uncounted += bytes
    if (this.#uncounted < COUNT_EACH_BYTES) return
    this.#uncounted = 0
    let waiting = 0
    for (const each of this.#sinceMs.keys()) waiting += each.writableLength
    for (const each of this.#sinceMs.keys()) {
      if (waiting <= WAITING_BYTES_MAX) return
      waiting -= each.writableLength
      this.#cut(each)
    }
  }

  remove(socket: Socket): void {
    this.#sinceMs.delete(socket)
  }

  /** Cuts those who have had their time; to be called about every second. */
  check(nowMs: number): void {
    for (const [socket, sinceMs] of this.#sinceMs) {
      if (nowMs - sinceMs < DRAIN_MS_MAX) return
      this.#cut(socket)
    }
  }

  #cut(socket: Socket): void {
    this.#sinceMs.delete(socket)
    socket.destroy()
  }
}
