import { ConnectionError } from './error.ts'
import { CONTINUATIONS_MAX, HEADER_BLOCK_BYTES_MAX } from './limits.ts'

/** A header block that came in several frames (RFC 9113 §4.3). While it is unfinished, no other frame may come. */
export class HeaderBlock {
  /** 0: none is unfinished. */
  streamId = 0
  endStream = false
  dependsOnItself = false
  #pieces: Buffer[] = []
  #bytes = 0
  #continuations = 0

  begin(streamId: number, endStream: boolean, dependsOnItself: boolean, piece: Buffer): void {
    this.streamId = streamId
    this.endStream = endStream
    this.dependsOnItself = dependsOnItself
    this.#pieces = [piece]
    this.#bytes = piece.length
    this.#continuations = 0
  }

  /** Throws ConnectionError ENHANCE_YOUR_CALM over the bounds: nothing is decoded before the end, so both have to be low. */
  add(piece: Buffer): void {
    this.#pieces.push(piece)
    this.#bytes += piece.length
    this.#continuations++
    if (this.#continuations > CONTINUATIONS_MAX)
      throw new ConnectionError('ENHANCE_YOUR_CALM', `more than ${CONTINUATIONS_MAX} CONTINUATION frames`)
    if (this.#bytes > HEADER_BLOCK_BYTES_MAX)
      throw new ConnectionError('ENHANCE_YOUR_CALM', `a header block above ${HEADER_BLOCK_BYTES_MAX} octets`)
  }

  take(): Buffer {
    const whole = Buffer.concat(this.#pieces, this.#bytes)
    this.#pieces = []
    this.streamId = 0
    return whole
  }
}
