import { publishAtMs, type StarPlan, starPlan, window } from '../../acme/star.ts'
import type { RevocationReason } from '../../pki/revocation-reason.ts'

/** One rolling certificate at one URL. The CSR is kept, because every renewal is for the same key (RFC 8739 §2). */
export interface PublicationRow {
  readonly account: string
  /** Id of the order it was made for. */
  readonly order?: string
  readonly names: readonly string[]
  /** DER, base64url. */
  readonly csr: string
  readonly getAllowed: boolean
  readonly terms: PublicationTerms
  /** How many certificates have been published here; the one below is the last of them. */
  readonly edition?: number
  /** Index of the certificate below in its plan (RFC 8739 §3.5). */
  readonly index: number
  readonly pem: string
  readonly notBeforeMs: number
  readonly notAfterMs: number
  /** When we published it. */
  readonly publishedMs?: number
  /** Id of the authority that issued it. */
  readonly authority?: string
  /** When that authority wants it renewed, and when to ask again (RFC 9773). */
  readonly renewal?: { readonly startMs: number; readonly endMs: number; readonly askAgainMs: number }
  /** No other certificate will follow, and this one is shown to nobody any more. */
  readonly canceled?: boolean
  /** Why the certificate above is to be revoked, and when its CA had heard of it. */
  readonly revocation?: { readonly reason: RevocationReason; readonly doneMs?: number }
}

/** Start is stored once: computed again from a certificate it would drift. `single` is an order without auto-renewal. */
export interface PublicationTerms {
  readonly kind: 'star' | 'single'
  readonly startMs: number
  readonly endMs: number
  readonly lifetimeS: number
  readonly lifetimeAdjustS: number
  /** The server's choice in RFC 8739 §3.5; stored for the same reason. */
  readonly fraction?: number
}

/** A certificate on its way. Id: that of its publication. There as long as somebody may have to go on with it. */
export interface IssuanceRow {
  /** Of the certificate that is wanted: one more than what is published. */
  readonly edition: number
  /** Tries in a row that failed. */
  readonly failures: number
  /** Authorities that refused, or were out when their turn came. */
  readonly passedOver: readonly string[]
  /** As `namesOfRow` writes them: by these, tries for the same names find each other. */
  readonly names?: string
  /** What is under way at one authority. Given up only by writing `passedOver`. */
  readonly attempt?: IssuanceAttempt
}

export interface IssuanceAttempt {
  readonly authority: string
  /** How often it was taken up; so that who lost it notices at his next write. */
  readonly taken: number
  /** What is wished for, which must be the same for whoever goes on with it. Absent: the order is forwarded as it is. */
  readonly wish?: { readonly terms: PublicationTerms; readonly index: number }
  readonly placingSinceMs?: number
  readonly order?: string
}

/** One text, whatever their sequence. */
export function namesOfRow(names: readonly string[]): string {
  return [...names].sort().join(' ')
}

export function planOf({ startMs, endMs, lifetimeS, lifetimeAdjustS, fraction }: PublicationTerms): StarPlan {
  return starPlan({ startMs, endMs, lifetimeS, lifetimeAdjustS, ...(fraction === undefined ? {} : { fraction }) })
}

/**
 * When this publication wants a new certificate; undefined when it has its last one. By its plan, or sooner when the CA
 * made the certificate shorter than planned: then after two thirds of its real life.
 */
export function plannedIssueMs({ terms, index, notBeforeMs, notAfterMs }: PublicationRow): number | undefined {
  if (terms.kind === 'single') return undefined
  const plan = planOf(terms)
  const plannedMs = index + 1 < plan.count ? publishAtMs(plan, index + 1) : undefined
  if (notAfterMs >= window(plan, index).notAfterMs) return plannedMs
  return Math.min(notBeforeMs + ((notAfterMs - notBeforeMs) * 2) / 3, plannedMs ?? Number.POSITIVE_INFINITY)
}
