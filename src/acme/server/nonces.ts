import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { fromBase64url, toHex } from '../../core/bytes.ts'
import type { Clock } from '../../core/clock.ts'

export interface Nonces {
  issue(): Promise<string>
  /** True once for each nonce issued, and marked used in the same step. */
  consume(nonce: string): Promise<boolean>
}

/** RFC 8555 §11.3 asks for 128 bits. */
const NONCE_BYTES = 16

/** Refuses this share of good nonces, so that clients prove they can repeat. */
export interface NonceRejection {
  readonly share: number
  readonly random: () => number
}

/** For one process. A restart or a full memory costs a client one badNonce, which it repeats by itself. */
export function memoryNonces(options: {
  readonly clock: Clock
  /** The oldest makes room. About 100 bytes each. */
  readonly capacity: number
  readonly lifetimeMs: number
  readonly rejection?: NonceRejection
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
      return !isRejected(rejection)
    },
  }
}

/** The nonces that were used, remembered for all instances. Ids sort by the time their nonce was issued. */
export interface UsedNonces {
  /** False when it is there already. */
  add(id: string): Promise<boolean>
  /** Removes a bounded number of those up to this id. */
  forget(upToId: string): Promise<void>
}

/** Time (6 octets) and random octets; the mark of the secret follows. */
const TIME_BYTES = 6
const SIGNED_BYTES = TIME_BYTES + NONCE_BYTES
/** Half of HMAC-SHA256: nobody can try more than one a request. */
const MARK_BYTES = 16
/** Clocks of instances may differ by this much, both ways. */
const CLOCKS_APART_MS = 600_000
/** One of so many consumed nonces pays for a round of removing, which removes more than so many. */
const FORGET_EVERY = 200

/**
 * For any number of instances: they share a secret, so each knows the nonces of all, after a restart too. Nothing is
 * written when one is issued; one that is used is remembered until it would be too old anyway.
 */
export function signedNonces(options: {
  readonly clock: Clock
  readonly secret: Uint8Array
  readonly used: UsedNonces
  readonly lifetimeMs: number
  readonly rejection?: NonceRejection
}): Nonces {
  const { clock, secret, used, lifetimeMs, rejection } = options
  let consumed = 0
  const markOf = (signed: Uint8Array): Buffer =>
    createHmac('sha256', secret).update(signed).digest().subarray(0, MARK_BYTES)
  const idAt = (ms: number): string => toHex(timeBytes(Math.max(0, ms)))
  return {
    async issue() {
      const signed = Buffer.concat([timeBytes(clock.nowMs()), randomBytes(NONCE_BYTES)])
      return Buffer.concat([signed, markOf(signed)]).toString('base64url')
    },
    async consume(nonce) {
      const bytes = fromBase64url(nonce)
      if (bytes?.length !== SIGNED_BYTES + MARK_BYTES) return false
      const signed = Buffer.from(bytes.subarray(0, SIGNED_BYTES))
      if (!timingSafeEqual(markOf(signed), bytes.subarray(SIGNED_BYTES))) return false
      const nowMs = clock.nowMs()
      const ageMs = nowMs - signed.readUIntBE(0, TIME_BYTES)
      if (ageMs >= lifetimeMs || ageMs < -CLOCKS_APART_MS) return false
      if (!(await used.add(toHex(signed)))) return false
      // Those in the store are older than any instance would take.
      if (++consumed % FORGET_EVERY === 0) await used.forget(idAt(nowMs - lifetimeMs - CLOCKS_APART_MS))
      return !isRejected(rejection)
    },
  }
}

function timeBytes(ms: number): Buffer {
  const bytes = Buffer.alloc(TIME_BYTES)
  bytes.writeUIntBE(Math.floor(ms), 0, TIME_BYTES)
  return bytes
}

function isRejected(rejection: NonceRejection | undefined): boolean {
  return rejection !== undefined && rejection.random() < rejection.share
}
