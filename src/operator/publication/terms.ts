import type { OrderRow } from '../../acme/server/rows.ts'
import { spreadFraction } from '../schedule/renewal.ts'
import type { PublicationTerms } from './rows.ts'

/** A router whose clock is a little slow must not refuse its first certificate; no start-date forbids it (RFC 8739 §3.5). */
const BACKDATED_MS = 60_000

/** What an order is promised, from the moment its first certificate is asked for. */
export function termsOf(
  order: OrderRow,
  {
    publication,
    nowMs,
    singleLifetimeS,
    spread,
  }: {
    readonly publication: string
    readonly nowMs: number
    /** Of certificates of orders without auto-renewal, where the authority lets us choose. */
    readonly singleLifetimeS: number
    /** From 0 up to 0.5: the part of a lifetime over which renewals are spread. */
    readonly spread: number
  },
): PublicationTerms {
  // Whole seconds: certificates have no finer dates.
  const issuedMs = Math.floor(nowMs / 1000) * 1000
  const { autoRenewal } = order
  if (autoRenewal) {
    const backMs = Math.min(BACKDATED_MS, Math.floor(autoRenewal.lifetimeS / 4) * 1000)
    const startMs = autoRenewal.startMs === undefined ? issuedMs - backMs : Math.max(autoRenewal.startMs, issuedMs)
    return { kind: 'star', ...autoRenewal, startMs, fraction: spreadFraction(publication, spread) }
  }
  return {
    kind: 'single',
    startMs: issuedMs,
    endMs: issuedMs + singleLifetimeS * 1000,
    lifetimeS: singleLifetimeS,
    lifetimeAdjustS: 0,
  }
}
