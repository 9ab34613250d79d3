import type { Socket } from 'node:net'
import { EDNS_OPTION } from '../../dns/codes.ts'
import { hasOption } from '../../dns/edns.ts'
import { FrameReader } from '../../dns/frame.ts'
import { examineQuery } from '../../dns/query.ts'
import type { Client, Outcome, Query, Resolver } from '../resolve/resolver.ts'
import { ANSWER_MS_MAX, type ListenerContext } from './listener.ts'
import { KEEPALIVE_MS, MESSAGE_BYTES_MAX, writeReply } from './reply.ts'

/** Questions of one connection waiting for an upstream; over it we stop reading (RFC 7766 §6.2.1). */
const OPEN_QUERIES_MAX = 100
/** Time from one sign of life to the next before an idle connection is closed (RFC 7766 §6.2.3: order of seconds). */
const IDLE_MS = 10_000
const LENGTH_BYTES = 2
/** Made once: an abort without a reason would make an error with its stack for each connection. */
const CLIENT_GONE = new Error('the client has gone')
/** Answers of one read are gathered here. It holds the largest reply twice over, so that a flush is never forced early for small ones. */
const GATHER_BYTES = 2 * (LENGTH_BYTES + MESSAGE_BYTES_MAX)

/** Shared by all connections of a listener: it is filled and written out within one turn. */
export function gatherBuffer(): Buffer {
  return Buffer.allocUnsafeSlow(GATHER_BYTES)
}

/**
 * DNS over one TCP or TLS connection (RFC 7766, RFC 7858): questions are answered as they finish, in any order. All answers
 * that are ready when a read has been worked off leave in one write, because on loopback and LAN a write costs more than
 * everything else about an answer. The resolver never fails (last-resort.ts).
 *
 * Returns what ends the connection: no new questions, and the end once the open ones are answered.
 */
export function serveConnection(
  socket: Socket,
  client: Client,
  resolver: Resolver,
  gather: Buffer,
  { clock }: Pick<ListenerContext, 'clock'>,
): () => void {
  const reader = new FrameReader()
  const closed = new AbortController()
  let gathered = 0
  let open = 0
  /** False once the client has closed its side, broken the framing, or we are stopping. */
  let taking = true
  /** Answers that were finished outside a read; they wait for the end of this turn of the event loop. */
  let late: Buffer[] = []

  const flush = (): void => {
    if (gathered === 0) return
    socket.write(Buffer.from(gather.subarray(0, gathered)))
    gathered = 0
  }
  const put = (query: Query, outcome: Outcome): void => {
    if (outcome.kind === 'drop') return void socket.destroy()
    if (gathered + LENGTH_BYTES + MESSAGE_BYTES_MAX > GATHER_BYTES) flush()
    const length = writeReply(gather, gathered + LENGTH_BYTES, query, outcome)
    gather.writeUInt16BE(length, gathered)
    gathered += LENGTH_BYTES + length
  }
  const putRaw = (wire: Uint8Array): void => {
    if (gathered + LENGTH_BYTES + wire.length > GATHER_BYTES) flush()
    gather.writeUInt16BE(wire.length, gathered)
    gather.set(wire, gathered + LENGTH_BYTES)
    gathered += LENGTH_BYTES + wire.length
  }
  const flushLate = (): void => {
    const batch = late
    late = []
    if (socket.writable) socket.write(batch.length === 1 ? batch[0]! : Buffer.concat(batch))
    work()
  }
  const putLate = (query: Query, outcome: Outcome): void => {
    if (!socket.writable) return
    put(query, outcome)
    late.push(Buffer.from(gather.subarray(0, gathered)))
    gathered = 0
    if (late.length === 1) setImmediate(flushLate)
  }

  const answer = (wire: Uint8Array): void => {
    const examined = examineQuery(wire)
    if (examined.kind === 'drop') return
    if (examined.kind === 'error') return putRaw(examined.reply)
    const query = { view: examined.view, client, deadlineMs: clock.monotonicMs() + ANSWER_MS_MAX }
    const { edns } = examined.view
    if (edns && hasOption(edns, EDNS_OPTION.TCP_KEEPALIVE)) socket.setTimeout(KEEPALIVE_MS)
    const outcome = resolver.resolve(query, closed.signal)
    if (!(outcome instanceof Promise)) return put(query, outcome)
    open++
    void outcome.then((settled) => {
      open--
      putLate(query, settled)
    })
  }

  const isFull = (): boolean => open >= OPEN_QUERIES_MAX || socket.writableNeedDrain
  /** Works off what has been read as far as the bounds allow; called again when an answer or the socket makes room. */
  const work = (): void => {
    while (socket.writable && !isFull()) {
      const wire = reader.next()
      if (!wire) break
      answer(wire)
    }
    flush()
    // Nothing that follows can be understood, so nothing more is read either.
    if (reader.violation) return socket.destroySoon()
    if (isFull()) return void socket.pause()
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
  socket.on('drain', work)
  // A client that has asked everything may close its side and still be owed answers (RFC 7766 §6.2.4).
  socket.on('end', finish)
  socket.on('error', () => socket.destroy())
  socket.on('close', () => closed.abort(CLIENT_GONE))
  return finish
}
