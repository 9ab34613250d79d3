import type { Clock } from '../../core/clock.ts'
import { Fault } from '../../core/fault.ts'
import { explain, type Log } from '../../core/log.ts'
import { AcmeProblem } from '../problem.ts'
import { buildDate, type Order, type OrderRequest } from '../resource.ts'
import { chainOf } from './chain.ts'
import { findLostOrder } from './lost-order.ts'
import type { AcmeClient, PlacedOrder } from './plumbing.ts'
import { readAuthorization } from './reading.ts'
import { protocol, refusalsAsFaults, refused, refusedOrder } from './refusal.ts'
import { type Patience, poll, withTimeout } from './wait.ts'

/** Puts TXT records where the authority looks for them. Several values may stand under one owner name at a time. */
export interface DnsChallenges {
  /** Resolves when the authority will see the record. `owner` is `_acme-challenge.…`, no trailing dot. */
  present(owner: string, value: string, signal: AbortSignal): Promise<void>
  cleanup(owner: string, value: string): Promise<void>
}

export interface CertifyJob extends Patience {
  readonly client: AcmeClient
  readonly names: readonly string[]
  /** DER. */
  readonly csr: Uint8Array
  readonly dns: DnsChallenges
  readonly profile?: string
  /** Id of the certificate this one takes the place of (RFC 9773 §5); left out where the authority has none of that. */
  readonly replaces?: string
  readonly notAfterMs?: number
  /** Common name of the issuer at the top of the chain that is wanted, where the authority offers several. */
  readonly preferredChain?: string
  /** URL of an order that an earlier try placed: it is gone on with, as long as it can still be issued. */
  readonly order?: string
  /** When an earlier try began to place an order; it may not have lived to learn its URL. */
  readonly placingSinceMs?: number
  /** Called, and waited for, when an order is about to be placed, and with its URL when it has been. */
  readonly placed?: (order?: string) => Promise<void>
  /** Whether no other try of ours goes on with that order, which the authority lists. Without this there are no others. */
  readonly isFree?: (order: string) => Promise<boolean>
  /** Members of the order beside its names. */
  readonly members?: Omit<OrderRequest, 'identifiers'>
  /** Throws when the order is not the one that was asked for; nothing is shown or sent then. */
  readonly check?: (order: Order) => void
  readonly log?: Log
}

/** RFC 8555 with dns-01, for any ordinary authority. Returns the PEM chain. */
export function obtainWithDns01(job: CertifyJob): Promise<string> {
  return withTimeout(job, `the certificate for ${job.names.join(', ')}`, (signal) =>
    refusalsAsFaults(async () => {
      const { order } = await validOrder(job, signal)
      if (order.certificate === undefined) throw protocol('the valid order names no certificate')
      return chainOf(order.certificate, job, signal)
    }),
  )
}

/**
 * The order, from newOrder to valid. A try that ended in the middle is gone on with: by the URL of its order, or by the
 * authority's list of orders (`lost-order.ts`).
 */
export async function validOrder(job: CertifyJob, signal: AbortSignal): Promise<PlacedOrder> {
  const { client, clock, check } = job
  const account = await client.account(signal)
  const asked = await orderRequest(job, signal)
  const placed =
    (await orderOfBefore(job, signal)) ??
    (await lostOrder(job, { list: account.orders, asked, signal })) ??
    (await placeOrder(job, asked, signal))
  check?.(placed.order)
  const look = (): Promise<PlacedOrder> => client.order(placed.url, signal)
  if (placed.order.status === 'pending') await authorize({ ...job, signal }, placed.order)
  const authorized = placed.order.status === 'pending' ? await look() : placed
  const ready = await poll(clock, signal, authorized, { isPending: isStatus('pending'), look })
  const sent = isStatus('ready')(ready) ? await client.finalize(ready, job.csr, signal) : ready
  const done = await poll(clock, signal, sent, { isPending: isStatus('processing', 'ready'), look })
  if (done.order.status !== 'valid') throw refusedOrder(done.order)
  return done
}

/** Undefined: there was none, or it can no longer be issued. */
async function orderOfBefore({ client, order }: CertifyJob, signal: AbortSignal): Promise<PlacedOrder | undefined> {
  if (order === undefined) return undefined
  try {
    const found = await client.order(order, signal)
    return found.order.status === 'invalid' ? undefined : found
  } catch (error) {
    if (isGone(error)) return undefined
    throw error
  }
}

/** The authority has forgotten the order, or the account it belonged to. Some say so in HTML. */
function isGone(error: unknown): boolean {
  if (error instanceof AcmeProblem) return error.status === 404 || error.type === 'accountDoesNotExist'
  return error instanceof Fault && error.code === 'ACME_PROTOCOL' && error.facts['status'] === 404
}

async function lostOrder(
  { client, placingSinceMs, isFree, placed, clock, log }: CertifyJob,
  where: { readonly list: string | undefined; readonly asked: OrderRequest; readonly signal: AbortSignal },
): Promise<PlacedOrder | undefined> {
  if (placingSinceMs === undefined) return undefined
  return findLostOrder({ ...where, client, placingSinceMs, isFree, placed, clock, log })
}

async function orderRequest(job: CertifyJob, signal: AbortSignal): Promise<OrderRequest> {
  const { client, names, profile, replaces, notAfterMs } = job
  const { renewalInfo } = await client.directory(signal)
  return {
    ...job.members,
    identifiers: names.map((value) => ({ type: 'dns', value })),
    ...(profile === undefined ? {} : { profile }),
    ...(notAfterMs === undefined ? {} : { notAfter: buildDate(notAfterMs) }),
    ...(replaces === undefined || renewalInfo === undefined ? {} : { replaces }),
  }
}

async function placeOrder(
  { client, placed }: CertifyJob,
  asked: OrderRequest,
  signal: AbortSignal,
): Promise<PlacedOrder> {
  if (asked.profile !== undefined) await checkProfile(client, asked.profile, signal)
  await placed?.()
  const order = await client.createOrder(asked, signal).catch((error: unknown) => {
    if (!(error instanceof AcmeProblem) || error.type !== 'alreadyReplaced') throw error
    // It was renewed already, by a try of ours that was lost (RFC 9773 §5).
    const { replaces: _replaces, ...others } = asked
    return client.createOrder(others, signal)
  })
  await placed?.(order.url)
  return order
}

async function checkProfile(client: AcmeClient, profile: string, signal: AbortSignal): Promise<void> {
  const { meta } = await client.directory(signal)
  const known = meta?.profiles ?? []
  if (known.includes(profile)) return
  const offer = known.length === 0 ? 'it has none' : `it has ${known.join(', ')}`
  throw new Fault('ACME_REFUSED', `the authority has no certificate profile ${profile}; ${offer}`)
}

interface Proof {
  readonly url: string
  readonly challengeUrl: string
  /** By an earlier try: the authority is looking already. */
  readonly isAnswered: boolean
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
    for (const { challengeUrl, isAnswered } of proofs) if (!isAnswered) await client.post(challengeUrl, {}, signal)
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
    const isAnswered = challenge.status !== 'pending'
    proofs.push({ url, challengeUrl: challenge.url, isAnswered, owner: `_acme-challenge.${identifier.value}`, value })
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

function isStatus(...statuses: readonly Order['status'][]): (seen: PlacedOrder) => boolean {
  return ({ order }) => statuses.includes(order.status)
}
