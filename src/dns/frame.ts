import { HEADER_BYTES, MESSAGE_BYTES_MAX, putUint16, uint16 } from './wire.ts'

/** Messages on a stream: two octets of length, then the message (RFC 1035 §4.2.2, RFC 7766 §8, RFC 7858 §3.3). */

const LENGTH_BYTES = 2
/** Owned by nobody, written to by nobody. */
const EMPTY: Uint8Array = new Uint8Array(0)
/** First buffer of a message that came in pieces. It grows with what really arrived, not with what was announced. */
const PIECES_BYTES_MIN = 512

/**
 * Cuts a stream into messages: `push` each chunk, then call `next` until it is undefined. A message that lies inside
 * one chunk is a view of that chunk. At most one unfinished message is held, so memory stays below 64 KiB.
 */
export class FrameReader {
  #chunk: Uint8Array = EMPTY
  #at = 0
  /** The unfinished message, its length prefix included. */
  #pieces: Uint8Array = EMPTY
  #have = 0
  #violation: string | undefined

  push(chunk: Uint8Array): void {
    if (this.#violation !== undefined) return
    const rest = this.#chunk.length - this.#at
    // The caller stopped early last time (back-pressure): what is left comes first.
    this.#chunk = rest > 0 ? Buffer.concat([this.#chunk.subarray(this.#at), chunk]) : chunk
    this.#at = 0
  }

  /** The next whole message; undefined when more bytes are needed, or the stream is broken. */
  next(): Uint8Array | undefined {
    if (this.#violation !== undefined) return undefined
    if (this.#have > 0) return this.#finish()
    const at = this.#at
    const rest = this.#chunk.length - at
    if (rest >= LENGTH_BYTES) {
      const length = uint16(this.#chunk, at)
      if (length < HEADER_BYTES) return this.#break(length)
      if (rest >= LENGTH_BYTES + length) {
        this.#at = at + LENGTH_BYTES + length
        const message = this.#chunk.subarray(at + LENGTH_BYTES, this.#at)
        if (this.#at === this.#chunk.length) this.#release()
        return message
      }
    }
    this.#take(rest)
    return undefined
  }

  /** Why nothing more will come: the connection has to be closed. */
  get violation(): string | undefined {
    return this.#violation
  }

  /** True between messages: a stream that ends elsewhere was cut off. */
  get idle(): boolean {
    return this.#have === 0 && this.#at === this.#chunk.length
  }

  /** Fills up the unfinished message from the chunk. */
  #finish(): Uint8Array | undefined {
    if (this.#have < LENGTH_BYTES) this.#take(Math.min(LENGTH_BYTES - this.#have, this.#chunk.length - this.#at))
    if (this.#have < LENGTH_BYTES) return undefined
    const length = uint16(this.#pieces, 0)
    if (length < HEADER_BYTES) return this.#break(length)
    this.#take(Math.min(LENGTH_BYTES + length - this.#have, this.#chunk.length - this.#at))
    if (this.#have < LENGTH_BYTES + length) return undefined
    const message = this.#pieces.subarray(LENGTH_BYTES, LENGTH_BYTES + length)
    this.#pieces = EMPTY
    this.#have = 0
    return message
  }

  /** Moves `count` octets of the chunk to the unfinished message. */
  #take(count: number): void {
    if (count > 0) {
      this.#reserve(this.#have + count)
      this.#pieces.set(this.#chunk.subarray(this.#at, this.#at + count), this.#have)
      this.#have += count
      this.#at += count
    }
    if (this.#at === this.#chunk.length) this.#release()
  }

  #reserve(bytes: number): void {
    if (bytes <= this.#pieces.length) return
    const doubled = Math.min(this.#pieces.length * 2, LENGTH_BYTES + MESSAGE_BYTES_MAX)
    const larger = new Uint8Array(Math.max(bytes, doubled, PIECES_BYTES_MIN))
    larger.set(this.#pieces.subarray(0, this.#have))
    this.#pieces = larger
  }

  /** An idle connection must not keep its last chunk alive. */
  #release(): void {
    this.#chunk = EMPTY
    this.#at = 0
  }

  #break(length: number): undefined {
    this.#violation = `a message of ${length} octets is shorter than its header`
    this.#pieces = EMPTY
    this.#have = 0
    this.#release()
  }
}

/** Length and message, to be sent in one write (RFC 7766 §8). Returns the offset after it. */
export function writeFrame(target: Uint8Array, at: number, message: Uint8Array): number {
  if (message.length > MESSAGE_BYTES_MAX) throw new RangeError('a DNS message has at most 65535 octets')
  putUint16(target, at, message.length)
  target.set(message, at + LENGTH_BYTES)
  return at + LENGTH_BYTES + message.length
}

/** Length and message in their own buffer. */
export function frameOf(message: Uint8Array): Uint8Array {
  const framed = new Uint8Array(LENGTH_BYTES + message.length)
  writeFrame(framed, 0, message)
  return framed
}
