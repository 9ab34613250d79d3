import { ConnectionError } from './error.ts'
import { FRAME_HEADER_BYTES, uint31 } from './frame.ts'
import { FRAME_BYTES_MAX } from './limits.ts'

/** Owned by nobody, written to by nobody. */
const EMPTY = Buffer.alloc(0)
/** First buffer of a frame that came in pieces: most frames of a DNS client fit. */
const PIECES_BYTES_MIN = 256

/**
 * Cuts a stream into frames (RFC 9113 §4.1): `push` each chunk, then call `next` until it is false. After `true` the fields
 * describe the frame; its payload lies in `bytes` from `start` to `end`. A frame inside one chunk is not copied, and at most
 * one unfinished frame is held. `bytes` is never used again by the reader, so a view of it may be kept.
 */
export class FrameReader {
  type = 0
  flags = 0
  streamId = 0
  bytes: Buffer = EMPTY
  start = 0
  end = 0
  #chunk: Buffer = EMPTY
  #at = 0
  /** The unfinished frame, its header included. Grows with what arrived, not with what was announced. */
  #pieces: Buffer = EMPTY
  #have = 0

  push(chunk: Buffer): void {
    // What the caller left because of back-pressure comes first.
    this.#chunk = this.#at < this.#chunk.length ? Buffer.concat([this.#chunk.subarray(this.#at), chunk]) : chunk
    this.#at = 0
  }

  /** Throws ConnectionError FRAME_SIZE_ERROR before it waits for a frame longer than FRAME_BYTES_MAX. */
  next(): boolean {
    if (this.#have > 0) return this.#nextFromPieces()
    const at = this.#at
    const rest = this.#chunk.length - at
    if (rest >= FRAME_HEADER_BYTES) {
      const length = payloadLength(this.#chunk, at)
      if (rest >= FRAME_HEADER_BYTES + length) {
        this.#at = at + FRAME_HEADER_BYTES + length
        return this.#describe(this.#chunk, at, this.#at)
      }
    }
    this.#fill(rest)
    return false
  }

  /** True between frames: nothing unfinished is held. */
  get idle(): boolean {
    return this.#have === 0 && this.#at === this.#chunk.length
  }

  #nextFromPieces(): boolean {
    if (!this.#fill(FRAME_HEADER_BYTES)) return false
    const length = FRAME_HEADER_BYTES + payloadLength(this.#pieces, 0)
    if (!this.#fill(length)) return false
    const frame = this.#pieces
    this.#pieces = EMPTY
    this.#have = 0
    return this.#describe(frame, 0, length)
  }

  /** Fills up the unfinished frame to `length` octets; false when the chunk has too few. */
  #fill(length: number): boolean {
    const count = Math.min(length - this.#have, this.#chunk.length - this.#at)
    if (count > 0) {
      this.#reserve(this.#have + count)
      this.#chunk.copy(this.#pieces, this.#have, this.#at, this.#at + count)
      this.#have += count
      this.#at += count
    }
    if (this.#at === this.#chunk.length) this.#release()
    return this.#have >= length
  }

  #reserve(bytes: number): void {
    if (bytes <= this.#pieces.length) return
    const doubled = Math.min(this.#pieces.length * 2, FRAME_HEADER_BYTES + FRAME_BYTES_MAX)
    const larger = Buffer.allocUnsafe(Math.max(bytes, doubled, PIECES_BYTES_MIN))
    this.#pieces.copy(larger, 0, 0, this.#have)
    this.#pieces = larger
  }

  #describe(bytes: Buffer, at: number, end: number): true {
    this.type = bytes[at + 3]!
    this.flags = bytes[at + 4]!
    this.streamId = uint31(bytes, at + 5)
    this.bytes = bytes
    this.start = at + FRAME_HEADER_BYTES
    this.end = end
    return true
  }

  /** An idle connection must not keep its last chunk alive. */
  #release(): void {
    this.#chunk = EMPTY
    this.#at = 0
  }
}

function payloadLength(bytes: Uint8Array, at: number): number {
  const length = (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!
  if (length > FRAME_BYTES_MAX) throw new ConnectionError('FRAME_SIZE_ERROR', `a frame of ${length} octets`)
  return length
}
