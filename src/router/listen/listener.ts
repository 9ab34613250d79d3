import type { Clock } from '../../core/clock.ts'
import type { Log } from '../../core/log.ts'
import type { Endpoint } from '../../net/bind.ts'
import type { TlsMaterial } from '../../net/tls.ts'
import type { OpenBatchSocket } from '../../net/udp-batch.ts'
import type { Resolver, Transport } from '../resolve/resolver.ts'
import type { ServerCookies } from './cookies.ts'

/** udp, tcp, dot, doh. */
export interface Listener {
  readonly id: string
  readonly transport: Transport
  /** The address really bound, known after `start`. */
  readonly endpoint: Endpoint
  start(resolver: Resolver): Promise<void>
  /** Takes no new work, lets open answers out for at most `graceMs`, then closes. */
  stop(graceMs: number): Promise<void>
}

export interface EncryptedListener extends Listener {
  /** What new connections are shown. */
  readonly material: TlsMaterial
  /** Throws and keeps the old one when key and certificate do not belong together. */
  setMaterial(material: TlsMaterial): void
  /** Makes every session ticket worthless: to be called when an identity is withdrawn, not when it is renewed. */
  rotateTickets?(): void
}

export interface ListenerContext {
  readonly clock: Clock
  readonly log: Log
  /** Without them cookies are not answered. */
  readonly cookies?: ServerCookies
  /** Whose connections are taken at all, asked before any TLS work is done. Absent: everybody's. */
  readonly admit?: (address: string) => boolean
  /** Opens a UDP socket that takes and gives many datagrams at a time. Absent: the runtime has no means, or it is off. */
  readonly batchSocket?: OpenBatchSocket
  /** Do answers depend on who asks? Absent: no. */
  readonly answersDiffer?: () => boolean
  /** Asked each time: a reload may have changed them. */
  readonly connections?: () => ConnectionBounds
}

/** Open connections of one listener. */
export interface ConnectionBounds {
  readonly max: number
  /** A client is an IPv4 address or a /64 of IPv6. */
  readonly maxPerClient: number
}

/**
 * Unless the settings say otherwise. Enough for a large home, and a DoT connection takes some 35 KiB. One client may have
 * half of them: it may be a router with a home behind it, and when all are taken the idle ones of whoever has most go
 * first (net/limit.ts).
 */
export const CONNECTIONS: ConnectionBounds = { max: 2048, maxPerClient: 1024 }

/** Waits for `closed`, for at most `graceMs`, and leaves no timer behind that would keep the process alive. */
export async function withinGrace(closed: Promise<void>, graceMs: number, clock: Clock): Promise<void> {
  const over = new AbortController()
  await Promise.race([closed, clock.sleep(graceMs, over.signal).catch(() => {})])
  over.abort()
}

/** A client gives up at about this time and asks again (dns §9.10). */
export const ANSWER_MS_MAX = 5_000
