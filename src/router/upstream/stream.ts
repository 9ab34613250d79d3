import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { Fault } from '../../core/fault.ts'
import { FrameReader } from '../../dns/frame.ts'
import { MessageView } from '../../dns/view.ts'
import { type Endpoint, endpointText } from '../../net/bind.ts'
import type { Answer, Query, Resolver } from '../resolve/resolver.ts'
import { deadlineFault } from './deadline.ts'
import { connectionFault, provingName } from './trust.ts'
import { ConnectionLost, type WarmConnection, warmUpstream } from './warm.ts'
import { answerOf, isReplyTo, randomId, upstreamQuery } from './wire.ts'

/** Questions open on one connection; ids must stay unique and unguessable enough (RFC 7766 §7). */
const OPEN_QUESTIONS_MAX = 1000
/** Connect and handshake together (dns §9.10). */
const CONNECT_MS_MAX = 3_000
/** An idle connection is kept this long for the next question. */
const IDLE_MS = 20_000

export interface StreamUpstreamOptions {
  readonly id: string
  /** Tried in this order; pinned, never looked up. */
  readonly endpoints: readonly Endpoint[]
  /** Absent: plain TCP. `name` is what the certificate must carry (RFC 8310 §8.1). */
  readonly tls?: { readonly name: string; readonly trust?: readonly string[] }
}

/** DNS over TCP (RFC 7766) or TLS (RFC 7858): one warm connection, many questions in flight, answers in any order. */
export function streamUpstream(options: StreamUpstreamOptions): Resolver {
  return warmUpstream(options, (endpoint, onClose) => new Connection(options, endpoint, onClose))
}

interface Open {
  readonly query: Query
  readonly settle: (reply: Uint8Array) => void
  readonly fail: (error: Error) => void
  readonly timer: NodeJS.Timeout
}

class Connection implements WarmConnection {
  readonly #options: StreamUpstreamOptions
  readonly #socket: Socket
  readonly #reader = new FrameReader()
  readonly #open = new Map<number, Open>()
  readonly #onClose: () => void
  #unsent: Uint8Array[] = []
  #closed = false
  #receivedMs = 0
  everConnected = false

  constructor(options: StreamUpstreamOptions, endpoint: Endpoint, onClose: () => void) {
    this.#options = options
    this.#onClose = onClose
    const { tls } = options
    this.#socket = tls ? connectTls({ ...endpoint, ...provingName(tls.name, tls.trust, 'dot') }) : connectTcp(endpoint)
    this.#socket.setNoDelay(true)
    this.#socket.setTimeout(CONNECT_MS_MAX, () =>
      this.#close(
        this.everConnected
          ? undefined
          : new Fault(
              'UPSTREAM_TIMEOUT',
              `no connection to ${options.id} (${endpointText(endpoint)}) in ${CONNECT_MS_MAX} ms`,
            ),
      ),
    )
    this.#socket.on(tls ? 'secureConnect' : 'connect', () => {
      this.everConnected = true
      this.#socket.setTimeout(IDLE_MS)
      this.#flush()
    })
    this.#socket.on('data', (chunk: Buffer) => this.#read(chunk))
    this.#socket.on('error', (error) =>
      this.#close(this.everConnected ? this.#lost(error) : connectionFault(error, options.id, endpoint)),
    )
    this.#socket.on('close', () => this.#close(undefined))
    this.#socket.unref()
  }

  get usable(): boolean {
    return !this.#closed && this.#open.size < OPEN_QUESTIONS_MAX
  }

  async ask(query: Query): Promise<Answer> {
    const reply = await new Promise<Uint8Array>((settle, fail) => {
      if (this.#closed) return fail(this.#lost())
      let id = randomId()
      while (this.#open.has(id)) id = (id + 1) & 0xffff
      const sentMs = performance.now()
      const timer = setTimeout(
        () => {
          this.#open.delete(id)
          fail(deadlineFault(this.#options.id))
          // Not a byte since: the link may be gone without a word, and our own writes would keep it for a quarter of an hour.
          if (this.#receivedMs < sentMs) this.#close(undefined)
        },
        Math.max(0, query.deadlineMs - performance.now()),
      )
      this.#open.set(id, { query, settle, fail, timer })
      this.#send(upstreamQuery(query.view, id, this.#options.tls ? 'pad' : 'no-padding'))
    })
    return answerOf(reply, this.#options.id, this.#options.tls ? 'authenticated' : 'unauthenticated')
  }

  /** All questions of one turn leave in one write. */
  #send(wire: Uint8Array): void {
    this.#unsent.push(Uint8Array.of(wire.length >> 8, wire.length & 0xff), wire)
    if (this.#unsent.length === 2 && this.everConnected) queueMicrotask(() => this.#flush())
  }

  #flush(): void {
    if (this.#closed || this.#unsent.length === 0) return
    const batch = this.#unsent
    this.#unsent = []
    this.#socket.write(Buffer.concat(batch))
  }

  #read(chunk: Buffer): void {
    this.#receivedMs = performance.now()
    this.#reader.push(chunk)
    for (let wire = this.#reader.next(); wire; wire = this.#reader.next()) {
      const reply = MessageView.over(wire)
      const open = reply && this.#open.get(reply.id)
      // Not one of ours: ignored, as on UDP. The asker's deadline ends the wait.
      if (!open || !isReplyTo(reply, open.query.view, reply.id)) continue
      this.#open.delete(reply.id)
      clearTimeout(open.timer)
      open.settle(wire.slice())
    }
    if (this.#reader.violation)
      this.#close(new Fault('UPSTREAM_BROKEN', `${this.#options.id} broke the framing of DNS over TCP`))
  }

  #close(reason: Error | undefined): void {
    if (this.#closed) return
    this.#closed = true
    this.#socket.destroy()
    this.#onClose()
    const error = reason ?? this.#lost()
    for (const open of this.#open.values()) {
      clearTimeout(open.timer)
      open.fail(error)
    }
    this.#open.clear()
  }

  #lost(cause?: Error): ConnectionLost {
    return new ConnectionLost(`${this.#options.id} closed the connection`, { cause })
  }
}
