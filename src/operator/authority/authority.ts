import type { RenewalTerms } from '../../acme/resource.ts'
import type { RevocationReason } from '../../pki/revocation-reason.ts'

/** How long an authority has for one certificate, dns-01 included. */
export const ISSUE_MS_MAX = 240_000

/** What the publisher wants from a CA. */
export interface CertificateWish {
  readonly names: readonly string[]
  /** DER PKCS#10, as the router finalized it. */
  readonly csr: Uint8Array
  /** The dates RFC 8739 §3.5 gives this certificate. A CA that chooses its own dates may ignore them. */
  readonly notBeforeMs: number
  readonly notAfterMs: number
  /** DER leaf that the new one takes the place of, when the same authority issued it (RFC 9773 §5). */
  readonly replaces?: Uint8Array
}

/**
 * One try that survives a crash: what was placed at the CA is written down before the next step, and the one who takes
 * over goes on with it instead of placing another (RFC 9115 §2.2: one Order2 for one Order1).
 */
export interface Attempt {
  readonly signal: AbortSignal
  /** URL of the order that an earlier try of the same wish placed at this authority. */
  readonly order?: string
  /** When an earlier try began to place an order whose URL it did not live to write down. */
  readonly placingSinceMs?: number
  /** Written down when it resolves. Without a URL: an order is about to be placed. */
  placed(order?: string): Promise<void>
  /**
   * Whether an order that the authority lists may be gone on with: no other try for these names has written it down, nor may
   * be just about to, which throws. Without this there are no others.
   */
  isFree?(order: string): Promise<boolean>
}

/** One CA behind us, whatever its kind (design §3.7). */
export interface Authority {
  readonly id: string
  /** PEM, when the root is our own and clients have to be given it. */
  readonly rootPem?: string
  /** DER, leaf first, root left out. Throws a Fault when this CA cannot issue now; its code says whose fault it is. */
  issue(wish: CertificateWish, attempt: Attempt): Promise<readonly Uint8Array[]>
  /** When the CA wants this certificate renewed, and when it may be asked again (RFC 9773); undefined: it does not say. */
  renewalWindow?(
    leaf: Uint8Array,
    signal: AbortSignal,
  ): Promise<{ readonly startMs: number; readonly endMs: number; readonly askAgainMs: number } | undefined>
  /** RFC 8555 §7.6, by the account that ordered it. Revoking what is revoked is fine. */
  revoke?(leaf: Uint8Array, reason: RevocationReason, signal: AbortSignal): Promise<void>
}

/** An order of a router as it is passed on: to a CA that does STAR, or to the next delegation server (RFC 9115 §2.3, §2.4). */
export interface ForwardedOrder {
  readonly names: readonly string[]
  readonly csr: Uint8Array
  /** Absent: one certificate that does not renew by itself. */
  readonly autoRenewal?: RenewalTerms
}

/** An authority that keeps the certificate at a URL of its own, which is given to the router as it is. */
export interface ForwardingAuthority {
  readonly id: string
  /** The URL that plain GET is allowed on. Fault AUTHORITY_WITHOUT_GET: the CA lacks or does not echo `allow-certificate-get`. */
  forward(
    order: ForwardedOrder,
    attempt: Attempt,
  ): Promise<{ readonly orderUrl: string; readonly certificateUrl: string }>
  /** RFC 8739 §3.1.2. Cancelling what is cancelled is fine. */
  cancel(orderUrl: string, signal: AbortSignal): Promise<void>
}
