import type { Duplex } from 'node:stream'
import { ConnectionError, type ErrorName, StreamError } from './error.ts'
import { Floods } from './floods.ts'
import { UINT31_MAX } from './frame.ts'
import { FrameReader } from './frame-reader.ts'
import type { Handler, Shared } from './handler.ts'
import { Incoming } from './incoming.ts'
import { HEAD_MS_MAX, IDLE_MS, LINGER_MS, RESPONSE_MS_MAX } from './limits.ts'
import { Output } from './output.ts'
import { PrefaceReader } from './preface.ts'
import { ReceiveWindow } from './receive-window.ts'
import { Requests } from './requests.ts'
import { Sender } from './sender.ts'
import type { Stream } from './stream.ts'

/** Comes back when the client has read the GOAWAY before it. */
const DRAIN_PING = Buffer.from('draining', 'latin1')

/** The server's side of one HTTP/2 connection (RFC 9113) on any socket. One write for all that a read made ready. */
export class Connection {
  readonly #socket: Duplex
  readonly #handler: Handler
  readonly #shared: Shared
  readonly #output: Output
  readonly #sender: Sender
  readonly #received = new ReceiveWindow()
  readonly #preface = new PrefaceReader()
  readonly #reader = new FrameReader()
  readonly #requests: Requests
  readonly #incoming: Incoming
  /** `last-call`: new requests are still served. `drained`: no more, and the last answer ends the connection. */
  #state: 'open' | 'last-call' | 'drained' | 'over' = 'open'
  #overMs = 0
  /** Since when we wait for the end of the preface, a frame or a header block. */
  #unfinishedMs: number | undefined
  /** Since when the socket takes no more. */
  #cloggedMs: number | undefined
  #endsTurnLater = false

  constructor(socket: Duplex, handler: Handler, shared: Shared) {
    const nowMs = shared.monotonicMs()
    this.#socket = socket
    this.#handler = handler
    this.#shared = shared
    this.#output = new Output(shared.gather)
    this.#sender = new Sender(this.#output)
    this.#unfinishedMs = nowMs
    const around = {
      handler,
      shared,
      output: this.#output,
      sender: this.#sender,
      received: this.#received,
      floods: new Floods(nowMs),
      lateBegins: () => this.#beginTurn(),
      lateEnds: (error?: unknown) => this.#lateEnds(error),
      onPong: (payload: Buffer) => this.#onPong(payload),
    }
    this.#requests = new Requests(around, nowMs)
    this.#incoming = new Incoming(this.#reader, this.#requests, around)
    socket.on('data', (chunk: Buffer) => this.#read(chunk))
    socket.on('drain', () => this.#work())
    socket.on('error', () => socket.destroy())
    socket.on('close', () => this.#forgetAll())
    // A client may wait for it (RFC 9113 §3.4), so it does not wait for the client.
    this.#output.settings()
    this.#received.announce(this.#output)
    this.#flush()
  }

  /** Tells the client to open no new streams here, and ends when its open requests are answered. */
  drain(): void {
    if (this.#state !== 'open') return
    if (!this.#preface.done) return this.#end('NO_ERROR', '')
    this.#state = 'last-call'
    // Requests may be on their way: those that come before this PING comes back are served (RFC 9113 §6.8).
    this.#output.goAway(UINT31_MAX, 'NO_ERROR', '')
    this.#output.ping(DRAIN_PING, 0)
    this.#flush()
  }

  /** Looks at the bounds in time; called every SWEEP_MS. */
  sweep(): void {
    this.#beginTurn()
    const { nowMs } = this.#requests
    const isOver = (sinceMs: number | undefined, msMax: number): boolean =>
      sinceMs !== undefined && nowMs - sinceMs > msMax
    if (this.#state === 'over') {
      if (isOver(this.#overMs, LINGER_MS)) this.#socket.destroy()
    } else if (isOver(this.#cloggedMs, RESPONSE_MS_MAX)) this.#socket.destroy()
    else if (this.#sender.overdue(nowMs)) this.#end('ENHANCE_YOUR_CALM', 'an answer waited too long for a window')
    else if (isOver(this.#unfinishedMs, HEAD_MS_MAX)) this.#end('ENHANCE_YOUR_CALM', 'a frame did not end in time')
    else if (this.#requests.busy === 0 && isOver(this.#requests.lastMs, IDLE_MS)) this.#end('NO_ERROR', 'idle')
    else {
      try {
        this.#requests.resetOverdueBodies()
      } catch (error) {
        this.#caught(error)
      }
      this.#endTurn()
    }
  }

  #read(chunk: Buffer): void {
    if (this.#state === 'over') return // read all the same: closing with unread data would take our GOAWAY from the client
    try {
      const skip = this.#preface.done ? 0 : this.#preface.take(chunk)
      if (skip < chunk.length) this.#reader.push(skip === 0 ? chunk : chunk.subarray(skip))
    } catch (error) {
      return this.#caught(error)
    }
    this.#work()
  }

  /** Works off what has been read; called again when the socket makes room. */
  #work(): void {
    if (this.#state === 'over') return
    this.#beginTurn()
    const moved = this.#workOff()
    const isUnfinished = !this.#preface.done || !this.#reader.idle || this.#incoming.inHeaderBlock
    // What we do not read because the socket is full is not the client's delay.
    if (!isUnfinished || this.#sender.clogged) this.#unfinishedMs = undefined
    else if (moved) this.#unfinishedMs = this.#requests.nowMs
    else this.#unfinishedMs ??= this.#requests.nowMs
    this.#endTurn()
  }

  /** True when something was finished, be it by an error. */
  #workOff(): boolean {
    let moved = false
    for (;;) {
      try {
        while (this.#mayWork() && this.#reader.next()) {
          this.#incoming.frame()
          moved ||= !this.#incoming.inHeaderBlock
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

  #beginTurn(): void {
    this.#requests.nowMs = this.#shared.monotonicMs()
    this.#feelSocket()
  }

  /** Sends what is ready, and reads on if the socket can take the answers. */
  #endTurn(): void {
    if (this.#state === 'over') return
    this.#feelSocket()
    this.#sender.pump(this.#done)
    this.#received.update(this.#output)
    this.#flush()
    if (this.#state === 'drained' && this.#requests.busy === 0) this.#close()
    else if (this.#sender.clogged) this.#socket.pause()
    else if (this.#socket.isPaused()) this.#socket.resume()
  }
  readonly #done = (stream: Stream): void => this.#requests.done(stream)

  /** Answers that were finished outside a read leave together, at the end of this turn of the event loop. */
  #lateEnds(error: unknown): void {
    if (error !== undefined) this.#caught(error)
    this.#output.collect()
    if (this.#endsTurnLater || this.#state === 'over') return
    this.#endsTurnLater = true
    setImmediate(() => {
      this.#endsTurnLater = false
      this.#endTurn()
    })
  }

  #onPong(payload: Buffer): void {
    if (this.#state !== 'last-call' || !payload.equals(DRAIN_PING)) return
    this.#state = 'drained'
    this.#requests.accepting = false
    this.#output.goAway(this.#requests.lastStreamId, 'NO_ERROR', '')
  }

  #caught(error: unknown): void {
    try {
      // An idle stream cannot be reset (RFC 9113 §5.1).
      if (!(error instanceof StreamError)) throw error
      if (this.#requests.isIdle(error.streamId)) throw new ConnectionError(error.code, 'the stream is idle')
      this.#requests.reset(error.streamId, error.code)
    } catch (thrown) {
      if (thrown instanceof ConnectionError) return this.#end(thrown.code, thrown.message)
      this.#handler.failed(thrown)
      this.#end('INTERNAL_ERROR', '')
    }
  }

  /** GOAWAY, and the end of this connection. */
  #end(code: ErrorName, words: string): void {
    if (this.#state === 'over') return
    this.#output.goAway(this.#requests.lastStreamId, code, words)
    this.#flush()
    this.#close()
  }

  #close(): void {
    this.#forgetAll()
    this.#overMs = this.#requests.nowMs
    this.#socket.end()
    this.#socket.resume()
  }

  #forgetAll(): void {
    this.#state = 'over'
    this.#requests.forgetAll()
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
    else this.#cloggedMs ??= this.#requests.nowMs
  }
}
