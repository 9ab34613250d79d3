import { createHash } from 'node:crypto'
import type { PublishedCertificate } from '../acme/server/options.ts'
import { cancelOrder, completeOrder, failOrder } from '../acme/server/order-state.ts'
import { rewrite } from '../acme/server/rewrite.ts'
import type { AccountRow, OrderRow } from '../acme/server/rows.ts'
import { latestDue } from '../acme/star.ts'
import type { Clock } from '../core/clock.ts'
import { reasonOf } from '../core/fault.ts'
import { explain, type Log } from '../core/log.ts'
import { allRows, type Jobs, type Stored, type Table } from '../core/table.ts'
import { fromPem, parseCertificate, toPem } from '../pki/certificate.ts'
import type { RevocationReason } from '../pki/revocation-reason.ts'
import type { Audit } from './audit/audit.ts'
import type { ForwardingAuthority } from './authority/authority.ts'
import type { AuthorityPool } from './authority/pool.ts'
import { renewalAdvice } from './publication/advice.ts'
import { Overtaken } from './publication/attempt.ts'
import { endedRows, type Sweep } from './publication/ended.ts'
import { forwarding } from './publication/forwarding.ts'
import { type Issued, issuances, NotNow } from './publication/issuance.ts'
import type { IssuedIndex } from './publication/issued.ts'
import { REVOKE, revokeAtIssuer } from './publication/revocation.ts'
import { type IssuanceRow, type PublicationRow, plannedIssueMs, planOf } from './publication/rows.ts'
import { termsOf } from './publication/terms.ts'
import { retryAfterMs, urgencyOf, waitMs } from './schedule/renewal.ts'

/** Tries for a first certificate before the order fails; the client then places a new one. */
const FIRST_ATTEMPTS_MAX = 8
/** However short a CA makes its certificates. */
const RENEWALS_APART_MS = 1_000
const REVOKE_PATIENCE_MS = 60_000
const REVOKE_RETRY_MS = 60_000
/** For how long one can still ask what became of an order. */
const KEPT_MS = 30 * 86_400_000
const SWEEP_AFTER_START_MS = 60_000
const SWEEP_EVERY_MS = 3_600_000
const SWEEP_PAUSE_MS = 5_000
/** Orders read at a time when resuming. */
const PAGE = 500

export interface Publisher {
  /** To be called when an order has reached `processing`, any number of times. */
  enqueue(orderId: string): Promise<void>
  /** Enqueues every order that a crash, or a store that was away, left at `processing`. */
  resume(): Promise<void>
  /** One due step of one job, as handed out by the job table. */
  work(job: string, signal: AbortSignal): Promise<void>
  /**
   * Ends what this order gets: no renewal follows, its STAR URL answers `autoRenewalCanceled` (RFC 8739 §3.1.2), and a
   * certificate that does not renew by itself is revoked. May be repeated; throws when the CA could not be told.
   * Resolves to the end of the last certificate that is out, or undefined when none is.
   */
  cancel(orderId: string, reason: RevocationReason, signal: AbortSignal): Promise<number | undefined>
  /**
   * Removes one batch of what has been over for that long: publications after their last certificate, then expired orders.
   * Done by itself, by a job that `resume` puts.
   */
  removeEnded(olderThanMs: number): Promise<Sweep>
  readonly certificates: { read(id: string): Promise<PublishedCertificate | undefined> }
}

/**
 * STAR on top of any CA (design §3.7): keeps the CSR, orders again before each nominal renewal date and serves the
 * rolling certificate at one unguessable URL. Any number of instances may run it; every step may be repeated.
 */
export function createPublisher(options: {
  readonly accounts: Table<AccountRow>
  readonly orders: Table<OrderRow>
  readonly publications: Table<PublicationRow>
  readonly issuances: Table<IssuanceRow>
  readonly jobs: Jobs
  readonly pool: AuthorityPool
  /** Given: decisions are put on record there; of certificates the first of each order, and what is revoked. */
  readonly audit?: Pick<Audit, 'record'>
  /** Given, and not undefined for an order: that one goes there as it is, and nothing is published here. */
  readonly forwardTo?: (order: OrderRow) => ForwardingAuthority | undefined
  /** Given: clients find there what was issued to them. */
  readonly issued?: Pick<IssuedIndex, 'note' | 'forget'>
  /** Lifetime of certificates of orders without auto-renewal, where the authority lets us choose. */
  readonly singleLifetimeS: number
  /** From 0 up to 0.5: the part of a lifetime over which renewals are spread. */
  readonly spread: number
  readonly clock: Clock
  readonly log: Log
}): Publisher {
  const { accounts, orders, publications, jobs, pool, clock, log } = options
  const { audit } = options
  const issuance = issuances({ table: options.issuances, pool, audit, clock })
  const { issued: byId } = options
  const ended = endedRows({
    orders,
    publications,
    issuances: options.issuances,
    publicationId,
    ...(byId ? { forget: (row) => byId.forget(row.pem) } : {}),
  })
  const removeEnded = (olderThanMs: number): Promise<Sweep> => ended.sweep(clock.nowMs() - olderThanMs)
  const advice = renewalAdvice({ publications, pool, clock, log })
  const revokeCertificate = revokeAtIssuer({ publications, pool, audit, clock })
  const forwarded = forwarding({ table: options.issuances, orders, audit, clock })

  const issueFirst = async (orderId: string, signal: AbortSignal): Promise<void> => {
    const id = publicationId(orderId)
    const order = await orders.find(orderId)
    if (order?.row.status !== 'processing') {
      if (order?.row.certificateUrl === undefined) await issuance.forget(id)
      return jobs.finish(issueJob(orderId))
    }
    const forwardTo = options.forwardTo?.(order.row)
    if ((await accounts.find(order.row.account))?.row.status !== 'valid') {
      await failOrder(orders, orderId, { ...CANCELED_ORDER })
      return issueFirst(orderId, signal)
    }
    if (forwardTo) {
      await forwarded.forward(id, order, forwardTo, signal)
      return jobs.finish(issueJob(orderId))
    }
    const published = (await publications.find(id)) ?? (await publishFirst(id, order, signal))
    await byId?.note(published.row.pem, id)
    // First the renewals, then the order: whatever happens in between, no valid order is left without them.
    const nextMs = advice.nextStepMs(published)
    if (nextMs !== undefined) await jobs.put(renewJob(id), nextMs)
    await completeOrder(orders, orderId, id)
    await issuance.forget(id)
    await jobs.finish(issueJob(orderId))
  }

  const publishFirst = async (
    id: string,
    order: Stored<OrderRow>,
    signal: AbortSignal,
  ): Promise<Stored<PublicationRow>> => {
    const { account, identifiers: names, allowCertificateGet } = order.row
    const csr = order.row.csr!
    const { singleLifetimeS, spread } = options
    const issued = await issuance.obtain(
      {
        publication: id,
        edition: 1,
        names,
        csr,
        urgency: 1,
        terms: () => ({
          terms: termsOf(order.row, { publication: id, nowMs: clock.nowMs(), singleLifetimeS, spread }),
          index: 0,
        }),
      },
      signal,
    )
    const fixed = { account, order: order.id, names, csr, getAllowed: allowCertificateGet }
    const row: PublicationRow = { ...fixed, edition: 1, ...asPublished(issued, clock.nowMs()) }
    await audit?.record({
      event: 'certificate-published',
      by: 'service',
      account,
      order: order.id,
      ...(names[0] === undefined ? {} : { device: names[0] }),
      authority: issued.authority,
    })
    log.info({ names, authority: row.authority, until: instant(row.notAfterMs) }, 'first certificate published')
    // Someone else may have been faster after a lease ran out; theirs is as good.
    return (await publications.insert(id, row)) ?? (await publications.find(id))!
  }

  const renew = async (id: string, signal: AbortSignal): Promise<void> => {
    const found = await publications.find(id)
    const isOver = !found || clock.nowMs() >= found.row.terms.endMs || !(await mayRenew(found.row))
    if (isOver || plannedIssueMs(found.row) === undefined) {
      await issuance.forget(id)
      return jobs.finish(renewJob(id))
    }
    const seen = await advice.asked(found, signal)
    const nowMs = clock.nowMs()
    if (nowMs < advice.issueMs(seen)!) return jobs.finish(renewJob(id), advice.nextStepMs(seen))
    const renewed = await publishNext(seen, signal)
    // Not renewed: somebody else wrote meanwhile, so look again, and keep what is under way until then.
    const wantedMs = renewed ? advice.nextStepMs(renewed) : nowMs
    if (renewed) await issuance.forget(id)
    await jobs.finish(renewJob(id), wantedMs && Math.max(wantedMs, nowMs + RENEWALS_APART_MS))
  }

  const publishNext = async (
    seen: Stored<PublicationRow>,
    signal: AbortSignal,
  ): Promise<Stored<PublicationRow> | undefined> => {
    const { row, id } = seen
    const edition = (row.edition ?? 1) + 1
    const { renewal: _renewal, ...kept } = row
    const issued = await issuance.obtain(
      {
        publication: id,
        edition,
        names: row.names,
        csr: row.csr,
        urgency: urgencyOf(row.notAfterMs - clock.nowMs(), row.terms.lifetimeS * 1000),
        ...(row.authority === undefined ? {} : { replaces: { authority: row.authority, leaf: fromPem(row.pem)[0]! } }),
        // After downtime only the latest certificate due is issued (RFC 8739 §3.5 counts on from the start).
        terms: () => ({
          terms: row.terms,
          index: Math.max(latestDue(planOf(row.terms), clock.nowMs()) ?? 0, row.index),
        }),
      },
      signal,
    )
    const next = asPublished(issued, clock.nowMs())
    await byId?.note(next.pem, id)
    const renewed = await publications.replace(seen, { ...kept, edition, ...next })
    if (renewed) {
      await byId?.forget(row.pem)
      log.info({ names: row.names, authority: issued.authority, index: issued.index }, 'next certificate published')
    }
    return renewed
  }

  /** A deactivated account, after a key was lost, must not be served on (RFC 9115 §7.2). */
  const mayRenew = async ({ account, order, canceled }: PublicationRow): Promise<boolean> => {
    if (canceled) return false
    const [owner, ordered] = await Promise.all([
      accounts.find(account),
      order === undefined ? undefined : orders.find(order),
    ])
    const status = ordered?.row.status
    return owner?.row.status === 'valid' && status !== 'canceled' && status !== 'invalid'
  }

  /** Tried until the CA has heard of it, or nobody would believe the certificate anyway. */
  const revoke = async (id: string, signal: AbortSignal): Promise<void> => {
    const found = await publications.find(id)
    if (found) await revokeCertificate(id, undefined, patiently(signal))
    if (found) await rewrite(publications, id, (row) => (row.canceled ? undefined : { ...row, canceled: true }))
    await jobs.finish(REVOKE + id)
  }

  const failed = async (job: string, error: unknown): Promise<void> => {
    if (job === SWEEP || job.startsWith(REVOKE)) {
      log.warn({ job: job.split('/')[0], ...explain(error) }, 'a step failed, and is tried again')
      return jobs.finish(job, clock.nowMs() + (job === SWEEP ? SWEEP_EVERY_MS : REVOKE_RETRY_MS))
    }
    const orderId = orderOfJob(job)
    const id = orderId === undefined ? job.slice(RENEW.length) : publicationId(orderId)
    const nowMs = clock.nowMs()
    const lifeLeftMs = orderId === undefined ? await lifeLeft(id, nowMs) : undefined
    if (error instanceof NotNow)
      return jobs.finish(job, nowMs + waitMs(error.untilMs - nowMs, lifeLeftMs, Math.random()))
    const count = await issuance.countFailure(id)
    log.warn({ job: job.split('/')[0], attempt: count, ...explain(error) }, 'a certificate could not be published yet')
    if (orderId !== undefined && count >= FIRST_ATTEMPTS_MAX) {
      const order = await orders.find(orderId)
      await audit?.record({
        event: 'order-failed',
        by: 'service',
        order: orderId,
        ...(order ? { account: order.row.account, device: order.row.identifiers[0]! } : {}),
        reason: reasonOf(error),
      })
      const detail = 'the certification authorities behind this server did not issue; place a new order later'
      await failOrder(orders, orderId, { type: 'urn:ietf:params:acme:error:serverInternal', detail, status: 500 })
      await issuance.forget(id)
      return jobs.finish(job)
    }
    await jobs.finish(job, nowMs + retryAfterMs(count, lifeLeftMs, Math.random()))
  }
  const lifeLeft = async (id: string, nowMs: number): Promise<number | undefined> => {
    const seen = await publications.find(id)
    return seen && Math.max(0, seen.row.notAfterMs - nowMs)
  }

  const sweep = async (): Promise<void> => {
    const { removed, isRoundOver } = await removeEnded(KEPT_MS)
    if (removed > 0) log.info({ removed }, 'ended orders and publications removed')
    await jobs.finish(SWEEP, clock.nowMs() + (isRoundOver ? SWEEP_EVERY_MS : SWEEP_PAUSE_MS))
  }
  const step = (job: string, signal: AbortSignal): Promise<void> => {
    if (job === SWEEP) return sweep()
    if (job.startsWith(REVOKE)) return revoke(job.slice(REVOKE.length), signal)
    const orderId = orderOfJob(job)
    return orderId === undefined ? renew(job.slice(RENEW.length), signal) : issueFirst(orderId, signal)
  }

  const enqueue = (orderId: string): Promise<void> => jobs.put(issueJob(orderId), clock.nowMs())

  return {
    enqueue,
    removeEnded,
    async resume() {
      await jobs.put(SWEEP, clock.nowMs() + SWEEP_AFTER_START_MS)
      for await (const { id } of allRows(orders, { where: { status: 'processing' }, limit: PAGE })) await enqueue(id)
    },
    async work(job, signal) {
      try {
        await step(job, signal)
      } catch (error) {
        if (signal.aborted) return jobs.finish(job, clock.nowMs())
        if (error instanceof Overtaken) return jobs.finish(job, clock.nowMs() + OVERTAKEN_WAIT_MS)
        await failed(job, error).catch((storeError: unknown) =>
          log.error({ ...explain(storeError), job: job.split('/')[0] }, 'a failure could not be recorded'),
        )
      }
    },
    async cancel(orderId, reason, signal) {
      const id = publicationId(orderId)
      const order = await orders.find(orderId)
      if (!order) return undefined
      const { status, star } = order.row
      if (status === 'ready' || status === 'processing')
        await failOrder(orders, orderId, { ...CANCELED_ORDER }).catch(() => undefined)
      const published = await publications.find(id)
      if (published && !published.row.canceled) await rewrite(publications, id, (row) => ({ ...row, canceled: true }))
      if (status === 'valid' && star) await cancelOrder(orders, orderId)
      await jobs.finish(renewJob(id))
      const forwardedTo = options.forwardTo?.(order.row)
      const patience = patiently(signal)
      if (forwardedTo && (await forwarded.cancel(id, forwardedTo, patience))) return undefined
      await issuance.forget(id)
      if (!published) return undefined
      const { terms, notAfterMs } = published.row
      if (terms.kind === 'single' && (await revokeCertificate(id, reason, patience))) return undefined
      return notAfterMs > clock.nowMs() ? notAfterMs : undefined
    },
    certificates: {
      async read(id) {
        const publication = await publications.find(id)
        if (!publication) return undefined
        const { account, pem, notBeforeMs, notAfterMs, getAllowed, terms } = publication.row
        const isStar = terms.kind === 'star'
        // Two more rows by their ids: whoever lost its key may have deactivated the account, or cancelled the order.
        const isCanceled = isStar && !(await mayRenew(publication.row))
        const isOver = isStar && clock.nowMs() >= terms.endMs
        return {
          account,
          pem,
          notBeforeMs,
          notAfterMs,
          getAllowed,
          nextChangeMs: advice.issueMs(publication) ?? notAfterMs,
          ...(isCanceled ? { ended: 'autoRenewalCanceled' as const } : {}),
          ...(isOver && !isCanceled ? { ended: 'autoRenewalExpired' as const } : {}),
        }
      },
    },
  }
}

const patiently = (signal: AbortSignal): AbortSignal =>
  AbortSignal.any([signal, AbortSignal.timeout(REVOKE_PATIENCE_MS)])
const OVERTAKEN_WAIT_MS = 20_000
const CANCELED_ORDER = {
  type: 'urn:ietf:params:acme:error:unauthorized',
  detail: 'the order was cancelled before its certificate was issued',
  status: 403,
} as const

const ISSUE = 'issue/'
const RENEW = 'renew/'
const SWEEP = 'sweep'
const issueJob = (orderId: string): string => ISSUE + orderId
const renewJob = (publicationId: string): string => RENEW + publicationId
const instant = (ms: number): string => new Date(ms).toISOString()

function orderOfJob(job: string): string | undefined {
  return job.startsWith(ISSUE) ? job.slice(ISSUE.length) : undefined
}

/** The same for every repetition of an order's first step, and as unguessable as the order's own random id. */
function publicationId(orderId: string): string {
  return createHash('sha256').update(`publication of ${orderId}`).digest('base64url').slice(0, 32)
}

function asPublished(
  { chain, authority, terms, index }: Issued,
  publishedMs: number,
): Pick<PublicationRow, 'pem' | 'terms' | 'index' | 'notBeforeMs' | 'notAfterMs' | 'authority' | 'publishedMs'> {
  const { notBeforeMs, notAfterMs } = parseCertificate(chain[0]!)
  return { pem: toPem(chain), terms, index, notBeforeMs, notAfterMs, authority, publishedMs }
}
