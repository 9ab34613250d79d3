import type { FlattenedJws, PublicJwk } from '../jws.ts'
import type { ProblemDocument } from '../problem.ts'
import type { OrderStatus, RenewalTerms } from '../resource.ts'

/** What the server keeps. Every row survives JSON; ids are random, so knowing one says nothing about the next. */

export interface AccountRow {
  readonly status: 'valid' | 'deactivated' | 'revoked'
  readonly jwk: PublicJwk
  readonly contact: readonly string[]
  readonly termsOfServiceAgreed: boolean
  /** The inner JWS as the client sent it (RFC 8555 §7.3.4), and the kid in it. */
  readonly externalAccount?: { readonly kid: string; readonly binding: FlattenedJws }
  /** Absent until the first order under limits. */
  readonly ordering?: OrderingState
}

/** How much of its limits an account has used. */
export interface OrderingState {
  /** New orders it might place at `atMs`; they grow back evenly. */
  readonly allowance: number
  readonly atMs: number
  /** Ids of orders that were open when they were last looked at. */
  readonly open: readonly string[]
}

/**
 * Id: the JWK thumbprint. Written before its account, so that one key never gets two. Whether the account has this key
 * now is said by the account alone: a change of keys may have begun, or its last step may be missing.
 */
export interface AccountKeyRow {
  readonly account: string
}

/** Id: the renewal id of a certificate (RFC 9773 §4.1). */
export interface ReplacementRow {
  /** The order whose certificate takes its place. */
  readonly order: string
}

export interface OrderRow {
  readonly account: string
  readonly status: OrderStatus
  /** DNS names: lower case, no trailing dot, no duplicates. */
  readonly identifiers: readonly string[]
  /** Absent: the account ordered a name that it may have without delegation. */
  readonly delegation?: string
  readonly star: boolean
  /** Present exactly when `star`. */
  readonly autoRenewal?: RenewalTerms
  /** Echoed inside `auto-renewal` or at top level. False on an invalid order: no authority could allow GET (RFC 9115 §2.2). */
  readonly allowCertificateGet: boolean
  /** Never before the end of the renewals. */
  readonly expiresMs: number
  /** DER, base64url: what was finalized. */
  readonly csr?: string
  readonly error?: ProblemDocument
  /** Id of the published certificate. */
  readonly certificate?: string
  /** In its place: where the authority itself publishes it, when the order was forwarded (RFC 9115 §2.3.2). */
  readonly certificateUrl?: string
  readonly createdMs?: number
  readonly profile?: string
  /** RFC 9773 §5. */
  readonly replaces?: string
  /** Indices of the identifiers whose authorizations the client gave up (RFC 8555 §7.5.2). */
  readonly deactivated?: readonly number[]
}
