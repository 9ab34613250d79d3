/** Waits between tries that failed, and how punctual renewals are. Pure arithmetic; `random` is in [0, 1). */

const RETRY_MS_MAX = 3_600_000
const RETRY_MS_MIN = 1_000
/** Share of the lifetime by which routers spread over time, so that a million of them do not ask in the same second. */
const JITTER_SHARE = 0.05

/**
 * Exponential from a minute to an hour, of which up to half is left out at random, and never so long that a certificate
 * with `lifetimeMs` could run out between two tries: at least twenty fit into a lifetime of twenty seconds or more.
 */
export function retryDelayMs(failures: number, lifetimeMs: number, random: number): number {
  const longestMs = Math.max(RETRY_MS_MIN, Math.min(RETRY_MS_MAX, lifetimeMs / 20))
  const firstMs = Math.min(60_000, longestMs)
  const delayMs = Math.min(longestMs, firstMs * 2 ** Math.min(failures - 1, 16))
  return delayMs * (0.5 + random / 2)
}

/** `renewAtMs` and a little later; never so late that the overlap of two certificates is used up (RFC 8739 §3.5: half a lifetime). */
export function jitteredMs(renewAtMs: number, lifetimeMs: number, random: number): number {
  return renewAtMs + random * JITTER_SHARE * lifetimeMs
}
