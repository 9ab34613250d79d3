import { Fault } from '../../core/fault.ts'
import { MessageView } from '../../dns/view.ts'
import type { Endpoint } from '../../net/bind.ts'
import type { Answer, Query, Upstream } from '../resolve/resolver.ts'
import { Alarm } from './alarm.ts'
import { mixCase, repeatsCase } from './case-mix.ts'
import { fixedEndpoints } from './endpoints.ts'
import { Lesson } from './lesson.ts'
import {
  asked,
  closedFault,
  deadlineFault,
  overloadFault,
  type Question,
  random16,
  refusedFault,
  SENDS_MAX,
} from './question.ts'
import { streamUpstream, WITHOUT_EDNS_MS } from './stream.ts'
import { type Sent, UdpSocket } from './udp-socket.ts'
import type { WarmUpstream } from './warm.ts'
import { answerTo, FORM, isRefusal, matchReply, upstreamQuestion } from './wire.ts'

/** Open sockets, each on a random port: an attacker has to guess port and id (RFC 5452 §9.2). */
const SOCKETS_MAX = 32
/**
 * Questions this close leave by one socket: the answers of ten sockets take ten times the wake-ups. Which one is as hard
 * to guess as before, and each question has an id of its own.
 */
const SAME_MOMENT_MS = 1
const OPEN_QUESTIONS_MAX = 4096
/** When to send again: with the first send that makes SENDS_MAX. */
const RESEND_AFTER_MS = [600, 1_300] as const
/** A question that saw so many datagrams that answer nothing goes to TCP: somebody is guessing (RFC 5452 §9.3). */
const STRANGERS_MAX = 16
/** A server that does not repeat the case of letters is asked without for this long. */
const WITHOUT_CASE_MS = 3_600_000

export interface PlainUpstreamOptions {
  readonly id: string
  readonly endpoint: Endpoint
  /** Letters of the name in random case, which the answer has to repeat. */
  readonly caseRandomisation?: boolean
}

/** Plain DNS: UDP first, the same server by TCP when the answer was cut (RFC 7766 §5) or somebody forges answers. */
export function plainUpstream(options: PlainUpstreamOptions): Upstream {
  return new PlainUpstream(options)
}

class PlainUpstream implements Upstream {
  readonly id: string
  readonly #endpoint: Endpoint
  readonly #byTcp: WarmUpstream
  readonly #mayMix: boolean
  readonly #refusesEdns = new Lesson(WITHOUT_EDNS_MS)
  readonly #losesCase = new Lesson(WITHOUT_CASE_MS)
  readonly #alarm = new Alarm((nowMs) => this.#sweep(nowMs))
  readonly #sockets: (UdpSocket | undefined)[] = Array.from({ length: SOCKETS_MAX }, () => undefined)
  /** The socket of this moment, in #sockets. */
  #place = 0
  #pickedMs = Number.NEGATIVE_INFINITY
  /** Sockets that take no more questions and wait for their last answers. */
  readonly #leaving = new Set<UdpSocket>()
  #open = 0
  #isClosed = false

  constructor({ id, endpoint, caseRandomisation }: PlainUpstreamOptions) {
    this.id = id
    this.#endpoint = endpoint
    this.#mayMix = caseRandomisation === true
    this.#byTcp = streamUpstream({ id, endpoints: fixedEndpoints([endpoint]) })
  }

  resolve(query: Query): Promise<Answer> {
    return asked(query, (question) => {
      if (this.#isClosed) question.fail(closedFault(this.id))
      else if (this.#open >= OPEN_QUESTIONS_MAX) question.fail(overloadFault(this.id))
      else this.#send(question, !this.#refusesEdns.holds)
    })
  }

  reset(): void {
    const open = this.#all().flatMap((socket) => socket.close())
    this.#sockets.fill(undefined)
    this.#leaving.clear()
    this.#count(-open.length)
    for (const { question } of open) {
      if (question.sends < SENDS_MAX) this.#send(question, question.edns)
      else question.fail(new Fault('UPSTREAM_UNREACHABLE', `the link to ${this.id} has changed`))
    }
    this.#byTcp.reset?.()
  }

  close(): void {
    this.#isClosed = true
    for (const socket of this.#all()) this.#leave(socket)
    this.#byTcp.close?.()
  }

  #all(): UdpSocket[] {
    return [...this.#sockets.filter((socket) => socket !== undefined), ...this.#leaving]
  }

  #send(question: Question, edns: boolean): void {
    const startMs = performance.now()
    const socket = this.#pick(startMs)
    const { view, deadlineMs } = question.query
    const id = socket.freeId()
    const wire = upstreamQuestion(view, id, edns ? FORM.EDNS : 0)
    const isMixed = this.#mayMix && !view.signed && !this.#losesCase.holds
    if (isMixed) mixCase(wire)
    question.edns = edns
    question.sends++
    this.#count(1)
    const dueMs = Math.min(nextSendMs(question, startMs), deadlineMs)
    this.#alarm.at(dueMs)
    socket.send(id, { question, wire, startMs, dueMs, isMixed, strangersBefore: socket.strangers })
  }

  /** A random socket of the pool, the same for all questions of one moment; a new one where there is none. */
  #pick(nowMs: number): UdpSocket {
    if (nowMs - this.#pickedMs >= SAME_MOMENT_MS) {
      this.#pickedMs = nowMs
      this.#place = random16() % SOCKETS_MAX
    }
    const socket = this.#sockets[this.#place]
    if (socket?.usable) return socket
    if (socket) this.#leave(socket)
    const made = new UdpSocket(this.#endpoint, this.id, {
      received: (from, wire) => this.#read(from, wire),
      failed: (from, open, fault) => {
        this.#leaving.delete(from)
        this.#count(-open.length)
        for (const { question } of open) question.fail(fault)
      },
    })
    this.#sockets[this.#place] = made
    return made
  }

  #read(socket: UdpSocket, wire: Buffer): void {
    const reply = MessageView.over(wire)
    const sent = reply && socket.open.get(reply.id)
    // What does not match is ignored and the wait goes on: it may be a forgery (RFC 5452 §9.1).
    if (!sent) return this.#countStranger(socket)
    const { question } = sent
    const match = matchReply(reply, question.query.view, question.edns)
    if (match === 'not-ours') return this.#countStranger(socket)
    this.#take(socket, reply.id)
    if (match === 'refused') {
      if (!question.edns || question.sends >= SENDS_MAX) question.fail(refusedFault(this.id))
      else this.#send(question, false)
      return
    }
    if (sent.isMixed) {
      // Forged, or the server changes the case. Over TCP, where nobody can forge, it does not matter which.
      if (!repeatsCase(wire, sent.wire)) return this.#askByTcp(question, () => this.#losesCase.learn())
      wire.set(question.query.view.question, QUESTION_START)
    }
    if (!question.edns && !this.#refusesEdns.holds && !isRefusal(reply)) this.#refusesEdns.learn()
    if (reply.truncated && !mayPassTruncated(question)) return this.#askByTcp(question)
    try {
      question.settle(answerTo(question.query, wire, this.id, 'unauthenticated'))
    } catch (error) {
      question.fail(error)
    }
  }

  #countStranger(socket: UdpSocket): void {
    socket.strangers++
    // The oldest comes first, so the first that has not seen enough of them ends the loop.
    for (const [id, { question, strangersBefore }] of socket.open) {
      if (socket.strangers - strangersBefore < STRANGERS_MAX) return
      socket.retire()
      this.#take(socket, id)
      this.#askByTcp(question)
    }
  }

  #askByTcp(question: Question, onAnswer?: () => void): void {
    this.#byTcp.resolve(question.query).then(
      (answer) => {
        onAnswer?.()
        question.settle(answer)
      },
      (error: unknown) => question.fail(error),
    )
  }

  /** The question has left UDP. */
  #take(socket: UdpSocket, id: number): void {
    socket.open.delete(id)
    this.#count(-1)
    if (!socket.usable || this.#isClosed) this.#leave(socket)
  }

  #leave(socket: UdpSocket): void {
    if (socket.open.size > 0) return void this.#leaving.add(socket)
    socket.close()
    this.#leaving.delete(socket)
  }

  #count(change: number): void {
    this.#open += change
    if (this.#open === 0) this.#alarm.rest()
  }

  #sweep(nowMs: number): number {
    let nextMs = Number.POSITIVE_INFINITY
    for (const socket of this.#all()) {
      for (const [id, sent] of socket.open) {
        if (sent.dueMs <= nowMs) this.#due(socket, id, sent)
        nextMs = Math.min(nextMs, sent.dueMs)
      }
    }
    return nextMs
  }

  #due(socket: UdpSocket, id: number, sent: Sent): void {
    const { question } = sent
    const { deadlineMs } = question.query
    if (sent.dueMs >= deadlineMs) {
      sent.dueMs = Number.POSITIVE_INFINITY
      this.#take(socket, id)
      return question.fail(deadlineFault(this.id))
    }
    question.sends++
    sent.dueMs = Math.min(nextSendMs(question, sent.startMs), deadlineMs)
    socket.put(sent.wire)
  }
}

const QUESTION_START = 12

/** Infinity once it may not be sent again. */
function nextSendMs({ sends }: Question, startMs: number): number {
  return sends < SENDS_MAX ? startMs + RESEND_AFTER_MS[sends - 1]! : Number.POSITIVE_INFINITY
}

/** A signed answer passes as it is. Who asked by UDP can come again by TCP. */
function mayPassTruncated({ query }: Question): boolean {
  return query.view.signed && query.client.transport === 'udp'
}
