import type { Socket } from 'node:net'
import { Fault } from '../../core/fault.ts'
import type { Endpoint } from '../../net/bind.ts'
import type { Answer, Query, Upstream } from '../resolve/resolver.ts'
import { Alarm } from './alarm.ts'
import { type DialOptions, dialler } from './dial.ts'
import type { EndpointSource } from './endpoints.ts'
import { connectionOrder, firstToConnect } from './happy-eyeballs.ts'
import { asked, closedFault, deadlineFault, overloadFault, type Question, SENDS_MAX } from './question.ts'

/** Connections that take questions. A second one is opened when the first is full: one shares a handshake and a window. */
const CONNECTIONS_MAX = 2
/** These and the ones that only wait for their last answers; a server that ends each connection after one answer needs them. */
const LIVE_CONNECTIONS_MAX = 16
/** Questions waiting for a connection; as many as the connections take. */
const WAITING_MAX = 2_000
/** A question that was on a connection that was lost is sent on another one, once (RFC 7766 §6.2.4). */
const SENDS_AFTER_LOSS = 2

/** One open connection with many questions on it. */
export interface Connection {
  /** Takes another question now. */
  readonly usable: boolean
  ask(question: Question): void
  /** Takes no more questions; closes in the way of its protocol once those it has are answered. */
  retire(): void
  /** Ends now. Returns the questions without an answer, each of which is the caller's from then on. */
  abandon(): Question[]
}

export interface ConnectionEvents {
  /** No more questions. */
  retired(): void
  /** The connection is over; `unanswered` may be asked elsewhere. */
  lost(unanswered: Question[], cause?: unknown): void
  /** The connection is over and the reason would be the same elsewhere. */
  broken(unanswered: Question[], fault: Fault): void
}

export interface WarmOptions extends DialOptions {
  readonly endpoints: EndpointSource
}

/**
 * An upstream over connections that stay open: opened by the first question that needs one, shared by all that follow,
 * opened again when they were lost.
 */
export class WarmUpstream implements Upstream {
  readonly id: string
  readonly #endpoints: EndpointSource
  readonly #dial: ReturnType<typeof dialler>
  readonly #speak: (socket: Socket, events: ConnectionEvents) => Connection
  /** The ones that take questions. */
  #usable: Connection[] = []
  readonly #live = new Set<Connection>()
  #opening: { cancel(): void } | undefined
  #waiting: Question[] = []
  #winner: Endpoint | undefined
  #isClosed = false
  readonly #alarm = new Alarm((nowMs) => this.#sweep(nowMs))

  constructor(options: WarmOptions, speak: (socket: Socket, events: ConnectionEvents) => Connection) {
    this.id = options.id
    this.#endpoints = options.endpoints
    this.#dial = dialler(options)
    this.#speak = speak
  }

  resolve(query: Query): Promise<Answer> {
    return asked(query, (question) => this.#put(question))
  }

  /** The link has changed: connections over the old one are dead without knowing it. Open questions are asked again. */
  reset(): void {
    const open = [...this.#live].flatMap((connection) => connection.abandon())
    this.#live.clear()
    this.#usable = []
    this.#endpoints.reset?.()
    this.#giveUpOpening()
    this.#again(open, SENDS_MAX)
    if (this.#waiting.length > 0 && !this.#opening) this.#open()
  }

  /** No new questions; those under way are answered or reach their deadlines. */
  close(): void {
    this.#isClosed = true
    for (const connection of this.#live) connection.retire()
    if (this.#waiting.length === 0) this.#giveUpOpening()
  }

  #put(question: Question): void {
    if (this.#isClosed) return question.fail(closedFault(this.id))
    for (const connection of this.#usable) if (connection.usable) return connection.ask(question)
    const isFull = this.#usable.length >= CONNECTIONS_MAX || this.#live.size >= LIVE_CONNECTIONS_MAX
    if (isFull || this.#waiting.length >= WAITING_MAX) return question.fail(overloadFault(this.id))
    this.#waiting.push(question)
    this.#alarm.at(question.query.deadlineMs)
    if (!this.#opening) this.#open()
  }

  #open(): void {
    let attempt: { cancel(): void } | undefined
    let isGivenUp = false
    const opening = {
      cancel() {
        isGivenUp = true
        attempt?.cancel()
      },
    }
    this.#opening = opening
    const connect = async (): Promise<void> => {
      try {
        const endpoints = await this.#endpoints.find()
        if (isGivenUp) return
        const first = firstToConnect(connectionOrder(endpoints, this.#winner), this.#dial)
        attempt = first
        const { endpoint, connection } = await first.done
        if (isGivenUp) return void connection.destroy()
        this.#winner = endpoint
        this.#opening = undefined
        this.#use(connection)
      } catch (error) {
        if (isGivenUp) return
        this.#opening = undefined
        for (const question of this.#takeWaiting()) question.fail(error)
      }
    }
    void connect()
  }

  #giveUpOpening(): void {
    this.#opening?.cancel()
    this.#opening = undefined
  }

  #use(socket: Socket): void {
    const forget = (): void => {
      this.#usable = this.#usable.filter((other) => other !== connection)
      this.#live.delete(connection)
    }
    const connection = this.#speak(socket, {
      retired: () => (this.#usable = this.#usable.filter((other) => other !== connection)),
      lost: (unanswered, cause) => {
        forget()
        this.#again(unanswered, SENDS_AFTER_LOSS, cause)
      },
      broken: (unanswered, fault) => {
        forget()
        for (const question of unanswered) question.fail(fault)
      },
    })
    this.#usable.push(connection)
    this.#live.add(connection)
    for (const question of this.#takeWaiting()) {
      if (connection.usable) connection.ask(question)
      else this.#put(question)
    }
    if (this.#isClosed) connection.retire()
  }

  #again(questions: readonly Question[], sendsMax: number, cause?: unknown): void {
    for (const question of questions) {
      if (question.sends < sendsMax) this.#put(question)
      else question.fail(new Fault('UPSTREAM_UNREACHABLE', `${this.id} closed the connection`, {}, cause))
    }
  }

  #takeWaiting(): Question[] {
    const waiting = this.#waiting
    this.#waiting = []
    this.#alarm.rest()
    return waiting
  }

  /** Nobody waits past the deadline, whatever becomes of the connection. */
  #sweep(nowMs: number): number {
    let nextMs = Number.POSITIVE_INFINITY
    const still: Question[] = []
    for (const question of this.#waiting) {
      const { deadlineMs } = question.query
      if (deadlineMs <= nowMs) question.fail(deadlineFault(this.id))
      else {
        still.push(question)
        nextMs = Math.min(nextMs, deadlineMs)
      }
    }
    this.#waiting = still
    return nextMs
  }
}
