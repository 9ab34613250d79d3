import { createHash } from 'node:crypto'
import type { PublishedCertificate } from '../acme/server/options.ts'
import { completeOrder, failOrder } from '../acme/server/order-state.ts'
import type { AccountRow, OrderRow } from '../acme/server/rows.ts'
import { latestDue, publishAtMs, type StarPlan, starPlan, window } from '../acme/star.ts'
import { fromBase64url } from '../core/bytes.ts'
import type { Clock } from '../core/clock.ts'
import { reasonOf } from '../core/fault.ts'
import { explain, type Log } from '../core/log.ts'
import type { Jobs, Stored, Table } from '../core/table.ts'
import { parseCertificate, toPem } from '../pki/certificate.ts'
import type { Authority } from './authority/authority.ts'

/** One rolling certificate at one URL. The CSR is kept, because every renewal is for the same key (RFC 8739 §2). */
export interface PublicationRow {
  readonly account: string
  readonly names: readonly string[]
  /** DER, base64url. */
  readonly csr: string
  readonly getAllowed: boolean
  readonly terms: PublicationTerms
  /** Index of the certificate below in its plan (RFC 8739 §3.5). */
  readonly index: number
  readonly pem: string
  readonly notBeforeMs: number
  readonly notAfterMs: number
}

/** Start is stored once: computed again from a certificate it would drift. `single` is an order without auto-renewal. */
export interface PublicationTerms {
  readonly kind: 'star' | 'single'
  readonly startMs: number
  readonly endMs: number
  readonly lifetimeS: number
  readonly lifetimeAdjustS: number
}

/** Tries for a first certificate before the order fails; the client then places a new one. */
const FIRST_ATTEMPTS_MAX = 5
/** However short a CA makes its certificates. */
const RENEWALS_APART_MS = 1_000
const RETRY_MS_MIN = 2_000
const RETRY_MS_MAX = 600_000
/** A router whose clock is a little slow must not refuse its first certificate; no start-date forbids it (RFC 8739 §3.5). */
const BACKDATED_MS = 60_000
const ATTEMPTS_KEPT_MAX = 100_000
/** Orders read at a time when resuming. */
const PAGE = 500

export interface Publisher {
  /** To be called when an order has reached `processing`, any number of times. */
  enqueue(orderId: string): Promise<void>
  /** Enqueues every order that a crash, or a store that was away, left at `processing`. */
  resume(): Promise<void>
  /** One due step of one job, as handed out by the job table. */
  work(job: string, signal: AbortSignal): Promise<void>
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
  readonly jobs: Jobs
  readonly authority: Authority
  /** Lifetime of certificates of orders without auto-renewal, where the authority lets us choose. */
  readonly singleLifetimeS: number
  readonly clock: Clock
  readonly log: Log
}): Publisher {
  const { accounts, orders, publications, jobs, authority, clock, log } = options
  /** Failures in a row per job, to space the tries. Lost at restart, which only means an earlier try. */
  const failures = new Map<string, number>()

  const obtain = async (
    row: Pick<PublicationRow, 'names' | 'csr' | 'terms'>,
    index: number,
    signal: AbortSignal,
  ): Promise<Pick<PublicationRow, 'pem' | 'index' | 'notBeforeMs' | 'notAfterMs'>> => {
    const dates = window(planOf(row.terms), index)
    const wish = { names: row.names, csr: fromBase64url(row.csr)!, ...dates }
    const chain = await authority.issue(wish, { signal, placed: async () => {} })
    const { notBeforeMs, notAfterMs } = parseCertificate(chain[0]!)
    return { pem: toPem(chain), index, notBeforeMs, notAfterMs }
  }

  const issueFirst = async (orderId: string, signal: AbortSignal): Promise<void> => {
    const order = await orders.find(orderId)
    if (order?.row.status !== 'processing') return jobs.finish(issueJob(orderId))
    const id = publicationId(orderId)
    const published = (await publications.find(id)) ?? (await publishFirst(id, order, signal))
    // First the renewals, then the order: whatever happens in between, no valid order is left without them.
    const nextMs = nextIssueMs(published.row)
    if (nextMs !== undefined) await jobs.put(renewJob(id), nextMs)
    await completeOrder(orders, orderId, id)
    await jobs.finish(issueJob(orderId))
  }

  const publishFirst = async (
    id: string,
    order: Stored<OrderRow>,
    signal: AbortSignal,
  ): Promise<Stored<PublicationRow>> => {
    const { account, identifiers, csr, allowCertificateGet } = order.row
    const fixed = {
      account,
      names: identifiers,
      csr: csr!,
      getAllowed: allowCertificateGet,
      terms: termsOf(order.row, clock.nowMs(), options.singleLifetimeS),
    }
    const row: PublicationRow = { ...fixed, ...(await obtain(fixed, 0, signal)) }
    log.info({ names: row.names, until: new Date(row.notAfterMs).toISOString() }, 'first certificate published')
    // Someone else may have been faster after a lease ran out; theirs is as good.
    return (await publications.insert(id, row)) ?? (await publications.find(id))!
  }

  const renew = async (id: string, signal: AbortSignal): Promise<void> => {
    const seen = await publications.find(id)
    const nowMs = clock.nowMs()
    const nextMs = seen && nowMs < seen.row.terms.endMs ? nextIssueMs(seen.row) : undefined
    if (!seen || nextMs === undefined || !(await mayRenew(seen.row))) return jobs.finish(renewJob(id))
    if (nowMs < nextMs) return jobs.finish(renewJob(id), nextMs)
    // After downtime only the latest certificate due is issued (RFC 8739 §3.5 counts on from the start).
    const due = Math.max(latestDue(planOf(seen.row.terms), nowMs) ?? 0, seen.row.index)
    const renewed = await publications.replace(seen, { ...seen.row, ...(await obtain(seen.row, due, signal)) })
    if (renewed) log.info({ names: seen.row.names, index: due }, 'next certificate published')
    // Not renewed: another worker published meanwhile, so look again.
    const wantedMs = renewed ? nextIssueMs(renewed.row) : nowMs
    await jobs.finish(renewJob(id), wantedMs && Math.max(wantedMs, nowMs + RENEWALS_APART_MS))
  }

  /** A deactivated account, after a key was lost, must not be served on (RFC 9115 §7.2). */
  const mayRenew = async ({ account }: PublicationRow): Promise<boolean> =>
    (await accounts.find(account))?.row.status === 'valid'

  const failed = async (job: string, error: unknown): Promise<void> => {
    const count = (failures.get(job) ?? 0) + 1
    const orderId = orderOfJob(job)
    log.warn({ job: job.split('/')[0], attempt: count, ...explain(error) }, 'a certificate could not be published yet')
    if (orderId !== undefined && count >= FIRST_ATTEMPTS_MAX) {
      failures.delete(job)
      const detail = 'the certification authorities behind this server did not issue; place a new order later'
      await failOrder(orders, orderId, { type: 'urn:ietf:params:acme:error:serverInternal', detail, status: 500 })
      return jobs.finish(job)
    }
    if (failures.size >= ATTEMPTS_KEPT_MAX) failures.clear()
    failures.set(job, count)
    const delayMs = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** Math.min(count - 1, 16))
    await jobs.finish(job, clock.nowMs() + delayMs * (0.5 + Math.random() / 2))
  }

  const enqueue = (orderId: string): Promise<void> => jobs.put(issueJob(orderId), clock.nowMs())

  return {
    enqueue,
    async resume() {
      let after: string | undefined
      for (;;) {
        const where = { status: 'processing' }
        const page = await orders.list({ where, limit: PAGE, ...(after === undefined ? {} : { after }) })
        for (const { id } of page) await enqueue(id)
        if (page.length < PAGE) return
        after = page.at(-1)!.id
      }
    },
    async work(job, signal) {
      const orderId = orderOfJob(job)
      try {
        await (orderId === undefined ? renew(job.slice(RENEW.length), signal) : issueFirst(orderId, signal))
        failures.delete(job)
      } catch (error) {
        if (signal.aborted) return jobs.finish(job, clock.nowMs())
        await failed(job, error).catch((storeError: unknown) =>
          log.error({ ...explain(storeError), reason: reasonOf(error) }, 'a failure could not be recorded'),
        )
      }
    },
    certificates: {
      async read(id) {
        const publication = await publications.find(id)
        if (!publication) return undefined
        const { account, pem, notBeforeMs, notAfterMs, getAllowed, terms } = publication.row
        const over = terms.kind === 'star' && clock.nowMs() >= terms.endMs
        return {
          account,
          pem,
          notBeforeMs,
          notAfterMs,
          getAllowed,
          nextChangeMs: nextIssueMs(publication.row) ?? notAfterMs,
          ...(over ? { ended: 'autoRenewalExpired' as const } : {}),
        }
      },
    },
  }
}

const ISSUE = 'issue/'
const RENEW = 'renew/'
const issueJob = (orderId: string): string => ISSUE + orderId
const renewJob = (publicationId: string): string => RENEW + publicationId

function orderOfJob(job: string): string | undefined {
  return job.startsWith(ISSUE) ? job.slice(ISSUE.length) : undefined
}

/** The same for every repetition of an order's first step, and as unguessable as the order's own random id. */
function publicationId(orderId: string): string {
  return createHash('sha256').update(`publication of ${orderId}`).digest('base64url').slice(0, 32)
}

function planOf(terms: PublicationTerms): StarPlan {
  return starPlan(terms)
}

function termsOf(order: OrderRow, nowMs: number, singleLifetimeS: number): PublicationTerms {
  // Whole seconds: certificates have no finer dates.
  const issuedMs = Math.floor(nowMs / 1000) * 1000
  const { autoRenewal } = order
  if (autoRenewal) {
    const backMs = Math.min(BACKDATED_MS, Math.floor(autoRenewal.lifetimeS / 4) * 1000)
    const startMs = autoRenewal.startMs === undefined ? issuedMs - backMs : Math.max(autoRenewal.startMs, issuedMs)
    return { kind: 'star', ...autoRenewal, startMs }
  }
  return {
    kind: 'single',
    startMs: issuedMs,
    endMs: issuedMs + singleLifetimeS * 1000,
    lifetimeS: singleLifetimeS,
    lifetimeAdjustS: 0,
  }
}

/**
 * When this publication wants a new certificate; undefined when it has its last one. By its plan, or sooner when the CA
 * made the certificate shorter than planned: then after two thirds of its real life.
 */
function nextIssueMs({ terms, index, notBeforeMs, notAfterMs }: PublicationRow): number | undefined {
  if (terms.kind === 'single') return undefined
  const plan = planOf(terms)
  const plannedMs = index + 1 < plan.count ? publishAtMs(plan, index + 1) : undefined
  if (notAfterMs >= window(plan, index).notAfterMs) return plannedMs
  return Math.min(notBeforeMs + ((notAfterMs - notBeforeMs) * 2) / 3, plannedMs ?? Number.POSITIVE_INFINITY)
}
