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
}

/** Id: the JWK thumbprint. Written before its account, so that one key never gets two. */
export interface AccountKeyRow {
  readonly account: string
}

export interface OrderRow {
  readonly account: string
  readonly status: OrderStatus
  /** DNS names: lower case, no trailing dot, no duplicates. */
  readonly identifiers: readonly string[]
  readonly delegation: string
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
}
