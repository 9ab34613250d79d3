import type { ProblemDocument } from './problem.ts'

/** The JSON objects of RFC 8555 §7.1 with the members RFC 8739 and RFC 9115 add, exactly as they travel. */

export interface Directory {
  readonly newNonce: string
  readonly newAccount: string
  readonly newOrder: string
  readonly newAuthz?: string
  readonly revokeCert?: string
  readonly keyChange?: string
  readonly renewalInfo?: string
  readonly meta?: DirectoryMeta
}

export interface DirectoryMeta {
  readonly termsOfService?: string
  readonly website?: string
  readonly caaIdentities?: readonly string[]
  readonly externalAccountRequired?: boolean
  /** As a client reads them: their names alone. On the wire each has a description (draft-ietf-acme-profiles). */
  readonly profiles?: readonly string[]
  /** RFC 9115 §2.3.4. */
  readonly 'delegation-enabled'?: boolean
  /** RFC 9115 §2.3.5: for orders that do not renew by themselves. */
  readonly 'allow-certificate-get'?: boolean
  /** RFC 8739 §3.2. */
  readonly 'auto-renewal'?: AutoRenewalMeta
}

export interface AutoRenewalMeta {
  readonly 'min-lifetime': number
  readonly 'max-duration': number
  readonly 'allow-certificate-get'?: boolean
}

export interface Account {
  readonly status: 'valid' | 'deactivated' | 'revoked'
  readonly contact?: readonly string[]
  readonly termsOfServiceAgreed?: boolean
  readonly externalAccountBinding?: unknown
  readonly orders?: string
  /** RFC 9115 §2.3.1: required of a server with `delegation-enabled`. */
  readonly delegations?: string
}

export interface Identifier {
  readonly type: string
  readonly value: string
}

export type OrderStatus = 'pending' | 'ready' | 'processing' | 'valid' | 'invalid' | 'canceled'

export interface Order {
  readonly status: OrderStatus
  readonly expires?: string
  readonly identifiers: readonly Identifier[]
  readonly notBefore?: string
  readonly notAfter?: string
  readonly error?: ProblemDocument
  readonly authorizations: readonly string[]
  readonly finalize: string
  readonly certificate?: string
  /** RFC 8739 §3.1.1: takes the place of `certificate`. */
  readonly 'star-certificate'?: string
  readonly 'auto-renewal'?: AutoRenewal
  /** RFC 9115 §2.3.3: top level only when the order does not renew by itself. */
  readonly 'allow-certificate-get'?: boolean
  readonly delegation?: string
  /** RFC 9773 §5: id of the certificate whose place the new one takes. */
  readonly replaces?: string
  readonly profile?: string
}

/** What newOrder asks for (RFC 8555 §7.4). */
export type OrderRequest = Pick<Order, 'identifiers'> &
  Partial<
    Pick<
      Order,
      'notBefore' | 'notAfter' | 'profile' | 'replaces' | 'delegation' | 'auto-renewal' | 'allow-certificate-get'
    >
  >

/** RFC 9773 §4.2. */
export interface RenewalInfo {
  readonly suggestedWindow: { readonly start: string; readonly end: string }
  readonly explanationURL?: string
}

/** RFC 8739 §3.1.1. What the server echoes is the contract. */
export interface AutoRenewal {
  readonly 'start-date'?: string
  readonly 'end-date': string
  readonly lifetime: number
  readonly 'lifetime-adjust'?: number
  readonly 'allow-certificate-get'?: boolean
}

/** The same as numbers: what we keep and reckon with. */
export interface RenewalTerms {
  readonly startMs?: number
  readonly endMs: number
  readonly lifetimeS: number
  readonly lifetimeAdjustS: number
}

export function buildAutoRenewal(terms: RenewalTerms, allowCertificateGet: boolean): AutoRenewal {
  return {
    ...(terms.startMs === undefined ? {} : { 'start-date': buildDate(terms.startMs) }),
    'end-date': buildDate(terms.endMs),
    lifetime: terms.lifetimeS,
    'lifetime-adjust': terms.lifetimeAdjustS,
    'allow-certificate-get': allowCertificateGet,
  }
}

/** RFC 9115 §2.3.1.3. The template's inside belongs to whoever makes or checks the CSR. */
export interface Delegation {
  readonly 'csr-template': unknown
  readonly 'cname-map'?: Readonly<Record<string, string>>
}

export interface Authorization {
  readonly status: 'pending' | 'valid' | 'invalid' | 'deactivated' | 'expired' | 'revoked'
  readonly identifier: Identifier
  readonly expires?: string
  readonly challenges: readonly Challenge[]
  readonly wildcard?: boolean
}

export interface Challenge {
  readonly type: string
  readonly url: string
  readonly status: 'pending' | 'processing' | 'valid' | 'invalid'
  readonly token: string
  readonly validated?: string
  readonly error?: ProblemDocument
}

/** Undefined unless the text is an RFC 3339 date and time with its offset. */
export function parseDateMs(text: unknown): number | undefined {
  if (typeof text !== 'string' || !RFC3339.test(text)) return undefined
  const ms = Date.parse(text)
  return Number.isNaN(ms) ? undefined : ms
}
const RFC3339 = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})$/

export function buildDate(ms: number): string {
  return new Date(ms).toISOString().replace('.000Z', 'Z')
}
