import { ConnectionError, StreamError } from './error.ts'
import type { Floods } from './floods.ts'
import { FLAG, FRAME, uint31 } from './frame.ts'
import type { FrameReader } from './frame-reader.ts'
import { HeaderBlock } from './header-block.ts'
import { HpackDecoder } from './hpack-decoder.ts'
import { HEADER_TABLE_BYTES_MAX } from './limits.ts'
import type { Output } from './output.ts'
import type { ReceiveWindow } from './receive-window.ts'
import { HeadCollector } from './request-head.ts'
import type { Requests } from './requests.ts'
import type { Sender } from './sender.ts'
import { readSettings } from './settings.ts'

const PRIORITY_BYTES = 5
const PING_BYTES = 8
const GOAWAY_BYTES_MIN = 8

/** Judges and acts upon each frame a client sends (RFC 9113 §6). Throws ConnectionError and StreamError. */
export class Incoming {
  readonly #reader: FrameReader
  readonly #requests: Requests
  readonly #output: Output
  readonly #sender: Sender
  readonly #received: ReceiveWindow
  readonly #floods: Floods
  /** Hears the payload of PINGs that come back. */
  readonly #onPong: (payload: Buffer) => void
  readonly #block = new HeaderBlock()
  readonly #decoder = new HpackDecoder(HEADER_TABLE_BYTES_MAX)
  readonly #head = new HeadCollector()
  #hasSettings = false

  constructor(
    reader: FrameReader,
    requests: Requests,
    around: {
      readonly output: Output
      readonly sender: Sender
      readonly received: ReceiveWindow
      readonly floods: Floods
      onPong(payload: Buffer): void
    },
  ) {
    this.#reader = reader
    this.#requests = requests
    this.#output = around.output
    this.#sender = around.sender
    this.#received = around.received
    this.#floods = around.floods
    this.#onPong = (payload) => around.onPong(payload)
  }

  /** Between frames that belong together. */
  get inHeaderBlock(): boolean {
    return this.#block.streamId !== 0
  }

  /** The frame the reader describes. */
  frame(): void {
    const { type, streamId } = this.#reader
    if (this.inHeaderBlock && (type !== FRAME.CONTINUATION || streamId !== this.#block.streamId))
      throw new ConnectionError('PROTOCOL_ERROR', 'a header block was broken off')
    if (!this.#hasSettings && type !== FRAME.SETTINGS)
      throw new ConnectionError('PROTOCOL_ERROR', 'the first frame is not SETTINGS')
    switch (type) {
      case FRAME.HEADERS:
        return this.#onHeaders()
      case FRAME.DATA:
        return this.#onData()
      case FRAME.CONTINUATION:
        return this.#onContinuation()
      case FRAME.WINDOW_UPDATE:
        return this.#onWindowUpdate()
      case FRAME.RST_STREAM:
        return this.#onReset()
      case FRAME.SETTINGS:
        return this.#onSettings()
      case FRAME.PING:
        return this.#onPing()
      case FRAME.PRIORITY:
        return this.#onPriority()
      case FRAME.GOAWAY:
        return this.#onGoAway()
      case FRAME.PUSH_PROMISE:
        throw new ConnectionError('PROTOCOL_ERROR', 'a client does not push')
      default:
        return this.#floods.quiet(this.#nowMs) // ignored (RFC 9113 §5.5)
    }
  }

  get #nowMs(): number {
    return this.#requests.nowMs
  }

  #onHeaders(): void {
    const { bytes, flags, streamId, end } = this.#reader
    if (streamId % 2 === 0) throw new ConnectionError('PROTOCOL_ERROR', `HEADERS on stream ${streamId}`)
    const padding = this.#paddingBytes()
    let start = this.#reader.start + this.#paddingLengthBytes()
    let dependsOnItself = false
    if ((flags & FLAG.PRIORITY) !== 0) {
      if (end - start < PRIORITY_BYTES)
        throw new ConnectionError('FRAME_SIZE_ERROR', 'HEADERS too short for its priority')
      dependsOnItself = uint31(bytes, start) === streamId
      start += PRIORITY_BYTES
    }
    if (start > end - padding) throw new ConnectionError('PROTOCOL_ERROR', 'more padding than payload')
    const endStream = (flags & FLAG.END_STREAM) !== 0
    if ((flags & FLAG.END_HEADERS) !== 0)
      this.#onBlock(streamId, endStream, dependsOnItself, bytes, start, end - padding)
    else this.#block.begin(streamId, endStream, dependsOnItself, bytes.subarray(start, end - padding))
  }

  #onContinuation(): void {
    const { bytes, flags, streamId, start, end } = this.#reader
    const block = this.#block
    if (!this.inHeaderBlock) throw new ConnectionError('PROTOCOL_ERROR', 'a CONTINUATION of nothing')
    block.add(bytes.subarray(start, end))
    if ((flags & FLAG.END_HEADERS) === 0) return
    const whole = block.take()
    this.#onBlock(streamId, block.endStream, block.dependsOnItself, whole, 0, whole.length)
  }

  /** Every block is decoded, whatever becomes of its stream: the tables of both sides have to stay the same. */
  #onBlock(id: number, endStream: boolean, dependsOnItself: boolean, bytes: Buffer, start: number, end: number): void {
    this.#head.reset()
    this.#decoder.decode(bytes, start, end, this.#head)
    this.#requests.onHead(id, endStream, dependsOnItself, this.#head)
  }

  #onData(): void {
    const { bytes, flags, streamId, end } = this.#reader
    const payloadBytes = end - this.#reader.start
    if (streamId === 0) throw new ConnectionError('PROTOCOL_ERROR', 'DATA on stream 0')
    this.#received.take(payloadBytes)
    const dataEnd = end - this.#paddingBytes()
    const start = this.#reader.start + this.#paddingLengthBytes()
    if (start > dataEnd) throw new ConnectionError('PROTOCOL_ERROR', 'more padding than payload')
    if (this.#isPassedOver(streamId, 'DATA')) return
    this.#requests.onData(streamId, bytes.subarray(start, dataEnd), payloadBytes, (flags & FLAG.END_STREAM) !== 0)
  }

  #onReset(): void {
    const { streamId } = this.#reader
    this.#expectBytes(4, 'RST_STREAM')
    if (!this.#isPassedOver(streamId, 'RST_STREAM')) this.#requests.onReset(streamId)
  }

  #onWindowUpdate(): void {
    const { bytes, streamId, start } = this.#reader
    this.#expectBytes(4, 'WINDOW_UPDATE')
    this.#floods.quiet(this.#nowMs)
    const increment = uint31(bytes, start)
    if (streamId === 0) this.#sender.openConnection(increment)
    else if (!this.#isPassedOver(streamId, 'WINDOW_UPDATE')) this.#requests.onWindowUpdate(streamId, increment)
  }

  #onSettings(): void {
    const { bytes, flags, start, end } = this.#reader
    this.#expectConnection('SETTINGS')
    this.#floods.settings(this.#nowMs)
    if ((flags & FLAG.ACK) !== 0) {
      this.#expectBytes(0, 'an acknowledgement of SETTINGS')
      if (!this.#hasSettings) throw new ConnectionError('PROTOCOL_ERROR', 'the first frame is an acknowledgement')
      return
    }
    const { headerTableBytes, initialWindow } = readSettings(bytes, start, end)
    if (headerTableBytes !== undefined) this.#output.tableBytesMax(headerTableBytes)
    if (initialWindow !== undefined) this.#sender.setInitialWindow(initialWindow, this.#requests.streams)
    this.#hasSettings = true
    this.#output.settingsAck()
  }

  #onPing(): void {
    const { bytes, flags, start, end } = this.#reader
    this.#expectConnection('PING')
    this.#expectBytes(PING_BYTES, 'PING')
    this.#floods.ping(this.#nowMs)
    const payload = bytes.subarray(start, end)
    if ((flags & FLAG.ACK) === 0) this.#output.ping(payload, FLAG.ACK)
    else this.#onPong(payload)
  }

  /** Read for its errors only: we answer in the order of arrival (RFC 9113 §5.3.2). */
  #onPriority(): void {
    const { bytes, streamId, start, end } = this.#reader
    if (streamId === 0) throw new ConnectionError('PROTOCOL_ERROR', 'PRIORITY on stream 0')
    this.#floods.quiet(this.#nowMs)
    if (end - start !== PRIORITY_BYTES) throw new StreamError('FRAME_SIZE_ERROR', streamId)
    if (uint31(bytes, start) === streamId) throw new StreamError('PROTOCOL_ERROR', streamId)
  }

  /** The client is going to close, when it has its answers. */
  #onGoAway(): void {
    const { start, end } = this.#reader
    this.#expectConnection('GOAWAY')
    if (end - start < GOAWAY_BYTES_MIN) throw new ConnectionError('FRAME_SIZE_ERROR', 'a GOAWAY without its reason')
    this.#floods.quiet(this.#nowMs)
  }

  /** Octets behind the payload. */
  #paddingBytes(): number {
    const { bytes, flags, start, end } = this.#reader
    if ((flags & FLAG.PADDED) === 0) return 0
    if (start === end) throw new ConnectionError('FRAME_SIZE_ERROR', 'a padded frame without the length of its padding')
    return bytes[start]!
  }
  /** Octets before the payload that say so. */
  #paddingLengthBytes(): number {
    return (this.#reader.flags & FLAG.PADDED) === 0 ? 0 : 1
  }

  #expectBytes(count: number, what: string): void {
    const { start, end } = this.#reader
    if (end - start !== count) throw new ConnectionError('FRAME_SIZE_ERROR', `${what} of ${end - start} octets`)
  }

  #expectConnection(what: string): void {
    if (this.#reader.streamId !== 0) throw new ConnectionError('PROTOCOL_ERROR', `${what} on a stream`)
  }

  /** True for streams that came after our last GOAWAY. Throws for those the client has not opened (RFC 9113 §5.1). */
  #isPassedOver(streamId: number, what: string): boolean {
    if (streamId !== 0 && !this.#requests.isIdle(streamId)) return false
    if (streamId !== 0 && !this.#requests.accepting) return true
    throw new ConnectionError('PROTOCOL_ERROR', `${what} on stream ${streamId}, which is idle`)
  }
}
