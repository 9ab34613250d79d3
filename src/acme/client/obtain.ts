import { Fault } from '../../core/fault.ts'
import { normalName } from '../../pki/general-names.ts'
import { isJsonObject } from '../json.ts'
import { type AutoRenewal, buildAutoRenewal, type Order, parseDateMs, type RenewalTerms } from '../resource.ts'
import { type AcmeTransport, readReply, send } from './exchange.ts'
import type { AcmeClient, PlacedOrder } from './plumbing.ts'
import { readDelegation, readDelegationList } from './reading.ts'
import { protocol, refusalsAsFaults, refusedOrder } from './refusal.ts'
import { type Patience, poll, withTimeout } from './wait.ts'

/** An order at a delegation server, whole. */

export interface DelegatedOrder {
  readonly orderUrl: string
  /** Fetched by plain GET, for STAR again and again. It points at the authority, not at the operator. */
  readonly certificateUrl: URL
  readonly star: boolean
  /** What the server made of the terms asked for: the client's timer goes by these (RFC 8739 §3.1.1). */
  readonly autoRenewal?: RenewalTerms
}

/** Lists longer than this are a server in a loop, not a customer of one ISP. */
const DELEGATION_PAGES_MAX = 20
const DELEGATIONS_MAX = 200

/** RFC 9115 from the router's side: account, delegation, order, CSR, and where the certificate will be. */
export function obtainDelegated(
  job: Patience & {
    readonly client: AcmeClient
    readonly name: string
    /** Undefined: one certificate that does not renew by itself. */
    readonly autoRenewal: (Omit<RenewalTerms, 'lifetimeAdjustS'> & { readonly lifetimeAdjustS?: number }) | undefined
    /** DER for the template of the delegation. */
    readonly createCsr: (template: unknown) => Promise<Uint8Array>
  },
): Promise<DelegatedOrder> {
  return withTimeout(job, `the certificate for ${job.name}`, (signal) =>
    refusalsAsFaults(async () => {
      const { client, clock } = job
      const name = normalName(job.name)
      const { meta } = await client.directory(signal)
      if (meta?.['delegation-enabled'] !== true || (job.autoRenewal && !meta['auto-renewal'])) {
        const what = meta?.['delegation-enabled'] === true ? 'renewal by itself (RFC 8739)' : 'delegation'
        throw new Fault('DELEGATION_NOT_OFFERED', `the ACME server does not offer ${what}`)
      }
      const delegation = await findDelegation(client, name, signal)
      const placed = await client.createOrder(delegatedOrder(name, delegation.url, job.autoRenewal), signal)
      checkPlaced(placed, job.autoRenewal !== undefined)
      const sent = await client.finalize(placed, await job.createCsr(delegation.template), signal)
      const { order } = await poll(clock, signal, sent, {
        isPending: (seen) => seen.order.status === 'processing',
        look: () => client.order(placed.url, signal),
      })
      return delegatedResult(placed.url, order)
    }),
  )
}

export type FetchedCertificate =
  | { readonly kind: 'unchanged' }
  | {
      readonly kind: 'certificate'
      readonly pem: string
      readonly etag?: string
      /** RFC 8739 §3.3. The leaf itself knows better. */
      readonly notBeforeMs?: number
      readonly notAfterMs?: number
    }

/** Plain GET, no account needed (RFC 8739 §3.4). AcmeProblem `autoRenewalCanceled` or `autoRenewalExpired`: stop asking. */
export async function fetchCertificate(
  transport: AcmeTransport,
  certificateUrl: URL,
  signal: AbortSignal,
  ifNoneMatch?: string,
): Promise<FetchedCertificate> {
  const url = certificateUrl.href
  const headers = {
    'User-Agent': 'hearth',
    Accept: 'application/pem-certificate-chain',
    ...(ifNoneMatch === undefined ? {} : { 'If-None-Match': ifNoneMatch }),
  }
  const reply = readReply(await send(transport, { method: 'GET', url, headers, signal }), url)
  if (reply.status === 304 && ifNoneMatch !== undefined) return { kind: 'unchanged' }
  const { content } = reply
  if (typeof content !== 'string' || !content.includes('-----BEGIN CERTIFICATE-----')) {
    throw new Fault('ACME_PROTOCOL', `${url} did not answer with a PEM chain`, { url, status: reply.status })
  }
  const etag = reply.header('etag')
  const notBeforeMs = Date.parse(reply.header('cert-not-before') ?? '')
  const notAfterMs = Date.parse(reply.header('cert-not-after') ?? '')
  return {
    kind: 'certificate',
    pem: content,
    ...(etag === undefined ? {} : { etag }),
    ...(Number.isNaN(notBeforeMs) ? {} : { notBeforeMs }),
    ...(Number.isNaN(notAfterMs) ? {} : { notAfterMs }),
  }
}

/** The delegation of this account whose template spells out the name (RFC 9115 §2.3.1). */
export async function findDelegation(
  client: AcmeClient,
  name: string,
  signal: AbortSignal,
): Promise<{ url: string; template: unknown }> {
  const { delegations } = await client.account(signal)
  if (delegations === undefined) throw protocol('the account has no "delegations"')
  let seen = 0
  let page: string | undefined = delegations
  for (let pages = 0; page !== undefined && pages < DELEGATION_PAGES_MAX; pages++) {
    const reply = await client.postAsGet(page, signal)
    for (const url of readDelegationList(reply.content)) {
      if (++seen > DELEGATIONS_MAX) break
      const template = readDelegation((await client.postAsGet(url, signal)).content)['csr-template']
      if (namesOf(template).includes(name)) return { url, template }
    }
    page = reply.links('next')[0]
  }
  throw new Fault('DELEGATION_MISSING', `none of the operator's delegations for this account names ${name}`, { name })
}

/** The DNS names that a template spells out (RFC 9115 §4.1). */
function namesOf(template: unknown): readonly string[] {
  let at = template
  for (const member of ['extensions', 'subjectAltName', 'DNS']) at = isJsonObject(at) ? at[member] : undefined
  return Array.isArray(at) ? at.filter((name) => typeof name === 'string').map(normalName) : []
}

function delegatedOrder(
  name: string,
  delegation: string,
  terms: { startMs?: number; endMs: number; lifetimeS: number; lifetimeAdjustS?: number } | undefined,
): object {
  return {
    identifiers: [{ type: 'dns', value: name }],
    delegation,
    ...(terms
      ? { 'auto-renewal': buildAutoRenewal({ lifetimeAdjustS: 0, ...terms }, true) }
      : { 'allow-certificate-get': true }),
  }
}

/** RFC 9115 §2.3.2: an order that wants authorizations, or changed its kind, is not a delegation order. */
function checkPlaced({ order }: PlacedOrder, star: boolean): void {
  if (order.authorizations.length > 0 || order.status !== 'ready') {
    throw protocol(
      `the order is ${order.status} with ${order.authorizations.length} authorizations, not ready with none`,
    )
  }
  if (star !== (order['auto-renewal'] !== undefined)) throw protocol('the order is of another kind than asked for')
  if (!isGetAllowed(order)) throw withoutGet()
}

function delegatedResult(orderUrl: string, order: Order): DelegatedOrder {
  if (order.status === 'invalid' && !isGetAllowed(order)) throw withoutGet()
  if (order.status !== 'valid') throw refusedOrder(order)
  const renewal = order['auto-renewal']
  const url = renewal ? order['star-certificate'] : order.certificate
  if (url === undefined) throw protocol('the valid order names no certificate')
  return {
    orderUrl,
    certificateUrl: new URL(url),
    star: renewal !== undefined,
    ...(renewal ? { autoRenewal: termsOf(renewal) } : {}),
  }
}

function termsOf(renewal: AutoRenewal): RenewalTerms {
  const startMs = parseDateMs(renewal['start-date'])
  return {
    ...(startMs === undefined ? {} : { startMs }),
    endMs: parseDateMs(renewal['end-date']) ?? Number.NaN,
    lifetimeS: renewal.lifetime,
    lifetimeAdjustS: renewal['lifetime-adjust'] ?? 0,
  }
}

function isGetAllowed(order: Order): boolean {
  return (order['auto-renewal'] ?? order)['allow-certificate-get'] === true
}

/** The operator's authority cannot publish for plain GET: only the operator can change that (RFC 9115 §2.3.3). */
function withoutGet(): Fault {
  return new Fault('DELEGATION_WITHOUT_GET', 'the operator has no authority that lets certificates be fetched unsigned')
}
