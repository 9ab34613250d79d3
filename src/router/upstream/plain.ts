import { randomInt } from 'node:crypto'
import { createSocket, type Socket } from 'node:dgram'
import { isIPv6 } from 'node:net'
import { Fault } from '../../core/fault.ts'
import { MessageView } from '../../dns/view.ts'
import type { Endpoint } from '../../net/bind.ts'
import type { Query, Resolver } from '../resolve/resolver.ts'
import { deadlineFault } from './deadline.ts'
import { streamUpstream } from './stream.ts'
import { connectionFault } from './trust.ts'
import { answerOf, isReplyTo, randomId, upstreamQuery } from './wire.ts'

/** Open sockets, each on a port of the kernel's choosing: an attacker has to guess port and id (RFC 5452 §9.2). */
const SOCKETS_MAX = 32
/** A socket is given back after this many questions, so that its port is not worth learning. */
const QUESTIONS_PER_SOCKET_MAX = 256
const OPEN_QUESTIONS_MAX = 4096
/** When to send again. With the first send that makes three, the most RFC 9520 §3.1 allows per server and transport. */
const RESEND_AFTER_MS = [600, 1_300] as const

/** Plain DNS: UDP first, the same server by TCP when the answer was cut (RFC 7766 §5). */
export function plainUpstream(options: { readonly id: string; readonly endpoint: Endpoint }): Resolver {
  const { id, endpoint } = options
  const sockets = new SocketPool(endpoint, id)
  const byTcp = streamUpstream({ id, endpoints: [endpoint] })
  return {
    id,
    async resolve(query, signal) {
      const reply = await sockets.ask(query)
      const view = MessageView.over(reply)
      return view?.truncated ? byTcp.resolve(query, signal) : answerOf(reply, id, 'unauthenticated')
    },
  }
}

interface Open {
  readonly query: Query
  readonly settle: (reply: Uint8Array) => void
  readonly fail: (error: Error) => void
  timer: NodeJS.Timeout
}

class SocketPool {
  readonly #endpoint: Endpoint
  readonly #id: string
  #sockets: PooledSocket[] = []
  #open = 0

  constructor(endpoint: Endpoint, id: string) {
    this.#endpoint = endpoint
    this.#id = id
  }

  async ask(query: Query): Promise<Uint8Array> {
    if (this.#open >= OPEN_QUESTIONS_MAX) throw new Fault('UPSTREAM_TIMEOUT', `${this.#id} has too many questions open`)
    this.#open++
    try {
      return await this.#pick().ask(query)
    } finally {
      this.#open--
    }
  }

  #pick(): PooledSocket {
    this.#sockets = this.#sockets.filter((socket) => socket.usable)
    if (this.#sockets.length < SOCKETS_MAX) this.#sockets.push(new PooledSocket(this.#endpoint, this.#id))
    return this.#sockets[randomInt(this.#sockets.length)]!
  }
}

class PooledSocket {
  readonly #socket: Socket
  readonly #ready: Promise<void>
  readonly #id: string
  readonly #open = new Map<number, Open>()
  #asked = 0
  /** Why it is closed. */
  #closed: Fault | undefined

  constructor(endpoint: Endpoint, id: string) {
    this.#id = id
    this.#socket = createSocket(isIPv6(endpoint.host) ? 'udp6' : 'udp4')
    this.#socket.unref()
    this.#ready = new Promise((resolve) => void this.#socket.once('connect', resolve).once('close', resolve))
    this.#socket.on('message', (wire) => this.#read(wire))
    this.#socket.on('error', (error) => this.#close(connectionFault(error, id, endpoint)))
    // A connected socket takes datagrams from this server's address and port alone (RFC 5452 §9.1).
    this.#socket.connect(endpoint.port, endpoint.host)
  }

  get usable(): boolean {
    return !this.#closed && this.#asked < QUESTIONS_PER_SOCKET_MAX
  }

  async ask(query: Query): Promise<Uint8Array> {
    this.#asked++
    await this.#ready
    return new Promise((settle, fail) => {
      if (this.#closed) return fail(this.#closed)
      let id = randomId()
      while (this.#open.has(id)) id = (id + 1) & 0xffff
      const wire = upstreamQuery(query.view, id, 'no-padding')
      const startMs = performance.now()
      const wait = (resends: readonly number[]): NodeJS.Timeout => {
        const dueMs = Math.min(startMs + (resends[0] ?? Number.POSITIVE_INFINITY), query.deadlineMs)
        return setTimeout(
          () => {
            if (dueMs >= query.deadlineMs) return this.#give(id)?.fail(deadlineFault(this.#id))
            this.#socket.send(wire)
            this.#open.get(id)!.timer = wait(resends.slice(1))
          },
          Math.max(0, dueMs - performance.now()),
        )
      }
      this.#open.set(id, { query, settle, fail, timer: wait(RESEND_AFTER_MS) })
      this.#socket.send(wire)
    })
  }

  /** A reply that does not match is ignored and the wait goes on: it may be a forgery (RFC 5452 §9.1). */
  #read(wire: Buffer): void {
    const reply = MessageView.over(wire)
    const open = reply && this.#open.get(reply.id)
    if (open && isReplyTo(reply, open.query.view, reply.id)) this.#give(reply.id)!.settle(wire)
  }

  #give(id: number): Open | undefined {
    const open = this.#open.get(id)
    if (!open) return undefined
    clearTimeout(open.timer)
    this.#open.delete(id)
    if (!this.usable && this.#open.size === 0)
      this.#close(new Fault('UPSTREAM_UNREACHABLE', 'the socket has done its work'))
    return open
  }

  #close(reason: Fault): void {
    if (this.#closed) return
    this.#closed = reason
    this.#socket.close()
    for (const open of this.#open.values()) {
      clearTimeout(open.timer)
      open.fail(reason)
    }
    this.#open.clear()
  }
}
