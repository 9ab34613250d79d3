import type { TLSSocket } from 'node:tls'
import { type Endpoint, endpointText } from '../../net/bind.ts'

/** Addresses of an upstream; a name may lead to changing ones. */
const ADDRESSES_MAX = 16
/** Per address. Servers of TLS 1.3 send two, not all of them a new one when a connection is resumed. */
const TICKETS_MAX = 4
/** After this long the whole handshake is made again, so that a certificate that has run out is noticed (RFC 8446 §4.6.1). */
const SESSION_MS_MAX = 3_600_000

interface Kept {
  readonly session: Buffer
  /** When the certificate was last looked at; a resumed connection hands it on. */
  readonly provenMs: number
}

/**
 * The TLS sessions of one upstream, in memory, so that the next connection needs no certificate (RFC 7858 §3.4). Only
 * those of connections that proved who they are. A ticket is used once: a second use would let a listener on the way
 * tell that both connections are ours (RFC 8446 §C.4).
 */
export class TlsSessions {
  readonly #kept = new Map<string, Kept[]>()

  take(endpoint: Endpoint): Kept | undefined {
    const kept = this.#kept.get(endpointText(endpoint))?.pop()
    return kept && performance.now() - kept.provenMs < SESSION_MS_MAX ? kept : undefined
  }

  /** Call it before the handshake; what it returns says that the connection may be resumed later. */
  watch(socket: TLSSocket, endpoint: Endpoint, taken: Kept | undefined): () => void {
    let isProven = false
    let early: Buffer | undefined
    let provenMs = 0
    const keep = (session: Buffer): void => this.#keep(endpoint, { session, provenMs })
    // A session may come before the handshake is over (TLS 1.2) and any time later (TLS 1.3).
    socket.on('session', (session: Buffer) => {
      if (isProven) keep(session)
      else early = session
    })
    return () => {
      isProven = true
      provenMs = taken && socket.isSessionReused() ? taken.provenMs : performance.now()
      if (early) keep(early)
      // A resumed session of TLS 1.2 stays good without a new one being sent.
      else if (taken && socket.isSessionReused() && socket.getProtocol() === 'TLSv1.2') keep(taken.session)
    }
  }

  #keep(endpoint: Endpoint, kept: Kept): void {
    const key = endpointText(endpoint)
    const tickets = this.#kept.get(key) ?? []
    tickets.push(kept)
    if (tickets.length > TICKETS_MAX) tickets.shift()
    this.#kept.set(key, tickets)
    if (this.#kept.size > ADDRESSES_MAX) this.#kept.delete(this.#kept.keys().next().value!)
  }
}
