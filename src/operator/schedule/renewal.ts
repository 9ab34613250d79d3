import { hash } from 'node:crypto'

/** When renewals are due, which go first, and when one that failed is tried again. Pure: the simulation runs the same lines. */

/** RFC 8739 §3.5 leaves 0.5 <= fraction < 1 to the server: renewal by halfway, and the rest of the span for spreading. */
const FRACTION_MIN = 0.5
const RETRY_MS_MIN = 2_000
const RETRY_MS_MAX = 6 * 3_600_000
/** One that has nearly run out is tried this often; one that has, no more often than others that fail for long. */
const RETRY_MS_LAST = 60_000
const RETRY_MS_EXPIRED = 600_000
/** Steps left in what is left of a life: the less of it, the sooner the next try, so that the backlog sorts itself. */
const TRIES_LEFT = 16

/**
 * Where in its span of renewal a publication renews: the `fraction` of its lifetime that each certificate is dated back,
 * and published early, by. Chosen evenly by hash, so that routers enrolled on one day are not renewed in one hour for ever.
 */
export function spreadFraction(publicationId: string, spread: number): number {
  return FRACTION_MIN + spread * evenly(publicationId)
}

/** A moment of a span, evenly by hash: RFC 9773 §4.2 wants a random one, and it must be the same after a restart. */
export function momentWithin(span: { readonly startMs: number; readonly endMs: number }, salt: string): number {
  return span.startMs + (span.endMs - span.startMs) * evenly(salt)
}

/** From 0 up to, not including, 1. */
function evenly(text: string): number {
  return hash('sha256', text, 'buffer').readUInt32BE() / 2 ** 32
}

/** From this urgency on nobody waits for the pace: half of the time that renewals have has gone by. */
export const UNPACED = 0.5

/** How much of the time between halfway, when it should have been renewed, and its end has gone by: from 0 up to 1. */
export function urgencyOf(lifeLeftMs: number, lifetimeMs: number): number {
  return Math.min(Math.max(1 - lifeLeftMs / (lifetimeMs / 2), 0), 1)
}

/**
 * After a failure: soon at first, then a sixteenth of the life that is left. `lifeLeftMs`: undefined for a first
 * certificate. `random`: from 0 up to 1.
 */
export function retryAfterMs(failures: number, lifeLeftMs: number | undefined, random: number): number {
  const backoffMs = RETRY_MS_MIN * 2 ** Math.min(failures - 1, BACKOFF_STEPS_MAX)
  return Math.min(backoffMs, patienceMs(lifeLeftMs)) * (0.5 + random / 2)
}

/** Without a failure, when there is room again in `roomInMs`: those who wait come back at some of the next openings, not all at one. */
export function waitMs(roomInMs: number, lifeLeftMs: number | undefined, random: number): number {
  const openingsMs = Math.max(roomInMs, WAIT_MS_MIN) * OPENINGS
  const patience = patienceMs(lifeLeftMs)
  const spanMs =
    lifeLeftMs === undefined
      ? Math.min(openingsMs, FIRST_WAIT_MS_MAX)
      : Math.min(Math.max(openingsMs, patience * PATIENCE_SHARE), patience)
  return spanMs * (0.125 + 0.875 * random)
}

function patienceMs(lifeLeftMs: number | undefined): number {
  if (lifeLeftMs === undefined) return FIRST_RETRY_MS_MAX
  if (lifeLeftMs <= 0) return RETRY_MS_EXPIRED
  return Math.min(Math.max(lifeLeftMs / TRIES_LEFT, RETRY_MS_LAST), RETRY_MS_MAX)
}
const BACKOFF_STEPS_MAX = 20
/** A router waits for its first. */
const FIRST_RETRY_MS_MAX = 600_000
const FIRST_WAIT_MS_MAX = 60_000
const WAIT_MS_MIN = 1_000
const OPENINGS = 8
/** However often there is a little room, a backlog of a million must not come back for it every few seconds. */
const PATIENCE_SHARE = 0.5
