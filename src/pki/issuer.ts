import type { CsrPlan } from './csr-template.ts'

/** A certificate we may serve, and when to replace it. */
export interface Identity {
  readonly names: readonly string[]
  /** DER, leaf first, root left out. */
  readonly chain: readonly Uint8Array[]
  readonly notBeforeMs: number
  readonly notAfterMs: number
  /** When the next certificate should be there to fetch, or a new one should be ordered. */
  readonly renewAtMs: number
  /** Present when the certificate renews by itself (RFC 8739). */
  readonly star?: StarTerms
}

/** The echoed terms of a STAR order: the contract between client and server (RFC 8739 §3.1.1). */
export interface StarTerms {
  /** Every certificate of the order appears here, by plain GET, no account key needed (RFC 8739 §3.4). */
  readonly url: string
  readonly lifetimeS: number
  readonly lifetimeAdjustS: number
  /** No certificate of this order is valid after it. */
  readonly endMs: number
}

/**
 * Makes key and CSR to a plan; the key stays with whoever gave this function. DER PKCS#10. The issuer asks for it once it
 * knows what the CSR must look like: with a delegation the operator's template says so (RFC 9115 §4).
 */
export type CsrMaker = (plan: CsrPlan) => Promise<Uint8Array>

/** Delegated ACME, direct ACME, local CA, self-signed: all the router's ways to an identity (design §3.5). */
export interface Issuer {
  readonly id: string
  /** Throws a Fault when no certificate can be had now. */
  issue(names: readonly string[], createCsr: CsrMaker, signal: AbortSignal): Promise<Identity>
  /**
   * The next certificate of the same order and key; undefined when it is not there yet. Only for identities with `star`.
   * Fault ORDER_ENDED: there will be none, place a new order.
   */
  refresh?(current: Identity, signal: AbortSignal): Promise<Identity | undefined>
}
