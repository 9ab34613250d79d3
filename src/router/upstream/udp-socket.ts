import { createSocket, type Socket } from 'node:dgram'
import { isIPv6 } from 'node:net'
import type { Fault } from '../../core/fault.ts'
import type { Endpoint } from '../../net/bind.ts'
import { afterReading } from '../../net/turn.ts'
import { freeId, type Question } from './question.ts'
import { connectionFault } from './trust.ts'

/** A socket is given back after this many questions, so that its port is not worth learning. */
const QUESTIONS_PER_SOCKET_MAX = 256

/** A question as it was sent over UDP. */
export interface Sent {
  readonly question: Question
  readonly wire: Buffer
  readonly startMs: number
  /** On the monotonic clock: when it is sent again, or given up. */
  dueMs: number
  /** Its letters have random case. */
  readonly isMixed: boolean
  /** `strangers` of its socket when it was sent. */
  readonly strangersBefore: number
}

interface SocketEvents {
  received(from: UdpSocket, wire: Buffer): void
  /** The socket is closed and these have no answer. */
  failed(from: UdpSocket, open: readonly Sent[], fault: Fault): void
}

/** One socket on a port of the kernel's choosing, and the questions sent from it. */
export class UdpSocket {
  readonly open = new Map<number, Sent>()
  /** Datagrams that answered nothing. */
  strangers = 0
  readonly #socket: Socket
  #unsent: Buffer[] | undefined = []
  readonly #failed: (error: Error | null) => void
  #asked = 0
  #isClosed = false

  constructor(endpoint: Endpoint, upstream: string, events: SocketEvents) {
    this.#socket = createSocket(isIPv6(endpoint.host) ? 'udp6' : 'udp4')
    this.#socket.unref()
    this.#socket.on('message', (wire) => events.received(this, wire))
    this.#failed = (error) => {
      if (error && !this.#isClosed) events.failed(this, this.close(), connectionFault(error, upstream, endpoint))
    }
    this.#socket.on('error', this.#failed)
    this.#socket.once('connect', () => {
      const unsent = this.#unsent ?? []
      this.#unsent = undefined
      for (const wire of unsent) this.put(wire)
    })
    // A connected socket takes datagrams from this server's address and port alone (RFC 5452 §9.1).
    this.#socket.connect(endpoint.port, endpoint.host)
  }

  get usable(): boolean {
    return !this.#isClosed && this.#asked < QUESTIONS_PER_SOCKET_MAX
  }

  /** For one question: ids in use are left out. */
  freeId(): number {
    return freeId(this.open)
  }

  send(id: number, sent: Sent): void {
    this.#asked++
    this.open.set(id, sent)
    this.put(sent.wire)
  }

  /** The bytes must stay as they are: the kernel may take them later. */
  put(wire: Buffer): void {
    if (this.#isClosed) return
    if (this.#unsent) this.#unsent.push(wire)
    // The system tells a send what became of the one before it, and then nobody else: without somebody to be told,
    // both questions would wait for nothing.
    else
      afterReading(() => {
        if (!this.#isClosed) this.#socket.send(wire, this.#failed)
      })
  }

  /** No more questions; the port is known to somebody. */
  retire(): void {
    this.#asked = QUESTIONS_PER_SOCKET_MAX
  }

  /** Returns the questions that have no answer. */
  close(): Sent[] {
    const unanswered = [...this.open.values()]
    this.open.clear()
    if (!this.#isClosed) this.#socket.close()
    this.#isClosed = true
    return unanswered
  }
}
