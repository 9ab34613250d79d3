import { putUint32 } from '../../dns/wire.ts'
import { ERROR, type ErrorName } from './error.ts'
import { FLAG, FRAME, FRAME_HEADER_BYTES, putFrameHeader } from './frame.ts'
import { headerBytesMax, NO_TABLE_UPDATE, type Reply, writeHeaderBlock } from './hpack-encoder.ts'
import { FRAME_BYTES_MAX } from './limits.ts'
import { OUR_SETTINGS } from './settings.ts'

/** Holds the answers to a chunk of 16 KiB of small queries; more is collected in pieces. */
const GATHER_BYTES = 256 * 1024
/** RFC 9113 §6.5.2. */
const HEADER_TABLE_BYTES_DEFAULT = 4_096

/** Shared by all connections of a server: it is filled and emptied within one turn. */
export function gatherBuffer(): Buffer {
  return Buffer.allocUnsafeSlow(GATHER_BYTES)
}

/** The frames a connection sends, gathered so that all of one turn leave in one write. */
export class Output {
  readonly gather: Buffer
  #at = 0
  /** What did not fit, and what was ready outside a read. */
  #pieces: Buffer[] = []
  #saidNoTable = false
  #owesTableUpdate = false

  constructor(gather: Buffer) {
    this.gather = gather
  }

  /** The offset at which `bytes` octets may be written to `gather`; `wrote` says how far that went. */
  room(bytes: number): number {
    if (this.#at + bytes > GATHER_BYTES) this.collect()
    return this.#at
  }
  wrote(end: number): void {
    this.#at = end
  }

  /** Empties the shared buffer: another connection may need it before we send. */
  collect(): void {
    if (this.#at === 0) return
    this.#pieces.push(Buffer.from(this.gather.subarray(0, this.#at)))
    this.#at = 0
  }

  /** More than one turn should make: a client that asks for so much has to read some of it first. */
  get overflowing(): boolean {
    return this.#pieces.length > 0
  }

  /** All there is to send, once. */
  take(): Buffer | undefined {
    this.collect()
    const pieces = this.#pieces
    if (pieces.length === 0) return undefined
    this.#pieces = []
    return pieces.length === 1 ? pieces[0] : Buffer.concat(pieces)
  }

  settings(): void {
    const length = OUR_SETTINGS.length * 6
    let at = this.#begin(length, FRAME.SETTINGS, 0, 0)
    for (const [id, value] of OUR_SETTINGS) {
      this.gather[at] = id >> 8
      this.gather[at + 1] = id
      at = putUint32(this.gather, at + 2, value)
    }
    this.#at = at
  }

  settingsAck(): void {
    this.#at = this.#begin(0, FRAME.SETTINGS, FLAG.ACK, 0)
  }

  /** `payload`: eight octets. */
  ping(payload: Uint8Array, flags: number): void {
    const at = this.#begin(payload.length, FRAME.PING, flags, 0)
    this.gather.set(payload, at)
    this.#at = at + payload.length
  }

  windowUpdate(streamId: number, increment: number): void {
    this.#at = putUint32(this.gather, this.#begin(4, FRAME.WINDOW_UPDATE, 0, streamId), increment)
  }

  reset(streamId: number, code: ErrorName): void {
    this.#at = putUint32(this.gather, this.#begin(4, FRAME.RST_STREAM, 0, streamId), ERROR[code])
  }

  /** `words` are for people; ASCII. */
  goAway(lastStreamId: number, code: ErrorName, words: string): void {
    let at = this.#begin(8 + words.length, FRAME.GOAWAY, 0, 0)
    at = putUint32(this.gather, at, lastStreamId)
    at = putUint32(this.gather, at, ERROR[code])
    this.#at = at + this.gather.write(words, at, 'latin1')
  }

  headers(streamId: number, reply: Reply, date: string, endStream: boolean): void {
    const start = this.room(FRAME_HEADER_BYTES + headerBytesMax(reply))
    let at = start + FRAME_HEADER_BYTES
    if (this.#owesTableUpdate) this.gather[at++] = NO_TABLE_UPDATE
    this.#owesTableUpdate = false
    this.#at = writeHeaderBlock(this.gather, at, reply, date)
    const flags = FLAG.END_HEADERS | (endStream ? FLAG.END_STREAM : 0)
    putFrameHeader(this.gather, start, this.#at - start - FRAME_HEADER_BYTES, FRAME.HEADERS, flags, streamId)
  }

  /** The client allows less of a table than we are entitled to: the next header block says that we keep none. */
  tableBytesMax(bytes: number): void {
    if (bytes >= HEADER_TABLE_BYTES_DEFAULT || this.#saidNoTable) return
    this.#saidNoTable = true
    this.#owesTableUpdate = true
  }

  /** As many frames as the length needs. */
  data(streamId: number, bytes: Uint8Array, start: number, end: number, endStream: boolean): void {
    let from = start
    do {
      const length = Math.min(end - from, FRAME_BYTES_MAX)
      const isLast = from + length === end
      const at = this.#begin(length, FRAME.DATA, endStream && isLast ? FLAG.END_STREAM : 0, streamId)
      this.gather.set(from === 0 && length === bytes.length ? bytes : bytes.subarray(from, from + length), at)
      this.#at = at + length
      from += length
    } while (from < end)
  }

  #begin(length: number, type: number, flags: number, streamId: number): number {
    const at = this.room(FRAME_HEADER_BYTES + length)
    return putFrameHeader(this.gather, at, length, type, flags, streamId)
  }
}
