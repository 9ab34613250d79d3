import type { Duplex } from 'node:stream'
import { Allowance } from './allowance.ts'
import { ClosedStreams, ENDED, type Ended } from './closed-streams.ts'
import { ConnectionError, type ErrorName, StreamError } from './error.ts'
import { FLAG, FRAME, UINT31_MAX, uint31 } from './frame.ts'
import { FrameReader } from './frame-reader.ts'
import { HeaderBlock } from './header-block.ts'
import { HpackDecoder } from './hpack-decoder.ts'
import type { Reply } from './hpack-encoder.ts'
import {
  BODY_MS_MAX,
  HEAD_MS_MAX,
  HEADER_TABLE_BYTES_MAX,
  IDLE_MS,
  LINGER_MS,
  PINGS,
  QUIET_FRAMES,
  QUIET_FRAMES_PER_REQUEST,
  RESETS,
  RESPONSE_MS_MAX,
  SETTINGS_FRAMES,
  STREAM_WINDOW_BYTES,
  STREAMS_MAX,
} from './limits.ts'
import { Output } from './output.ts'
import { PrefaceReader } from './preface.ts'
import { ReceiveWindow } from './receive-window.ts'
import { HeadCollector, type RequestHead } from './request-head.ts'
import { Sender } from './sender.ts'
import { readSettings } from './settings.ts'
import { Stream } from './stream.ts'

/** What answers the requests of one connection. A reply that is no promise leaves in the turn that read its request. */
export interface Handler {
  /** A body that has grown to this is handed over as it is; what follows is not read. */
  readonly bodyBytesMax: number
  /** Judges a request by its head. Undefined: its body is wanted, `finish` will be called with it. */
  begin(head: RequestHead): Reply | Promise<Reply> | undefined
  finish(body: Buffer): Reply | Promise<Reply>
  /** Hears of an error thrown by the two above. It ends that request only. */
  failed(error: unknown): void
}

/** What the connections of a server share. */
export interface Shared {
  readonly gather: Buffer
  /** For the date field, about a second old at most. */
  readonly date: string
  monotonicMs(): number
}

const PRIORITY_BYTES = 5
const PING_BYTES = 8
const DRAIN_PING = Buffer.from('draining', 'latin1')
const EMPTY = Buffer.alloc(0)
const HEAD_TOO_LARGE: Reply = {
  status: 431,
  headers: { 'content-type': 'text/plain' },
  body: Buffer.from('the header list is too large'),
}

/** The server's side of one HTTP/2 connection (RFC 9113). */
export class Connection {
  readonly #socket: Duplex
  readonly #handler: Handler
  readonly #shared: Shared
  readonly #output: Output
  readonly #sender: Sender
  readonly #received = new ReceiveWindow()
  readonly #preface = new PrefaceReader()
  readonly #reader = new FrameReader()
  readonly #block = new HeaderBlock()
  readonly #decoder = new HpackDecoder(HEADER_TABLE_BYTES_MAX)
  readonly #head = new HeadCollector()
  /** Those that have not ended on both sides. */
  readonly #streams = new Map<number, Stream>()
  readonly #closed = new ClosedStreams()
  readonly #resets: Allowance
  readonly #pings: Allowance
  readonly #settings: Allowance
  readonly #quiet: Allowance
  /** Answers still being made for streams that are gone. They count: a reset must not make room for more work. */
  #abandoned = 0
  #lastStreamId = 0
  #hasSettings = false
  #nowMs: number
  #requestMs: number
  /** Since when we wait for the end of the preface, a frame or a header block. */
  #unfinishedMs: number | undefined
  /** Since when the socket takes no more. */
  #cloggedMs: number | undefined
  /** `last-call`: new requests are still served. `drained`: those above the last id are not. */
  #state: 'open' | 'last-call' | 'drained' | 'over' = 'open'
  #overMs = 0
  #flushing = false

  constructor(socket: Duplex, handler: Handler, shared: Shared) {
    this.#socket = socket
    this.#handler = handler
    this.#shared = shared
    this.#output = new Output(shared.gather)
    this.#sender = new Sender(this.#output)
    const nowMs = shared.monotonicMs()
    this.#nowMs = nowMs
    this.#requestMs = nowMs
    this.#unfinishedMs = nowMs
    this.#resets = new Allowance(RESETS, nowMs)
    this.#pings = new Allowance(PINGS, nowMs)
    this.#settings = new Allowance(SETTINGS_FRAMES, nowMs)
    this.#quiet = new Allowance(QUIET_FRAMES, nowMs)
    socket.on('data', (chunk: Buffer) => this.#read(chunk))
    socket.on('drain', () => this.#work())
    socket.on('error', () => socket.destroy())
    socket.on('close', () => this.#forgetAll())
    // A client may wait for it (RFC 9113 §3.4), so it does not wait for the client.
    this.#output.settings()
    this.#received.announce(this.#output)
    this.#flush()
  }

  /** No new connection will be needed for what is under way: says goodbye and ends when the open requests are answered. */
  drain(): void {
    if (this.#state !== 'open') return
    if (!this.#preface.done) return this.#end('NO_ERROR', '')
    this.#state = 'last-call'
    // Requests may be on their way. Those that came before the answer to this PING are served (RFC 9113 §6.8).
    this.#output.goAway(UINT31_MAX, 'NO_ERROR', '')
    this.#output.ping(DRAIN_PING, 0)
    this.#flush()
  }

  /** Looks at the bounds in time; called every SWEEP_MS. */
  sweep(nowMs: number): void {
    this.#nowMs = nowMs
    if (this.#state === 'over') {
      if (nowMs - this.#overMs > LINGER_MS) this.#socket.destroy()
    } else if (isOver(this.#cloggedMs, RESPONSE_MS_MAX, nowMs)) this.#socket.destroy()
    else if (this.#sender.overdue(nowMs)) this.#end('ENHANCE_YOUR_CALM', 'an answer waited too long for a window')
    else if (isOver(this.#unfinishedMs, HEAD_MS_MAX, nowMs))
      this.#end('ENHANCE_YOUR_CALM', 'a frame did not end in time')
    else if (this.#busy === 0 && nowMs - this.#requestMs > IDLE_MS) this.#end('NO_ERROR', 'idle')
    else {
      for (const stream of this.#streams.values())
        if (!stream.handed && nowMs - stream.startedMs > BODY_MS_MAX) this.#resetStream(stream.id, 'CANCEL')
      this.#endTurn()
    }
  }

  /** Requests at work. */
  get #busy(): number {
    return this.#streams.size + this.#abandoned
  }

  #read(chunk: Buffer): void {
    if (this.#state === 'over') return // read all the same: closing with unread data would take the GOAWAY from the client
    try {
      const skip = this.#preface.done ? 0 : this.#preface.take(chunk)
      if (skip < chunk.length) this.#reader.push(skip === 0 ? chunk : chunk.subarray(skip))
    } catch (error) {
      this.#caught(error)
    }
    this.#work()
  }

  /** Works off what has been read; called again when the socket makes room. */
  #work(): void {
    if (this.#state === 'over') return
    this.#nowMs = this.#shared.monotonicMs()
    this.#feelSocket()
    const hadFrames = this.#workOff()
    const unfinished = !this.#preface.done || !this.#reader.idle || this.#block.streamId !== 0
    // What we do not read because the socket is full is not the client's delay.
    if (!unfinished || this.#sender.clogged) this.#unfinishedMs = undefined
    else if (hadFrames || this.#unfinishedMs === undefined) this.#unfinishedMs = this.#nowMs
    this.#endTurn()
  }

  /** True when a frame was finished that is no part of an unfinished header block. */
  #workOff(): boolean {
    let moved = false
    for (;;) {
      try {
        while (this.#mayWork() && this.#reader.next()) {
          this.#frame()
          moved ||= this.#block.streamId === 0
        }
        return moved
      } catch (error) {
        moved = true
        this.#caught(error)
      }
    }
  }

  #mayWork(): boolean {
    if (this.#output.overflowing) this.#flush()
    return this.#state !== 'over' && !this.#sender.clogged
  }

  #frame(): void {
    const { type, streamId, start, end } = this.#reader
    if (this.#block.streamId !== 0 && (type !== FRAME.CONTINUATION || streamId !== this.#block.streamId))
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
        if (streamId !== 0) throw new ConnectionError('PROTOCOL_ERROR', 'GOAWAY on a stream')
        if (end - start < 8) throw new ConnectionError('FRAME_SIZE_ERROR', 'a GOAWAY without its reason')
        return this.#spend(this.#quiet, 'GOAWAY frames') // the client closes when it has its answers
      case FRAME.PUSH_PROMISE:
        throw new ConnectionError('PROTOCOL_ERROR', 'a client does not push')
      default:
        return this.#spend(this.#quiet, 'frames of unknown type') // RFC 9113 §5.5
    }
  }

  #onHeaders(): void {
    const { bytes, flags, streamId, end } = this.#reader
    if (streamId % 2 === 0) throw new ConnectionError('PROTOCOL_ERROR', `HEADERS on stream ${streamId}`)
    const padding = this.#padding()
    let start = this.#reader.start + (padding < 0 ? 0 : 1)
    const payloadEnd = end - Math.max(padding, 0)
    let dependsOnItself = false
    if ((flags & FLAG.PRIORITY) !== 0) {
      if (end - start < PRIORITY_BYTES)
        throw new ConnectionError('FRAME_SIZE_ERROR', 'HEADERS too short for its priority')
      dependsOnItself = uint31(bytes, start) === streamId
      start += PRIORITY_BYTES
    }
    if (start > payloadEnd) throw new ConnectionError('PROTOCOL_ERROR', 'more padding than payload')
    const endStream = (flags & FLAG.END_STREAM) !== 0
    if ((flags & FLAG.END_HEADERS) !== 0) this.#onBlock(streamId, endStream, dependsOnItself, bytes, start, payloadEnd)
    else this.#block.begin(streamId, endStream, dependsOnItself, bytes.subarray(start, payloadEnd))
  }

  #onContinuation(): void {
    const { bytes, flags, streamId, start, end } = this.#reader
    const block = this.#block
    if (block.streamId === 0) throw new ConnectionError('PROTOCOL_ERROR', 'a CONTINUATION of nothing')
    block.add(bytes.subarray(start, end))
    if ((flags & FLAG.END_HEADERS) === 0) return
    const whole = block.take()
    this.#onBlock(streamId, block.endStream, block.dependsOnItself, whole, 0, whole.length)
  }

  /** Every block is decoded, whatever becomes of its stream: the tables of both sides have to stay the same. */
  #onBlock(id: number, endStream: boolean, dependsOnItself: boolean, bytes: Buffer, start: number, end: number): void {
    const head = this.#head
    head.reset()
    this.#decoder.decode(bytes, start, end, head)
    const known = this.#streams.get(id)
    if (known) return this.#onTrailers(known, endStream)
    if (id <= this.#lastStreamId) return this.#onLateHeaders(id)
    if (this.#state === 'drained') return
    this.#lastStreamId = id
    if (dependsOnItself || head.malformedRequest) throw new StreamError('PROTOCOL_ERROR', id)
    if (this.#busy >= STREAMS_MAX) throw new StreamError('REFUSED_STREAM', id)
    this.#requestMs = this.#nowMs
    this.#quiet.give(QUIET_FRAMES_PER_REQUEST)
    const stream = new Stream(id, {
      isHead: head.method === 'HEAD',
      startedMs: this.#nowMs,
      contentLength: head.contentLength,
      sendWindow: this.#sender.initialWindow,
      receiveWindow: STREAM_WINDOW_BYTES,
      remoteEnded: endStream,
    })
    if (endStream) checkLength(stream)
    this.#begin(stream)
  }

  #onTrailers(stream: Stream, endStream: boolean): void {
    if (stream.remoteEnded) throw new StreamError('STREAM_CLOSED', stream.id)
    if (!endStream || this.#head.malformedTrailers || this.#head.tooLarge)
      throw new StreamError('PROTOCOL_ERROR', stream.id)
    this.#onBodyEnd(stream)
  }

  #onLateHeaders(id: number): void {
    const how = this.#closed.howEnded(id)
    if (how === ENDED.RESET_BY_US) return this.#spend(this.#quiet, 'frames on streams that were reset')
    if (how === ENDED.RESET_BY_CLIENT) throw new StreamError('STREAM_CLOSED', id)
    if (how === ENDED.BY_BOTH) throw new ConnectionError('STREAM_CLOSED', `HEADERS on stream ${id}, which has ended`)
    throw new ConnectionError('PROTOCOL_ERROR', `stream ${id} after stream ${this.#lastStreamId}`)
  }

  #onData(): void {
    const { bytes, flags, streamId, end } = this.#reader
    const payloadBytes = end - this.#reader.start
    if (streamId === 0) throw new ConnectionError('PROTOCOL_ERROR', 'DATA on stream 0')
    this.#received.take(payloadBytes)
    const padding = this.#padding()
    const start = this.#reader.start + (padding < 0 ? 0 : 1)
    const length = end - start - Math.max(padding, 0)
    if (length < 0) throw new ConnectionError('PROTOCOL_ERROR', 'more padding than payload')
    const stream = this.#streams.get(streamId)
    if (!stream) return this.#onLateData(streamId)
    if (stream.remoteEnded) throw new StreamError('STREAM_CLOSED', streamId)
    stream.receiveWindow -= payloadBytes
    if (stream.receiveWindow < 0) throw new StreamError('FLOW_CONTROL_ERROR', streamId)
    stream.bodyBytes += length
    const endStream = (flags & FLAG.END_STREAM) !== 0
    if (length === 0 && !endStream) this.#spend(this.#quiet, 'DATA frames without data')
    if (!stream.handed && length > 0) {
      stream.body.push(bytes.subarray(start, start + length))
      this.#received.hold(length)
    }
    if (endStream) this.#onBodyEnd(stream)
    else if (stream.bodyBytes > (stream.contentLength ?? UINT31_MAX)) throw new StreamError('PROTOCOL_ERROR', streamId)
    else if (!stream.handed && stream.bodyBytes >= this.#handler.bodyBytesMax) this.#finish(stream)
  }

  #onLateData(id: number): void {
    if (id > this.#lastStreamId) {
      if (this.#state === 'drained') return
      throw new ConnectionError('PROTOCOL_ERROR', `DATA on stream ${id}, which is idle`)
    }
    const how = this.#closed.howEnded(id)
    if (how === ENDED.RESET_BY_US) return this.#spend(this.#quiet, 'frames on streams that were reset')
    if (how === ENDED.BY_BOTH) throw new ConnectionError('STREAM_CLOSED', `DATA on stream ${id}, which has ended`)
    throw new StreamError('STREAM_CLOSED', id)
  }

  #onBodyEnd(stream: Stream): void {
    stream.remoteEnded = true
    checkLength(stream)
    if (!stream.handed) this.#finish(stream)
  }

  #onReset(): void {
    const { streamId, start, end } = this.#reader
    if (end - start !== 4) throw new ConnectionError('FRAME_SIZE_ERROR', 'a RST_STREAM that is not four octets')
    this.#refuseIdle(streamId, 'RST_STREAM')
    // Also on streams that have ended: who resets each right after its answer asks for work nobody wants.
    this.#spend(this.#resets, 'streams reset')
    const stream = this.#streams.get(streamId)
    if (stream) this.#forget(stream, ENDED.RESET_BY_CLIENT)
  }

  #onWindowUpdate(): void {
    const { bytes, streamId, start, end } = this.#reader
    if (end - start !== 4) throw new ConnectionError('FRAME_SIZE_ERROR', 'a WINDOW_UPDATE that is not four octets')
    this.#spend(this.#quiet, 'WINDOW_UPDATE frames')
    const increment = uint31(bytes, start)
    if (streamId === 0) return this.#sender.openConnection(increment)
    this.#refuseIdle(streamId, 'WINDOW_UPDATE')
    const stream = this.#streams.get(streamId)
    if (stream) this.#sender.openStream(stream, increment)
  }

  #onSettings(): void {
    const { bytes, flags, streamId, start, end } = this.#reader
    if (streamId !== 0) throw new ConnectionError('PROTOCOL_ERROR', 'SETTINGS on a stream')
    if ((flags & FLAG.ACK) !== 0) {
      if (end !== start) throw new ConnectionError('FRAME_SIZE_ERROR', 'an acknowledgement with settings')
      if (!this.#hasSettings)
        throw new ConnectionError('PROTOCOL_ERROR', 'an acknowledgement before the first SETTINGS')
      return this.#spend(this.#settings, 'SETTINGS frames')
    }
    this.#spend(this.#settings, 'SETTINGS frames')
    const { headerTableBytes, initialWindow } = readSettings(bytes, start, end)
    if (headerTableBytes !== undefined) this.#output.tableBytesMax(headerTableBytes)
    if (initialWindow !== undefined) this.#sender.setInitialWindow(initialWindow, this.#streams.values())
    this.#hasSettings = true
    this.#output.settingsAck()
  }

  #onPing(): void {
    const { bytes, flags, streamId, start, end } = this.#reader
    if (streamId !== 0) throw new ConnectionError('PROTOCOL_ERROR', 'PING on a stream')
    if (end - start !== PING_BYTES) throw new ConnectionError('FRAME_SIZE_ERROR', 'a PING that is not eight octets')
    this.#spend(this.#pings, 'PING frames')
    const payload = bytes.subarray(start, end)
    if ((flags & FLAG.ACK) === 0) return this.#output.ping(payload, FLAG.ACK)
    if (this.#state !== 'last-call' || !payload.equals(DRAIN_PING)) return
    this.#state = 'drained'
    this.#output.goAway(this.#lastStreamId, 'NO_ERROR', '')
  }

  /** Read for its errors only: we answer in the order of arrival (RFC 9113 §5.3.2). */
  #onPriority(): void {
    const { bytes, streamId, start, end } = this.#reader
    if (streamId === 0) throw new ConnectionError('PROTOCOL_ERROR', 'PRIORITY on stream 0')
    this.#spend(this.#quiet, 'PRIORITY frames')
    if (end - start !== PRIORITY_BYTES) throw new StreamError('FRAME_SIZE_ERROR', streamId)
    if (uint31(bytes, start) === streamId) throw new StreamError('PROTOCOL_ERROR', streamId)
  }

  /** Octets of padding behind the payload, -1 without the flag; the length of the padding is before it. */
  #padding(): number {
    const { bytes, flags, start, end } = this.#reader
    if ((flags & FLAG.PADDED) === 0) return -1
    if (start === end) throw new ConnectionError('FRAME_SIZE_ERROR', 'a padded frame without the length of its padding')
    return bytes[start]!
  }

  #refuseIdle(streamId: number, what: string): void {
    if (streamId === 0 || (streamId > this.#lastStreamId && this.#state !== 'drained'))
      throw new ConnectionError('PROTOCOL_ERROR', `${what} on stream ${streamId}, which is idle`)
  }

  #spend(allowance: Allowance, what: string): void {
    if (!allowance.take(this.#nowMs)) throw new ConnectionError('ENHANCE_YOUR_CALM', `too many ${what}`)
  }

  #begin(stream: Stream): void {
    if (this.#head.tooLarge) return this.#reply(stream, HEAD_TOO_LARGE)
    let reply: Reply | Promise<Reply> | undefined
    try {
      reply = this.#handler.begin(this.#head)
    } catch (error) {
      return this.#failed(stream, error)
    }
    if (reply) this.#answer(stream, reply)
    else if (stream.remoteEnded) this.#finish(stream)
    else this.#streams.set(stream.id, stream)
  }

  /** Hands over the body, as much of it as there is. */
  #finish(stream: Stream): void {
    const { body } = stream
    const whole = body.length === 1 ? body[0]! : body.length === 0 ? EMPTY : Buffer.concat(body)
    stream.body = []
    this.#received.release(whole.length)
    let reply: Reply | Promise<Reply>
    try {
      reply = this.#handler.finish(whole)
    } catch (error) {
      return this.#failed(stream, error)
    }
    this.#answer(stream, reply)
  }

  #answer(stream: Stream, reply: Reply | Promise<Reply>): void {
    stream.handed = true
    if (!(reply instanceof Promise)) return this.#reply(stream, reply)
    stream.answering = true
    this.#streams.set(stream.id, stream)
    reply.then(
      (settled) => this.#onAnswer(stream, settled),
      (error: unknown) => this.#onAnswer(stream, undefined, error),
    )
  }

  /** Outside a read. The frames leave at the end of this turn of the event loop, with those of other answers. */
  #onAnswer(stream: Stream, reply: Reply | undefined, error?: unknown): void {
    stream.answering = false
    if (stream.gone) this.#abandoned--
    if (this.#state === 'over') return
    this.#nowMs = this.#shared.monotonicMs()
    this.#feelSocket()
    try {
      if (!reply) this.#failed(stream, error)
      else if (!stream.gone) this.#reply(stream, reply)
    } catch (thrown) {
      this.#caught(thrown)
    }
    this.#output.collect()
    if (this.#flushing) return
    this.#flushing = true
    setImmediate(() => {
      this.#flushing = false
      if (this.#state !== 'over') this.#endTurn()
    })
  }

  #reply(stream: Stream, reply: Reply): void {
    if (this.#sender.send(stream, reply, this.#shared.date, this.#nowMs)) this.#done(stream)
    else this.#streams.set(stream.id, stream)
  }

  /** The answer has left. The rest of a body nobody reads is not waited for (RFC 9113 §8.1); that costs no allowance. */
  #done(stream: Stream): void {
    this.#requestMs = this.#nowMs
    if (!stream.remoteEnded) this.#output.reset(stream.id, 'NO_ERROR')
    this.#forget(stream, stream.remoteEnded ? ENDED.BY_BOTH : ENDED.RESET_BY_US)
  }

  #failed(stream: Stream, error: unknown): void {
    this.#handler.failed(error)
    if (!stream.gone) this.#resetStream(stream.id, 'INTERNAL_ERROR')
  }

  #forget(stream: Stream, how: Ended): void {
    this.#streams.delete(stream.id)
    this.#closed.add(stream.id, how)
    this.#sender.forget(stream)
    if (stream.body.length > 0) for (const { length } of stream.body) this.#received.release(length)
    if (!stream.answering) return
    stream.gone = true
    this.#abandoned++
  }

  #caught(error: unknown): void {
    if (error instanceof StreamError) this.#resetStream(error.streamId, error.code)
    else if (error instanceof ConnectionError) this.#end(error.code, error.message)
    else {
      this.#handler.failed(error)
      this.#end('INTERNAL_ERROR', '')
    }
  }

  /** Counts like a reset by the client, which made us do it. */
  #resetStream(id: number, code: ErrorName): void {
    // An idle stream cannot be reset (RFC 9113 §5.1).
    if (id > this.#lastStreamId) return this.#end(code, `stream ${id} is idle`)
    if (!this.#resets.take(this.#nowMs)) return this.#end('ENHANCE_YOUR_CALM', 'too many streams reset')
    this.#output.reset(id, code)
    const stream = this.#streams.get(id)
    if (stream) this.#forget(stream, ENDED.RESET_BY_US)
    else this.#closed.add(id, ENDED.RESET_BY_US)
  }

  /** The last frame of this connection, and its end. */
  #end(code: ErrorName, words: string): void {
    if (this.#state === 'over') return
    this.#output.goAway(this.#lastStreamId, code, words)
    this.#flush()
    this.#forgetAll()
    this.#overMs = this.#nowMs
    this.#socket.end()
    this.#socket.resume()
  }

  #forgetAll(): void {
    this.#state = 'over'
    for (const stream of this.#streams.values()) stream.gone = true
    this.#streams.clear()
  }

  #endTurn(): void {
    if (this.#state === 'over') return
    this.#feelSocket()
    this.#sender.pump((stream) => this.#done(stream))
    this.#received.update(this.#output)
    this.#flush()
    if (this.#state === 'drained' && this.#busy === 0) {
      this.#forgetAll()
      this.#overMs = this.#nowMs
      this.#socket.end()
    } else if (this.#sender.clogged) this.#socket.pause()
    else if (this.#socket.isPaused()) this.#socket.resume()
  }

  #flush(): void {
    const bytes = this.#output.take()
    if (bytes === undefined || !this.#socket.writable) return
    this.#socket.write(bytes)
    this.#feelSocket()
  }

  #feelSocket(): void {
    const clogged = this.#socket.writableNeedDrain
    this.#sender.clogged = clogged
    if (!clogged) this.#cloggedMs = undefined
    else this.#cloggedMs ??= this.#nowMs
  }
}

function isOver(sinceMs: number | undefined, msMax: number, nowMs: number): boolean {
  return sinceMs !== undefined && nowMs - sinceMs > msMax
}

/** A body that is not as long as its head says makes the request malformed (RFC 9113 §8.1.1). */
function checkLength({ id, contentLength, bodyBytes }: Stream): void {
  if (contentLength !== undefined && contentLength !== bodyBytes) throw new StreamError('PROTOCOL_ERROR', id)
}
