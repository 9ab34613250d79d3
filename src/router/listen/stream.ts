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
}

export function sharedState({ clock, cookies, admit }: Pick<ListenerContext, 'clock' | 'cookies' | 'admit'>): Shared {
  return {
    clock,
    ...(cookies ? { cookies } : {}),
    ...(admit ? { admit } : {}),
    gather: Buffer.allocUnsafeSlow(GATHER_BYTES),
    slowReaders: new SlowReaders(),
    openQueries: 0,
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
  const { clock, cookies, gather, slowReaders } = shared
  const reader = new FrameReader()
  const closed = new AbortController()
  let gathered = 0
  let open = 0
  /** False once the client has closed its side, broken the framing, or we are stopping. */
  let taking = true
  /** Answers that were finished outside a read; they wait for the end of this turn of the event loop. */
  let late: Buffer[] = []
  /** When the unfinished message began to arrive, and when we ended our side; 0: it has not. */
  let messageSinceMs = 0
  let endedSinceMs = 0

  const write = (bytes: Buffer): void => {
    if (!socket.write(bytes)) slowReaders.add(socket, bytes.length, clock.monotonicMs())
    if (socket.writableLength > WAITING_BYTES_MAX) socket.destroy()
  }
  const flush = (): void => {
    if (gathered === 0) return
    write(Buffer.from(gather.subarray(0, gathered)))
    gathered = 0
  }
  const put = (query: Query, outcome: Outcome): void => {
    if (outcome.kind === 'drop') return void socket.destroy()
    if (gathered + LENGTH_BYTES + MESSAGE_BYTES_MAX > GATHER_BYTES) flush()
    const length = writeReply(gather, gathered + LENGTH_BYTES, query, outcome, cookies)
    gather.writeUInt16BE(length, gathered)
    gathered += LENGTH_BYTES + length
  }
  const putRaw = (wire: Uint8Array): void => {
    if (gathered + LENGTH_BYTES + wire.length > GATHER_BYTES) flush()
    gather.writeUInt16BE(wire.length, gathered)
    gather.set(wire, gathered + LENGTH_BYTES)
    gathered += LENGTH_BYTES + wire.length
  }
  /** To those who may not ask, not even an error is owed. */
  const replyToOther = (wire: Uint8Array, error: Uint8Array): void => {
    if (shared.admit?.(client.address) === false) return void socket.destroy()
    const edns = client.transport === 'tcp' ? asksForCookie(wire) : undefined
    const cookie = edns && cookies?.answerTo(edns, client.address)
    putRaw(cookie ? cookieReply(edns, cookie.option, cookie.rejected ? 'bad' : 'good') : error)
  }
  const flushLate = (): void => {
    const batch = late
    late = []
    if (socket.writable) write(batch.length === 1 ? batch[0]! : Buffer.concat(batch))
    work()
  }
  const putLate = (query: Query, outcome: Outcome): void => {
    if (!socket.writable) return
    put(query, outcome)
    if (gathered === 0) return
    late.push(Buffer.from(gather.subarray(0, gathered)))
    gathered = 0
    if (late.length === 1) setImmediate(flushLate)
  }

  const answer = (wire: Uint8Array): void => {
    const examined = examineQuery(wire)
    if (examined.kind === 'drop') return
    if (examined.kind === 'error') return replyToOther(wire, examined.reply)
    const query = { view: examined.view, client, deadlineMs: clock.monotonicMs() + ANSWER_MS_MAX }
    const { edns } = examined.view
    if (edns && hasOption(edns, EDNS_OPTION.TCP_KEEPALIVE)) socket.setTimeout(KEEPALIVE_MS)
    const outcome = resolver.resolve(query, closed.signal)
    if (!(outcome instanceof Promise)) return put(query, outcome)
    open++
    shared.openQueries++
    void outcome.then((settled) => {
      open--
      shared.openQueries--
      putLate(query, settled)
    })
  }

  const isFull = (): boolean =>
    open >= OPEN_QUERIES_MAX || socket.writableNeedDrain || (open > 0 && shared.openQueries >= OPEN_QUERIES_SHARED_MAX)
  /** Works off what has been read as far as the bounds allow; called again when an answer or the socket makes room. */
  const work = (): void => {
    let whole = 0
    while (socket.writable && !isFull()) {
      const wire = reader.next()
      if (!wire) break
      whole++
      answer(wire)
    }
    flush()
    // Nothing that follows can be understood, so nothing more is read either.
    if (reader.violation) return socket.destroySoon()
    if (isFull()) {
      messageSinceMs = 0 // it is we who do not read on
      return void socket.pause()
    }
    if (reader.idle) messageSinceMs = 0
    else if (whole > 0 || messageSinceMs === 0) messageSinceMs = clock.monotonicMs()
    socket.resume()
    if (!taking && open === 0 && late.length === 0) socket.end()
  }
  const finish = (): void => {
    taking = false
    work()
  }

  socket.setNoDelay(true)
  socket.setTimeout(IDLE_MS, () => {
    // One that does not read, or does not close its side after we closed ours, is cut.
    if (socket.writableEnded || socket.writableNeedDrain) socket.destroy()
    else finish()
  })
  socket.on('data', (chunk) => {
    if (!taking) return // read all the same: closing with unread data would take our last answers from the client
    reader.push(chunk)
    work()
  })
  socket.on('drain', () => {
    slowReaders.remove(socket)
    work()
  })
  // A client that has asked everything may close its side and still be owed answers (RFC 7766 §6.2.4).
  socket.on('end', finish)
  socket.on('error', () => socket.destroy())
  socket.on('close', () => {
    slowReaders.remove(socket)
    closed.abort(CLIENT_GONE)
  })

  return {
    finish,
    giveUp() {
      if (open > 0 || late.length > 0 || !reader.idle || socket.writableLength > 0) return false
      taking = false
      socket.destroySoon()
      return true
    },
    check(nowMs) {
      if (messageSinceMs !== 0 && nowMs - messageSinceMs >= MESSAGE_MS_MAX) {
        messageSinceMs = 0
        taking = false
        socket.destroySoon()
      }
      if (!socket.writableEnded) return
      endedSinceMs ||= nowMs
      if (nowMs - endedSinceMs >= CLOSE_MS_MAX) socket.destroy()
    },
  }
}
