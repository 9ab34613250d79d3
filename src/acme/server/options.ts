import type { Clock } from '../../core/clock.ts'
import type { Log } from '../../core/log.ts'
import type { Table } from '../../core/table.ts'
import type { Csr } from '../../pki/csr.ts'
import type { RevocationReason } from '../../pki/revocation-reason.ts'
import type { Delegation } from '../resource.ts'
import type { AcmeDecision } from './decision.ts'
import type { Nonces } from './nonces.ts'
import type { AccountKeyRow, AccountRow, OrderRow, ReplacementRow } from './rows.ts'

export interface AcmeServerOptions {
  /** Every URL is computed from it, never from the socket: behind a proxy they differ. May have a path. */
  readonly baseUrl: string
  readonly clock: Clock
  readonly nonces: Nonces
  readonly accounts: Table<AccountRow>
  readonly accountKeys: Table<AccountKeyRow>
  readonly orders: Table<OrderRow>
  /** Given: only who holds a key from here may open an account (RFC 8555 §7.3.4). */
  readonly externalAccounts?: ExternalAccounts
  readonly delegations: Delegations
  /**
   * Given: accounts may order these names without a delegation, their authorizations being valid from the start. What is
   * said against them; empty means yes.
   */
  readonly preauthorized?: (accountId: string, identifiers: readonly string[]) => Promise<readonly CsrProblem[]>
  /** Bounds on newOrder. An external account opens one account, so they hold for its kid as well. */
  readonly limits?: OrderLimits
  /** Profiles an order may name, with what they are. */
  readonly profiles?: Readonly<Record<string, string>>
  /** Given: certificates can be revoked, and say when they want to be renewed. */
  readonly issued?: IssuedCertificates
  /** Renewals of delegated orders can be cancelled by their account. RFC 9115 §2.3.6.1 leaves that to the identifier owner. */
  readonly ownerMayCancel?: boolean
  /** Called before what an account decides is carried out, and before it is told of a refusal. When it fails, so does the request. */
  readonly onDecision?: (decision: AcmeDecision) => Promise<void>
  /** Called when an order has been cancelled; its state is safe by then. */
  readonly onCanceled?: (orderId: string) => Promise<void>
  /** Given: STAR orders are taken, within these bounds (RFC 8739 §3.2). */
  readonly autoRenewal?: { readonly minLifetimeS: number; readonly maxDurationS: number }
  /** Called when an order has reached `processing`, perhaps more than once for one order. */
  readonly onProcessing: (orderId: string) => Promise<void>
  readonly certificates: { read(certificateId: string): Promise<PublishedCertificate | undefined> }
  /** URL that a new account must agree to. */
  readonly termsOfService?: string
  /** Members of one page of a list. */
  readonly pageSize?: number
  /** How long a client waits before it looks at a processing order again. */
  readonly retryAfterS?: number
  /** How long a new order may wait for its CSR. */
  readonly orderLifetimeMs?: number
  readonly log?: Log
}

export interface ExternalAccounts {
  /** `boundTo`: the account that has used the kid. */
  find(kid: string): Promise<{ readonly key: Uint8Array; readonly boundTo?: string } | undefined>
  /** Compare-and-swap: true for the first account, and again for the same account; false for every other. */
  bind(kid: string, accountId: string): Promise<boolean>
}

/** Which account may have which names (RFC 9115 §2.3.1). Ids are letters, digits, `.`, `_` and `-`. */
export interface Delegations {
  list(accountId: string, page: { readonly after?: string; readonly limit: number }): Promise<DelegationPage>
  /** Undefined: unknown, removed, or another account's. */
  find(accountId: string, id: string): Promise<Delegation | undefined>
  /** At newOrder: may these names be ordered? Empty means yes. */
  checkNames(accountId: string, id: string, identifiers: readonly string[]): Promise<readonly CsrProblem[]>
  /** At finalize: does the CSR fit the template and the order's names? Empty means yes. */
  checkCsr(accountId: string, id: string, identifiers: readonly string[], csr: Csr): Promise<readonly CsrProblem[]>
}

export interface OrderLimits {
  /** They grow back evenly, so that an hour without orders allows as many at once. */
  readonly newOrdersPerHour: number
  /** Neither valid nor invalid yet. */
  readonly openOrders: number
  /** URL of a text that explains the limits (RFC 8555 §6.6). */
  readonly help: string
}

/** What became of the certificates this server gave out, found by the id of RFC 9773 §4.1. */
export interface IssuedCertificates {
  find(certId: string): Promise<IssuedCertificate | undefined>
  /** Resolves when it is sure to happen. Without an account: the key of the certificate asks. Revoking what is revoked is fine. */
  revoke(certId: string, asked: { readonly reason: RevocationReason; readonly account?: string }): Promise<void>
  readonly replacements: Table<ReplacementRow>
}

export interface IssuedCertificate {
  readonly account: string
  /** DER. */
  readonly leaf: Uint8Array
  /** It renews by itself, so it can be neither revoked nor replaced (RFC 8739 §3.1.3). */
  readonly star: boolean
  readonly revoked: boolean
  /** When it should be renewed; a stretch late in its life unless given. */
  readonly renewal?: { readonly startMs: number; readonly endMs: number }
}

export interface DelegationPage {
  readonly ids: readonly string[]
  /** Where the next page starts. */
  readonly next?: string
}

export interface CsrProblem {
  readonly kind: 'rejectedIdentifier' | 'badCSR'
  readonly detail: string
  /** The DNS name the problem is about. */
  readonly identifier?: string
}

export interface PublishedCertificate {
  readonly account: string
  /** Leaf first, blocks one after another, nothing else (RFC 8555 erratum 5983). */
  readonly pem: string
  readonly notBeforeMs: number
  readonly notAfterMs: number
  /** When the next certificate appears here. */
  readonly nextChangeMs: number
  /** GET and HEAD without signature were negotiated. */
  readonly getAllowed: boolean
  readonly ended?: 'autoRenewalCanceled' | 'autoRenewalExpired'
}
