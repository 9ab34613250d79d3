import { randomBytes } from 'node:crypto'
import type { Clock } from '../../core/clock.ts'

export interface Nonces {
  issue(): Promise<string>
  /** True once for each nonce issued, and marked used in the same step. */
  consume(nonce: string): Promise<boolean>
}

/** RFC 8555 §11.3 asks for 128 bits. */
const NONCE_BYTES = 16

/** For one process. A restart or a full memory costs a client one badNonce, which it repeats by itself. */
export function memoryNonces(options: {
  readonly clock: Clock
  /** The oldest makes room. About 100 bytes each. */
  readonly capacity: number
  readonly lifetimeMs: number
  /** Refuses this share of good nonces, so that clients prove they can repeat. */
  readonly rejection?: { readonly share: number; readonly random: () => number }
}): Nonces {
  const { clock, capacity, lifetimeMs, rejection } = options
  const expiresAtMs = new Map<string, number>()
  return {
    async issue() {
      const oldest = expiresAtMs.keys().next()
      if (expiresAtMs.size >= capacity && !oldest.done) expiresAtMs.delete(oldest.value)
      const nonce = randomBytes(NONCE_BYTES).toString('base64url')
      expiresAtMs.set(nonce, clock.monotonicMs() + lifetimeMs)
      return nonce
    },
    async consume(nonce) {
      const expiryMs = expiresAtMs.get(nonce)
      expiresAtMs.delete(nonce)
      if (expiryMs === undefined || expiryMs <= clock.monotonicMs()) return false
      return !rejection || rejection.random() >= rejection.share
    },
  }
}
