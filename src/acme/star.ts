import assert from 'node:assert'

/**
 * The dates of automatically renewed certificates (RFC 8739 §3.5), for the server that issues them
 * and for the client that fetches them. Certificate `i` counts from 0.
 */
export interface StarPlan {
  readonly startMs: number
  readonly endMs: number
  readonly lifetimeMs: number
  /** How far each certificate but the first is dated back: at least half a lifetime, so that two always overlap. */
  readonly adjustMs: number
  readonly count: number
}

export interface Validity {
  readonly notBeforeMs: number
  readonly notAfterMs: number
}

export function starPlan(terms: {
  /** First issuance, or the order's start-date. Store it once: computed again from a certificate it would drift. */
  readonly startMs: number
  readonly endMs: number
  readonly lifetimeS: number
  readonly lifetimeAdjustS: number
  readonly fraction?: number
}): StarPlan {
  const { startMs, endMs, lifetimeS, lifetimeAdjustS, fraction = 0.5 } = terms
  assert(endMs > startMs, 'a STAR order ends after it starts')
  assert(lifetimeS > 0 && lifetimeAdjustS >= 0, 'a lifetime is positive')
  assert(fraction >= 0.5 && fraction < 1, 'RFC 8739 §3.5: 0.5 <= fraction < 1')
  // Whole seconds, because certificates have no finer dates.
  const adjustS = Math.max(Math.min(lifetimeS, lifetimeAdjustS), Math.ceil(fraction * lifetimeS))
  const lifetimeMs = lifetimeS * 1000
  return { startMs, endMs, lifetimeMs, adjustMs: adjustS * 1000, count: Math.ceil((endMs - startMs) / lifetimeMs) }
}

export function window(plan: StarPlan, index: number): Validity {
  // The text is not even put together where all is well: a simulated year of a fleet comes here a hundred million times.
  if (index < 0 || index >= plan.count) assert.fail(`certificate ${index} is not among the ${plan.count} of this plan`)
  const renewalMs = plan.startMs + index * plan.lifetimeMs
  return {
    // The first is never dated back before start-date.
    notBeforeMs: index === 0 ? plan.startMs : renewalMs - plan.adjustMs,
    notAfterMs: Math.min(renewalMs + plan.lifetimeMs, plan.endMs),
  }
}

/** A certificate is published as soon as it is valid: at the latest halfway through its predecessor's lifetime. */
export function publishAtMs(plan: StarPlan, index: number): number {
  return window(plan, index).notBeforeMs
}

/** The newest certificate that should be on the URL now; after downtime the ones before it are never made up for. */
export function latestDue(plan: StarPlan, nowMs: number): number | undefined {
  if (nowMs < plan.startMs || nowMs >= plan.endMs) return undefined
  const index = Math.floor((nowMs - plan.startMs + plan.adjustMs) / plan.lifetimeMs)
  return Math.min(index, plan.count - 1)
}

/**
 * When a client looks for the successor of the certificate it holds: when it must be there at the latest. Undefined: it
 * holds the last one. The caller adds jitter of a few per cent of the lifetime, and backs off while nothing has changed.
 */
export function nextPollMs(held: {
  readonly notBeforeMs: number
  readonly notAfterMs: number
  readonly lifetimeS?: number
  readonly lifetimeAdjustS?: number
  readonly endMs?: number
}): number | undefined {
  const { notBeforeMs, notAfterMs, lifetimeS, lifetimeAdjustS = 0, endMs } = held
  if (endMs !== undefined && notAfterMs >= endMs) return undefined
  // Without the order's terms: halfway. Asking early costs one 304.
  if (lifetimeS === undefined) return notBeforeMs + (notAfterMs - notBeforeMs) / 2
  return notAfterMs - Math.max(Math.min(lifetimeS, lifetimeAdjustS), lifetimeS / 2) * 1000
}
