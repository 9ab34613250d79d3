import type { Clock } from '../../core/clock.ts'
import { Fault } from '../../core/fault.ts'
import { explain, type Log } from '../../core/log.ts'
import { normalName } from '../../pki/general-names.ts'
import { isJsonObject } from '../json.ts'
import { AcmeProblem, type ProblemDocument } from '../problem.ts'
import {
  type AutoRenewal,
  buildAutoRenewal,
  buildDate,
  type Order,
  parseDateMs,
  type RenewalTerms,
} from '../resource.ts'
import { type AcmeTransport, readReply, send } from './exchange.ts'
import type { AcmeClient, PlacedOrder } from './plumbing.ts'
import { readAuthorization, readDelegation, readDelegationList } from './reading.ts'
import { type Patience, poll, withTimeout } from './wait.ts'

/** Whole orders. What goes wrong comes out as a Fault; a refusal keeps its AcmeProblem as the cause. */

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

/** Puts TXT records where the authority looks for them. Several values may stand under one owner name at a time. */
export interface DnsChallenges {
  /** Resolves when the authority will see the record. `owner` is `_acme-challenge.…`, no trailing dot. */
  present(owner: string, value: string, signal: AbortSignal): Promise<void>
  cleanup(owner: string, value: string): Promise<void>
}

/** RFC 8555 with dns-01, for any ordinary authority. Returns the PEM chain. */
export function obtainWithDns01(
  job: Patience & {
    readonly client: AcmeClient
    readonly names: readonly string[]
    /** DER. */
    readonly csr: Uint8Array
    readonly dns: DnsChallenges
    readonly profile?: string
    /** Id of the certificate this one takes the place of (RFC 9773 §5). */
    readonly replaces?: string
    readonly notAfterMs?: number
    readonly log?: Log
  },
): Promise<string> {
  return withTimeout(job, `the certificate for ${job.names.join(', ')}`, (signal) =>
    refusalsAsFaults(async () => {
      const { client, clock, names, profile, replaces, notAfterMs } = job
      await client.account(signal)
      const payload = {
        identifiers: names.map((value) => ({ type: 'dns', value })),
        ...(profile === undefined ? {} : { profile }),
        ...(replaces === undefined ? {} : { replaces }),
        ...(notAfterMs === undefined ? {} : { notAfter: buildDate(notAfterMs) }),
      }
      const placed = await client.createOrder(payload, signal)
      const look = (): Promise<PlacedOrder> => client.order(placed.url, signal)
      if (placed.order.status === 'pending') await authorize({ ...job, signal }, placed.order)
      const authorized = placed.order.status === 'pending' ? await look() : placed
      const ready = await poll(clock, signal, authorized, { isPending: isStatus('pending'), look })
      const sent = isStatus('ready')(ready) ? await client.finalize(ready, job.csr, signal) : ready
      const { order } = await poll(clock, signal, sent, { isPending: isStatus('processing', 'ready'), look })
      if (order.status !== 'valid') throw refusedOrder(order)
      if (order.certificate === undefined) throw protocol('the valid order names no certificate')
      return client.certificate(order.certificate, signal)
    }),
  )
}

interface Proof {
  readonly url: string
  readonly challengeUrl: string
  readonly owner: string
  readonly value: string
}

/** Every record is in place before the first challenge is answered, and gone whatever happens afterwards. */
async function authorize(
  {
    client,
    clock,
    signal,
    dns,
    log,
  }: { client: AcmeClient; clock: Clock; signal: AbortSignal; dns: DnsChallenges; log?: Log },
  order: Order,
): Promise<void> {
  const proofs = await pendingProofs(client, order, signal)
  const presented: Proof[] = []
  try {
    for (const proof of proofs) {
      presented.push(proof)
      await dns.present(proof.owner, proof.value, signal)
    }
    for (const { challengeUrl } of proofs) await client.post(challengeUrl, {}, signal)
    for (const { url, owner } of proofs) await awaitAuthorization(client, clock, signal, { url, owner })
  } finally {
    for (const { owner, value } of presented) {
      await dns.cleanup(owner, value).catch((error: unknown) => {
        log?.warn({ owner, ...explain(error) }, 'a challenge record could not be removed')
      })
    }
  }
}

/** What is still to be shown: an authority may reuse an authorization that is valid already (RFC 8555 §7.5). */
async function pendingProofs(client: AcmeClient, order: Order, signal: AbortSignal): Promise<Proof[]> {
  const proofs: Proof[] = []
  for (const url of order.authorizations) {
    const { status, identifier, challenges } = readAuthorization((await client.postAsGet(url, signal)).content)
    if (status === 'valid') continue
    const challenge = challenges.find(({ type }) => type === 'dns-01')
    if (status !== 'pending' || !challenge) {
      const why = status === 'pending' ? 'cannot be shown by dns-01' : `is ${status}`
      throw new Fault('ACME_REFUSED', `the authorization for ${identifier.value} ${why}`)
    }
    const value = await client.challengeTxt(challenge)
    proofs.push({ url, challengeUrl: challenge.url, owner: `_acme-challenge.${identifier.value}`, value })
  }
  return proofs
}

async function awaitAuthorization(
  client: AcmeClient,
  clock: Clock,
  signal: AbortSignal,
  { url, owner }: { url: string; owner: string },
): Promise<void> {
  const look = async () => {
    const { content, retryAfterMs } = await client.postAsGet(url, signal)
    return { authorization: readAuthorization(content), ...(retryAfterMs === undefined ? {} : { retryAfterMs }) }
  }
  const { authorization } = await poll(clock, signal, await look(), {
    isPending: (seen) => seen.authorization.status === 'pending',
    look,
  })
  if (authorization.status === 'valid') return
  const error = authorization.challenges.find((challenge) => challenge.error)?.error
  throw refused(error, `the authority did not accept ${owner}: it is ${authorization.status}`)
}

async function findDelegation(
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

function isStatus(...statuses: readonly Order['status'][]): (seen: PlacedOrder) => boolean {
  return ({ order }) => statuses.includes(order.status)
}

/** The operator's authority cannot publish for plain GET: only the operator can change that (RFC 9115 §2.3.3). */
function withoutGet(): Fault {
  return new Fault('DELEGATION_WITHOUT_GET', 'the operator has no authority that lets certificates be fetched unsigned')
}

function protocol(detail: string): Fault {
  return new Fault('ACME_PROTOCOL', `the ACME server answered outside the protocol: ${detail}`)
}

function refusedOrder(order: Order): Fault {
  return refused(order.error, `the order is ${order.status}`)
}

function refused(error: ProblemDocument | undefined, otherwise: string): Fault {
  const problem = AcmeProblem.fromDocument(error)
  return problem ? faultOf(problem) : new Fault('ACME_REFUSED', otherwise)
}

async function refusalsAsFaults<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw error instanceof AcmeProblem ? faultOf(error) : error
  }
}

function faultOf(problem: AcmeProblem): Fault {
  const { type, status, detail, subproblems, retryAfterMs } = problem
  const names = subproblems.map((sub) => `${sub.identifier?.value ?? sub.type}: ${sub.detail}`)
  const facts = { type, status, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) }
  return new Fault('ACME_REFUSED', [`${type}: ${detail}`, ...names].join('; '), facts, problem)
}
