import { ConnectionError, StreamError } from './error.ts'
import { UINT31_MAX } from './frame.ts'
import type { Reply } from './hpack-encoder.ts'
import { QUEUED_BYTES_MAX, RESPONSE_MS_MAX } from './limits.ts'
import type { Output } from './output.ts'
import type { Stream } from './stream.ts'

/** RFC 9113 §6.9.2. */
const WINDOW_BYTES_DEFAULT = 65_535

/** Sends answers as far as the client's windows let them through (RFC 9113 §5.2), and keeps the rest. */
export class Sender {
  readonly #output: Output
  readonly #waiting = new Set<Stream>()
  #window = WINDOW_BYTES_DEFAULT
  #initialWindow = WINDOW_BYTES_DEFAULT
  #queuedBytes = 0
  /** The socket has more than it likes: answers wait here, where they are counted. */
  clogged = false

  constructor(output: Output) {
    this.#output = output
  }

  /** What a new stream starts with. */
  get initialWindow(): number {
    return this.#initialWindow
  }

  /** False: a part of the body waits. Throws ConnectionError when too much does. */
  send(stream: Stream, reply: Reply, date: string, nowMs: number): boolean {
    const { body } = reply
    const bodiless = stream.isHead || body.length === 0
    this.#output.headers(stream.id, reply, date, bodiless)
    if (bodiless) return true
    const sent = this.#sendSome(stream, body)
    if (sent === body.length) return true
    stream.rest = Buffer.from(body.subarray(sent))
    stream.readyMs = nowMs
    this.#waiting.add(stream)
    this.#queuedBytes += stream.rest.length
    if (this.#queuedBytes > QUEUED_BYTES_MAX)
      throw new ConnectionError('ENHANCE_YOUR_CALM', 'too many answers wait for a window')
    return false
  }

  /** Sends what was waiting, first come, first served; `done` hears of each stream that has all its answer. */
  pump(done: (stream: Stream) => void): void {
    if (this.#waiting.size === 0 || this.clogged) return
    for (const stream of this.#waiting) {
      if (this.#window <= 0) return
      const rest = stream.rest!
      const sent = this.#sendSome(stream, rest)
      if (sent === 0) continue // its own window is closed
      this.#queuedBytes -= sent
      stream.rest = rest.subarray(sent)
      if (sent < rest.length) continue
      this.#waiting.delete(stream)
      stream.rest = undefined
      done(stream)
    }
  }

  forget(stream: Stream): void {
    if (!this.#waiting.delete(stream)) return
    this.#queuedBytes -= stream.rest!.length
    stream.rest = undefined
  }

  /** The one that waits longest was ready first. */
  overdue(nowMs: number): boolean {
    for (const { readyMs } of this.#waiting) return nowMs - readyMs > RESPONSE_MS_MAX
    return false
  }

  openConnection(increment: number): void {
    if (increment === 0) throw new ConnectionError('PROTOCOL_ERROR', 'a window update of nothing')
    this.#window += increment
    if (this.#window > UINT31_MAX) throw new ConnectionError('FLOW_CONTROL_ERROR', 'a window above 2^31-1')
  }

  openStream(stream: Stream, increment: number): void {
    if (increment === 0) throw new StreamError('PROTOCOL_ERROR', stream.id)
    stream.sendWindow += increment
    if (stream.sendWindow > UINT31_MAX) throw new StreamError('FLOW_CONTROL_ERROR', stream.id)
  }

  /** Streams that are open change with it, below zero if need be (RFC 9113 §6.9.2). */
  setInitialWindow(bytes: number, streams: Iterable<Stream>): void {
    const change = bytes - this.#initialWindow
    this.#initialWindow = bytes
    for (const stream of streams) {
      stream.sendWindow += change
      if (stream.sendWindow > UINT31_MAX) throw new ConnectionError('FLOW_CONTROL_ERROR', 'a window above 2^31-1')
    }
  }

  /** Returns how many octets left. The last frame ends the stream. */
  #sendSome(stream: Stream, bytes: Uint8Array): number {
    const length = this.clogged ? 0 : Math.min(bytes.length, this.#window, stream.sendWindow)
    if (length <= 0) return 0
    this.#output.data(stream.id, bytes, 0, length, length === bytes.length)
    this.#window -= length
    stream.sendWindow -= length
    return length
  }
}
