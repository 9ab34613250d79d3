import { ClosedStreams, ENDED, type Ended } from './closed-streams.ts'
import { ConnectionError, type ErrorName, StreamError } from './error.ts'
import type { Floods } from './floods.ts'
import { UINT31_MAX } from './frame.ts'
import type { Handler, Shared } from './handler.ts'
import type { Reply } from './hpack-encoder.ts'
import { BODY_MS_MAX, STREAM_WINDOW_BYTES, STREAMS_MAX } from './limits.ts'
import type { Output } from './output.ts'
import type { ReceiveWindow } from './receive-window.ts'
import type { HeadCollector } from './request-head.ts'
import type { Sender } from './sender.ts'
import { Stream } from './stream.ts'

const EMPTY = Buffer.alloc(0)
const HEAD_TOO_LARGE: Reply = {
  status: 431,
  headers: { 'content-type': 'text/plain' },
  body: Buffer.from('the header list is too large'),
}

/** What a connection's requests are made of, and who hears of answers that were not ready at once. */
export interface Around {
  readonly handler: Handler
  readonly shared: Shared
  readonly output: Output
  readonly sender: Sender
  readonly received: ReceiveWindow
  readonly floods: Floods
  /** An answer is about to be written, outside a read. */
  lateBegins(): void
  /** It is written; `error` is what that threw. */
  lateEnds(error?: unknown): void
}

/** The streams of one connection: their states (RFC 9113 §5.1), from a request's first frame to the end of its answer. */
export class Requests {
  readonly #around: Around
  /** Those that have not ended on both sides. */
  readonly #streams = new Map<number, Stream>()
  readonly #closed = new ClosedStreams()
  /** Answers still being made for streams that are gone. They count: a reset must not make room for more work. */
  #abandoned = 0
  #lastStreamId = 0
  /** False once the client knows that new streams are not served: they are passed over. */
  accepting = true
  nowMs: number
  /** When the last one came or was answered. */
  lastMs: number

  constructor(around: Around, nowMs: number) {
    this.#around = around
    this.nowMs = nowMs
    this.lastMs = nowMs
  }

  get lastStreamId(): number {
    return this.#lastStreamId
  }
  /** How many are at work. */
  get busy(): number {
    return this.#streams.size + this.#abandoned
  }
  get streams(): Iterable<Stream> {
    return this.#streams.values()
  }

  /** Those with even numbers would be ours to open, and we open none (RFC 9113 §5.1.1). */
  isIdle(id: number): boolean {
    return id > this.#lastStreamId || id % 2 === 0
  }

  /** A header block is whole and decoded. */
  onHead(id: number, endStream: boolean, dependsOnItself: boolean, head: HeadCollector): void {
    const known = this.#streams.get(id)
    if (known) return this.#onTrailers(known, endStream, head)
    if (!this.isIdle(id)) return this.#onLateHead(id)
    if (!this.accepting) return
    this.#lastStreamId = id
    if (dependsOnItself || head.malformedRequest) throw new StreamError('PROTOCOL_ERROR', id)
    if (this.busy >= STREAMS_MAX) throw new StreamError('REFUSED_STREAM', id)
    this.lastMs = this.nowMs
    this.#around.floods.request()
    const stream = new Stream(id, {
      isHead: head.method === 'HEAD',
      startedMs: this.nowMs,
      contentLength: head.contentLength,
      sendWindow: this.#around.sender.initialWindow,
      receiveWindow: STREAM_WINDOW_BYTES,
      remoteEnded: endStream,
    })
    if (endStream) checkLength(stream)
    this.#begin(stream, head)
  }

  /** `payloadBytes`: with padding. */
  onData(id: number, data: Buffer, payloadBytes: number, endStream: boolean): void {
    const stream = this.#streams.get(id)
    if (!stream) return this.#onLateData(id)
    if (stream.remoteEnded) throw new StreamError('STREAM_CLOSED', id)
    stream.receiveWindow -= payloadBytes
    if (stream.receiveWindow < 0) throw new StreamError('FLOW_CONTROL_ERROR', id)
    if (data.length === 0 && !endStream) this.#around.floods.quiet(this.nowMs)
    stream.bodyBytes += data.length
    if (!stream.handed && data.length > 0) {
      if (stream.body) stream.body.push(data)
      else stream.body = [data]
      this.#around.received.hold(data.length)
    }
    if (endStream) this.#onBodyEnd(stream)
    else if (stream.bodyBytes > (stream.contentLength ?? UINT31_MAX)) throw new StreamError('PROTOCOL_ERROR', id)
    else if (!stream.handed && stream.bodyBytes >= this.#around.handler.bodyBytesMax) this.#finish(stream)
  }

  onReset(id: number): void {
    // Also on streams that have ended: who resets each right after its answer asks for work nobody wants.
    this.#around.floods.reset(this.nowMs)
    const stream = this.#streams.get(id)
    if (stream) this.#forget(stream, ENDED.RESET_BY_CLIENT)
  }

  /** On one that has ended it was under way and means nothing (RFC 9113 §5.1). */
  onWindowUpdate(id: number, increment: number): void {
    const stream = this.#streams.get(id)
    if (stream) this.#around.sender.openStream(stream, increment)
  }

  /** Counts like a reset by the client, which made us do it. Throws ConnectionError for one too many. */
  reset(id: number, code: ErrorName): void {
    this.#around.floods.reset(this.nowMs)
    this.#around.output.reset(id, code)
    const stream = this.#streams.get(id)
    if (stream) this.#forget(stream, ENDED.RESET_BY_US)
    else this.#closed.add(id, ENDED.RESET_BY_US)
  }

  resetOverdueBodies(): void {
    for (const stream of this.#streams.values())
      if (!stream.handed && this.nowMs - stream.startedMs > BODY_MS_MAX) this.reset(stream.id, 'CANCEL')
  }

  /** The answer has left. The rest of a body nobody reads is not waited for (RFC 9113 §8.1); that costs no allowance. */
  done(stream: Stream): void {
    this.lastMs = this.nowMs
    if (!stream.remoteEnded) this.#around.output.reset(stream.id, 'NO_ERROR')
    this.#forget(stream, stream.remoteEnded ? ENDED.BY_BOTH : ENDED.RESET_BY_US)
  }

  /** The connection is over. */
  forgetAll(): void {
    for (const stream of this.#streams.values()) {
      if (!stream.answering) continue
      stream.gone = true
      this.#abandoned++
    }
    this.#streams.clear()
  }

  #onTrailers(stream: Stream, endStream: boolean, head: HeadCollector): void {
    if (stream.remoteEnded) throw new StreamError('STREAM_CLOSED', stream.id)
    if (!endStream || head.malformedTrailers || head.tooLarge) throw new StreamError('PROTOCOL_ERROR', stream.id)
    this.#onBodyEnd(stream)
  }

  #onLateHead(id: number): void {
    const how = this.#closed.howEnded(id)
    if (how === ENDED.RESET_BY_US) return this.#around.floods.quiet(this.nowMs)
    if (how === ENDED.RESET_BY_CLIENT) throw new StreamError('STREAM_CLOSED', id)
    if (how === ENDED.BY_BOTH) throw new ConnectionError('STREAM_CLOSED', `HEADERS on stream ${id}, which has ended`)
    throw new ConnectionError('PROTOCOL_ERROR', `stream ${id} after stream ${this.#lastStreamId}`)
  }

  #onLateData(id: number): void {
    const how = this.#closed.howEnded(id)
    if (how === ENDED.RESET_BY_US) return this.#around.floods.quiet(this.nowMs)
    if (how === ENDED.BY_BOTH) throw new ConnectionError('STREAM_CLOSED', `DATA on stream ${id}, which has ended`)
    throw new StreamError('STREAM_CLOSED', id)
  }

  #onBodyEnd(stream: Stream): void {
    stream.remoteEnded = true
    checkLength(stream)
    if (!stream.handed) this.#finish(stream)
  }

  #begin(stream: Stream, head: HeadCollector): void {
    if (head.tooLarge) return this.#reply(stream, HEAD_TOO_LARGE)
    let reply: Reply | Promise<Reply> | undefined
    try {
      reply = this.#around.handler.begin(head)
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
    const whole = !body ? EMPTY : body.length === 1 ? body[0]! : Buffer.concat(body)
    stream.body = undefined
    this.#around.received.release(whole.length)
    let reply: Reply | Promise<Reply>
    try {
      reply = this.#around.handler.finish(whole)
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
      (settled) => this.#onAnswer(stream, (wanted) => this.#reply(wanted, settled)),
      (error: unknown) => this.#onAnswer(stream, (wanted) => this.#failed(wanted, error)),
    )
  }

  #onAnswer(stream: Stream, write: (stream: Stream) => void): void {
    stream.answering = false
    if (stream.gone) {
      this.#abandoned--
      return this.#around.lateEnds() // it may have been the last that was waited for
    }
    this.#around.lateBegins()
    try {
      write(stream)
    } catch (error) {
      return this.#around.lateEnds(error)
    }
    this.#around.lateEnds()
  }

  #reply(stream: Stream, reply: Reply): void {
    if (this.#around.sender.send(stream, reply, this.#around.shared.date, this.nowMs)) this.done(stream)
    else this.#streams.set(stream.id, stream)
  }

  #failed(stream: Stream, error: unknown): void {
    this.#around.handler.failed(error)
    this.reset(stream.id, 'INTERNAL_ERROR')
  }

  #forget(stream: Stream, how: Ended): void {
    this.#streams.delete(stream.id)
    this.#closed.add(stream.id, how)
    this.#around.sender.forget(stream)
    if (stream.body) for (const { length } of stream.body) this.#around.received.release(length)
    if (!stream.answering) return
    stream.gone = true
    this.#abandoned++
  }
}

/** A body that is not as long as its head says makes the request malformed (RFC 9113 §8.1.1). */
function checkLength({ id, contentLength, bodyBytes }: Stream): void {
  if (contentLength !== undefined && contentLength !== bodyBytes) throw new StreamError('PROTOCOL_ERROR', id)
}
