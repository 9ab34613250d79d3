import type { Socket } from 'node:net'
import { Fault } from '../../core/fault.ts'
import { FrameReader } from '../../dns/frame.ts'
import { MessageView } from '../../dns/view.ts'
import { Alarm } from './alarm.ts'
import type { EndpointSource } from './endpoints.ts'
import { Lesson } from './lesson.ts'
import { deadlineFault, freeId, type Question, refusedFault, SENDS_MAX } from './question.ts'
import type { Proof } from './trust.ts'
import { type Connection, type ConnectionEvents, WarmUpstream } from './warm.ts'
import { type Channel, FORM, isRefusal, matchReply, questionBytesMax, wholeAnswerTo, writeQuestion } from './wire.ts'

/** Questions open on one connection; ids must stay unique and unguessable enough (RFC 7766 §7). */
const OPEN_QUESTIONS_MAX = 1000
/** An idle connection is kept this long for the next question, unless the server announces another time (RFC 7828). */
const IDLE_MS = 20_000
/** Bounds of what a server may announce: less would cost a handshake per question, more keeps its and our memory for nothing. */
const IDLE_MS_MIN = 1_000
const IDLE_MS_MAX = 120_000
/** A server that refused our OPT record is asked without for this long (RFC 6891 §6.2.2). */
export const WITHOUT_EDNS_MS = 900_000
const LENGTH_BYTES = 2
/** Questions of one turn are gathered in a buffer. More of them take a larger one, as far as OPEN_QUESTIONS_MAX goes. */
const GATHER_BYTES_MIN = 4_096
/** A larger one is given back. */
const GATHER_BYTES_KEPT = 65_536

export interface StreamUpstreamOptions {
  readonly id: string
  readonly endpoints: EndpointSource
  /** Absent: plain TCP. */
  readonly tls?: Proof
}

/** DNS over TCP (RFC 7766) or TLS (RFC 7858): a warm connection, many questions in flight, answers in any order. */
export function streamUpstream({ id, endpoints, tls }: StreamUpstreamOptions): WarmUpstream {
  const peer: Peer = {
    id,
    form: tls ? FORM.PADDED : 0,
    channel: tls ? 'authenticated' : 'unauthenticated',
    refusesEdns: new Lesson(WITHOUT_EDNS_MS),
  }
  const options = tls ? { id, endpoints, tls: { ...tls, alpn: 'dot' as const } } : { id, endpoints }
  return new WarmUpstream(options, (socket, events) => new StreamConnection(peer, socket, events))
}

/** What all connections of one upstream have in common. */
interface Peer {
  readonly id: string
  readonly form: number
  readonly channel: Channel
  readonly refusesEdns: Lesson
}

class StreamConnection implements Connection {
  readonly #peer: Peer
  readonly #socket: Socket
  readonly #events: ConnectionEvents
  readonly #reader = new FrameReader()
  readonly #open = new Map<number, Question>()
  readonly #alarm = new Alarm((nowMs) => this.#sweep(nowMs))
  readonly #flush = (): void => this.#writeGathered()
  #gather: Buffer = Buffer.allocUnsafe(GATHER_BYTES_MIN)
  #gathered = 0
  /** Chunks read so far. */
  #read = 0
  #isFirst = true
  #isRetired = false
  #isOver = false

  constructor(peer: Peer, socket: Socket, events: ConnectionEvents) {
    this.#peer = peer
    this.#socket = socket
    this.#events = events
    socket.setTimeout(IDLE_MS, () => {
      if (this.#isOver)
        socket.destroy() // our end of the connection was never taken
      else if (this.#open.size === 0) this.retire()
    })
    socket.on('data', (chunk: Buffer) => this.#take(chunk))
    socket.on('end', () => this.#lose())
    socket.on('error', (error) => this.#lose(error))
    socket.on('close', () => this.#lose())
  }

  get usable(): boolean {
    return !this.#isRetired && this.#open.size < OPEN_QUESTIONS_MAX
  }

  ask(question: Question): void {
    const { refusesEdns, form } = this.#peer
    question.edns = !refusesEdns.holds
    this.#send(question, question.edns ? form | FORM.EDNS | (this.#isFirst ? FORM.KEEPALIVE : 0) : form)
    this.#isFirst = false
  }

  retire(): void {
    if (!this.#isRetired) {
      this.#isRetired = true
      this.#events.retired()
    }
    if (this.#open.size > 0 || this.#isOver) return
    this.#isOver = true
    // Says close_notify first (RFC 7858 §3.3).
    this.#socket.destroySoon()
    this.#events.lost([])
  }

  abandon(): Question[] {
    const unanswered = [...this.#open.values()]
    this.#open.clear()
    this.#isRetired = true
    this.#isOver = true
    this.#alarm.rest()
    this.#socket.destroy()
    return unanswered
  }

  /** All questions of one turn of the event loop leave in one write, which costs more than all else about a question. */
  #send(question: Question, form: number): void {
    const { view, deadlineMs } = question.query
    const id = freeId(this.#open)
    this.#open.set(id, question)
    question.sends++
    question.readAtSend = this.#read
    this.#alarm.at(deadlineMs)
    if (this.#gathered === 0) setImmediate(this.#flush)
    this.#reserve(LENGTH_BYTES + questionBytesMax(view))
    const start = this.#gathered + LENGTH_BYTES
    const end = writeQuestion(this.#gather, start, view, id, form)
    this.#gather.writeUInt16BE(end - start, this.#gathered)
    this.#gathered = end
  }

  #reserve(bytes: number): void {
    const needed = this.#gathered + bytes
    if (needed <= this.#gather.length) return
    const larger = Buffer.allocUnsafe(Math.max(needed, this.#gather.length * 2))
    this.#gather.copy(larger, 0, 0, this.#gathered)
    this.#gather = larger
  }

  #writeGathered(): void {
    // Copied: the socket may still be writing it while the next questions are gathered.
    const batch = Buffer.from(this.#gather.subarray(0, this.#gathered))
    this.#gathered = 0
    if (this.#gather.length > GATHER_BYTES_KEPT) this.#gather = Buffer.allocUnsafe(GATHER_BYTES_MIN)
    if (!this.#isOver) this.#socket.write(batch)
  }

  #take(chunk: Buffer): void {
    this.#read++
    this.#reader.push(chunk)
    for (let wire = this.#reader.next(); wire && !this.#isOver; wire = this.#reader.next()) this.#answer(wire)
    if (this.#reader.violation && !this.#isOver) {
      const fault = new Fault('UPSTREAM_BROKEN', `${this.#peer.id} broke the framing of DNS over TCP`)
      this.#events.broken(this.abandon(), fault)
    }
    if (this.#open.size > 0) return
    this.#alarm.rest()
    if (this.#isRetired) this.retire()
  }

  /** What is not one of ours is ignored, as on UDP. The deadline ends the wait. */
  #answer(wire: Uint8Array): void {
    const reply = MessageView.over(wire)
    const question = reply && this.#open.get(reply.id)
    if (!question) return
    const match = matchReply(reply, question.query.view, question.edns)
    if (match === 'not-ours') return
    this.#open.delete(reply.id)
    const { id, form, channel, refusesEdns } = this.#peer
    if (match === 'refused') {
      if (!question.edns || question.sends >= SENDS_MAX) return question.fail(refusedFault(id))
      question.edns = false
      return this.#send(question, form)
    }
    if (!question.edns && !refusesEdns.holds && !isRefusal(reply)) refusesEdns.learn()
    try {
      const answer = wholeAnswerTo(question.query, wire, id, channel)
      const keepaliveMs = answer.prepared?.keepaliveMs
      if (keepaliveMs !== undefined) this.#keepAlive(keepaliveMs)
      question.settle(answer)
    } catch (error) {
      question.fail(error)
    }
  }

  /** Zero: the server wants the connection closed as soon as its answers are in (RFC 7828 §3.2.2, §3.4). */
  #keepAlive(announcedMs: number): void {
    if (announcedMs > 0) this.#socket.setTimeout(Math.min(Math.max(announcedMs, IDLE_MS_MIN), IDLE_MS_MAX))
    else if (!this.#isRetired) {
      this.#isRetired = true
      this.#events.retired()
    }
  }

  #sweep(nowMs: number): number {
    let nextMs = Number.POSITIVE_INFINITY
    let isSilent = false
    for (const [id, question] of this.#open) {
      const { deadlineMs } = question.query
      if (deadlineMs > nowMs) nextMs = Math.min(nextMs, deadlineMs)
      else {
        this.#open.delete(id)
        question.fail(deadlineFault(this.#peer.id))
        // Not a byte since: the link may be gone without a word, and our own writes would keep it for a quarter of an hour.
        isSilent ||= question.readAtSend === this.#read
      }
    }
    if (isSilent) this.#lose()
    else if (this.#isRetired) this.retire()
    return nextMs
  }

  #lose(cause?: unknown): void {
    if (this.#isOver) return
    this.#events.lost(this.abandon(), cause)
  }
}
