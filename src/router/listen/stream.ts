import type { Socket } from 'node:net'
import { EDNS_OPTION } from '../../dns/codes.ts'
import { hasOption } from '../../dns/edns.ts'
import { FrameReader } from '../../dns/frame.ts'
import { asksForCookie, cookieReply, examineQuery } from '../../dns/query.ts'
import type { Client, Outcome, Query, Resolver } from '../resolve/resolver.ts'
import { ANSWER_MS_MAX, type ListenerContext } from './listener.ts'
import { KEEPALIVE_MS, MESSAGE_BYTES_MAX, writeReply } from './reply.ts'
import { SlowReaders } from './slow-readers.ts'

/** Questions of one connection waiting for an upstream; over it we stop reading (RFC 7766 §6.2.1). */
const OPEN_QUERIES_MAX = 100
/** Of all connections of a listener. Each may have one whatever the others do, so that none waits for ever. */
const OPEN_QUERIES_SHARED_MAX = 4096
/** Time from one sign of life to the next before an idle connection is closed (RFC 7766 §6.2.3: order of seconds). */
const IDLE_MS = 10_000
/** A message that was begun has to be whole by then: an octet a second is no sign of life. */
const MESSAGE_MS_MAX = 5_000
/** After our end of the connection the client has this long to close its own. */
const CLOSE_MS_MAX = 5_000
/** Answers of one connection that are waiting for its client to read, sixteen of the largest: over it the client is given up. */
const WAITING_BYTES_MAX = 1024 * 1024
const LENGTH_BYTES = 2
/** Made once: an abort without a reason would make an error with its stack for each connection. */
const CLIENT_GONE = new Error('the client has gone')
/** Answers of one read are gathered here. It holds the largest reply twice over, so that a flush is never forced early for small ones. */
const GATHER_BYTES = 2 * (LENGTH_BYTES + MESSAGE_BYTES_MAX)

/** What the connections of a listener have in common. */
export interface Shared extends Pick<ListenerContext, 'clock' | 'cookies' | 'admit'> {
  /** It is filled and written out within one turn, so one is enough for all. */
  readonly gather: Buffer
  readonly slowReaders: SlowReaders
  openQueries: number
  /** Of no connection yet: the next that has to wait for an answer takes it. Most are never told of their client's end. */
  spare: AbortController
}

export function sharedState({ clock, cookies, admit }: Pick<ListenerContext, 'clock' | 'cookies' | 'admit'>): Shared {
  return {
    clock,
    ...(cookies ? { cookies } : {}),
    ...(admit ? { admit } : {}),
    gather: Buffer.allocUnsafeSlow(GATHER_BYTES),
    slowReaders: new SlowReaders(),
    openQueries: 0,
    spare: new AbortController(),
  }
}

/** What a listener may do with one of its connections. */
export interface Connection {
  /** No new questions, and the end once the open ones are answered. */
  finish(): void
  /** Ends the connection if nothing is asked and nothing owed; says whether it did. */
  giveUp(): boolean
  /** Cuts it when one of its times is over; to be called about every second. */
  check(nowMs: number): void
}

/**
 * DNS over one TCP or TLS connection (RFC 7766, RFC 7858): questions are answered as they finish, in any order. All answers
 * that are ready when a read has been worked off leave in one write, because on loopback and LAN a write costs more than
 * everything else about an answer. The resolver never fails (last-resort.ts).
 */
export function serveConnection(socket: Socket, client: Client, resolver: Resolver, shared: Shared): Connection {
  const connection = new StreamConnection(socket, client, resolver, shared)
  socket.setNoDelay(true)
  socket.setTimeout(IDLE_MS, () => connection.idle())
  socket.on('data', (chunk) => connection.read(chunk))
  socket.on('drain', () => connection.drained())
  // A client that has asked everything may close its side and still be owed answers (RFC 7766 §6.2.4).
  socket.on('end', () => connection.finish())
  socket.on('error', () => socket.destroy())
  socket.on('close', () => connection.closed())
  return connection
}

/** A class, and not closures: an idle connection costs little more than its fields, and its methods exist once. */
class StreamConnection implements Connection {
  readonly #socket: Socket
  readonly #client: Client
  readonly #resolver: Resolver
  readonly #shared: Shared
  readonly #reader = new FrameReader()
  /** Aborted when the client goes away; there while answers are open. */
  #gone: AbortController | undefined
  #gathered = 0
  #open = 0
  /** False once the client has closed its side, broken the framing, or we are stopping. */
  #taking = true
  /** Answers that were finished outside a read; they wait for the end of this turn of the event loop. */
  #late: Buffer[] | undefined
  /** When the unfinished message began to arrive, and when we ended our side; 0: it has not. */
  #messageSinceMs = 0
  #endedSinceMs = 0

  constructor(socket: Socket, client: Client, resolver: Resolver, shared: Shared) {
    this.#socket = socket
    this.#client = client
    this.#resolver = resolver
    this.#shared = shared
  }

  read(chunk: Uint8Array): void {
    if (!this.#taking) return // read all the same: closing with unread data would take our last answers from the client
    this.#reader.push(chunk)
    this.#work()
  }

  drained(): void {
    this.#shared.slowReaders.remove(this.#socket)
    this.#work()
  }

  finish(): void {
    this.#taking = false
    this.#work()
  }

  /** One that does not read, or does not close its side after we closed ours, is cut. */
  idle(): void {
    if (this.#socket.writableEnded || this.#socket.writableNeedDrain) this.#socket.destroy()
    else this.finish()
  }

  closed(): void {
    this.#shared.slowReaders.remove(this.#socket)
    this.#gone?.abort(CLIENT_GONE)
  }

  giveUp(): boolean {
    if (this.#open > 0 || this.#late || !this.#reader.idle || this.#socket.writableLength > 0) return false
    this.#taking = false
    this.#socket.destroySoon()
    return true
  }

  check(nowMs: number): void {
    if (this.#messageSinceMs !== 0 && nowMs - this.#messageSinceMs >= MESSAGE_MS_MAX) {
      this.#messageSinceMs = 0
      this.#taking = false
      this.#socket.destroySoon()
    }
    if (!this.#socket.writableEnded) return
    this.#endedSinceMs ||= nowMs
    if (nowMs - this.#endedSinceMs >= CLOSE_MS_MAX) this.#socket.destroy()
  }

  /** Works off what has been read as far as the bounds allow; called again when an answer or the socket makes room. */
  #work(): void {
    const socket = this.#socket
    const reader = this.#reader
    let whole = 0
    while (socket.writable && !this.#isFull()) {
      const wire = reader.next()
      if (!wire) break
      whole++
      this.#answer(wire)
    }
    this.#flush()
    // Nothing that follows can be understood, so nothing more is read either.
    if (reader.violation) return socket.destroySoon()
    if (this.#isFull()) {
      this.#messageSinceMs = 0 // it is we who do not read on
      return void socket.pause()
    }
    if (reader.idle) this.#messageSinceMs = 0
    else if (whole > 0 || this.#messageSinceMs === 0) this.#messageSinceMs = this.#shared.clock.monotonicMs()
    socket.resume()
    if (!this.#taking && this.#open === 0 && !this.#late) socket.end()
  }

  #isFull(): boolean {
    return (
      this.#open >= OPEN_QUERIES_MAX ||
      this.#socket.writableNeedDrain ||
      (this.#open > 0 && this.#shared.openQueries >= OPEN_QUERIES_SHARED_MAX)
    )
  }

  #answer(wire: Uint8Array): void {
    const examined = examineQuery(wire)
    if (examined.kind === 'drop') return
    if (examined.kind === 'error') return this.#replyToOther(wire, examined.reply)
    const shared = this.#shared
    const query = { view: examined.view, client: this.#client, deadlineMs: shared.clock.monotonicMs() + ANSWER_MS_MAX }
    const { edns } = examined.view
    if (edns && hasOption(edns, EDNS_OPTION.TCP_KEEPALIVE)) this.#socket.setTimeout(KEEPALIVE_MS)
    const gone = this.#gone ?? shared.spare
    const outcome = this.#resolver.resolve(query, gone.signal)
    if (!(outcome instanceof Promise)) return this.#put(query, outcome)
    if (!this.#gone) {
      this.#gone = gone
      shared.spare = new AbortController()
    }
    this.#open++
    shared.openQueries++
    void outcome.then((settled) => {
      if (--this.#open === 0) this.#gone = undefined
      shared.openQueries--
      this.#putLate(query, settled)
    })
  }

  /** To those who may not ask, not even an error is owed. */
  #replyToOther(wire: Uint8Array, error: Uint8Array): void {
    const { admit, cookies } = this.#shared
    const { address, transport } = this.#client
    if (admit?.(address) === false) return void this.#socket.destroy()
    const edns = transport === 'tcp' ? asksForCookie(wire) : undefined
    const cookie = edns && cookies?.answerTo(edns, address)
    this.#putRaw(cookie ? cookieReply(edns, cookie.option, cookie.rejected ? 'bad' : 'good') : error)
  }

  #put(query: Query, outcome: Outcome): void {
    if (outcome.kind === 'drop') return void this.#socket.destroy()
    const { gather, cookies } = this.#shared
    if (this.#gathered + LENGTH_BYTES + MESSAGE_BYTES_MAX > GATHER_BYTES) this.#flush()
    const length = writeReply(gather, this.#gathered + LENGTH_BYTES, query, outcome, cookies)
    gather.writeUInt16BE(length, this.#gathered)
    this.#gathered += LENGTH_BYTES + length
  }

  #putRaw(wire: Uint8Array): void {
    const { gather } = this.#shared
    if (this.#gathered + LENGTH_BYTES + wire.length > GATHER_BYTES) this.#flush()
    gather.writeUInt16BE(wire.length, this.#gathered)
    gather.set(wire, this.#gathered + LENGTH_BYTES)
    this.#gathered += LENGTH_BYTES + wire.length
  }

  #flush(): void {
    if (this.#gathered > 0) this.#write(this.#takeGathered())
  }

  #takeGathered(): Buffer {
    const bytes = Buffer.from(this.#shared.gather.subarray(0, this.#gathered))
    this.#gathered = 0
    return bytes
  }

  #putLate(query: Query, outcome: Outcome): void {
    if (!this.#socket.writable) return
    this.#put(query, outcome)
    if (this.#gathered === 0) return
    const bytes = this.#takeGathered()
    if (this.#late) return void this.#late.push(bytes)
    this.#late = [bytes]
    setImmediate(() => this.#flushLate())
  }

  #flushLate(): void {
    const batch = this.#late!
    this.#late = undefined
    if (this.#socket.writable) this.#write(batch.length === 1 ? batch[0]! : Buffer.concat(batch))
    this.#work()
  }

  #write(bytes: Buffer): void {
    const { slowReaders, clock } = this.#shared
    if (!this.#socket.write(bytes)) slowReaders.add(this.#socket, bytes.length, clock.monotonicMs())
    if (this.#socket.writableLength > WAITING_BYTES_MAX) this.#socket.destroy()
  }
}
