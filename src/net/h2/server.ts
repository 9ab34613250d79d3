import type { Duplex } from 'node:stream'
import type { Clock } from '../../core/clock.ts'
import { Connection } from './connection.ts'
import type { Handler, Shared } from './handler.ts'
import { SWEEP_MS } from './limits.ts'
import { gatherBuffer } from './output.ts'

/** Made once: an abort without a reason would make an error with its stack. */
const NOBODY_LEFT = new Error('no connection is left')

/**
 * HTTP/2 (RFC 9113) on sockets that are handed to it: small, strict, bounded (limits.ts), without push, CONNECT and
 * priorities. All that a read of the socket makes ready leaves in one write.
 */
export class Http2Server {
  readonly #clock: Clock
  readonly #connections = new Set<Connection>()
  readonly #shared: { -readonly [key in keyof Shared]: Shared[key] }
  #sweeping: AbortController | undefined

  constructor(clock: Clock) {
    this.#clock = clock
    this.#shared = { gather: gatherBuffer(), date: '', monotonicMs: () => clock.monotonicMs() }
  }

  serve(socket: Duplex, handler: Handler): void {
    if (!this.#sweeping) void this.#sweep()
    const connection = new Connection(socket, handler, this.#shared)
    this.#connections.add(connection)
    socket.once('close', () => {
      this.#connections.delete(connection)
      if (this.#connections.size > 0) return
      this.#sweeping?.abort(NOBODY_LEFT)
      this.#sweeping = undefined
    })
  }

  /** GOAWAY to all; each connection ends when its open requests are answered. */
  drain(): void {
    for (const connection of this.#connections) connection.drain()
  }

  /** Goes on as long as there are connections, so that an unused server has no timer. */
  async #sweep(): Promise<void> {
    const sweeping = new AbortController()
    this.#sweeping = sweeping
    this.#shared.date = new Date(this.#clock.nowMs()).toUTCString()
    try {
      for (;;) {
        await this.#clock.sleep(SWEEP_MS, sweeping.signal)
        this.#shared.date = new Date(this.#clock.nowMs()).toUTCString()
        for (const connection of this.#connections) connection.sweep()
      }
    } catch (error) {
      if (error !== NOBODY_LEFT) throw error
    }
  }
}
