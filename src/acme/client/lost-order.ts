import type { Clock } from '../../core/clock.ts'
import { Fault } from '../../core/fault.ts'
import { explain, type Log } from '../../core/log.ts'
import { AcmeProblem } from '../problem.ts'
import { type AutoRenewal, type Order, type OrderRequest, parseDateMs } from '../resource.ts'
import type { AcmeClient, PlacedOrder } from './plumbing.ts'
import { readOrderList } from './reading.ts'
import { TOO_MANY_REQUESTS } from './refusal.ts'

export interface LostOrder {
  readonly client: Pick<AcmeClient, 'postAsGet' | 'order'>
  /** URL of the account's list of orders. Some authorities have none. */
  readonly list: string | undefined
  readonly asked: OrderRequest
  /** When it was about to be placed. */
  readonly placingSinceMs: number
  /** False: another try of ours goes on with it. Without this there are no others. */
  readonly isFree?: ((url: string) => Promise<boolean>) | undefined
  /** Writes down that it is ours; without URL, that none is. */
  readonly placed?: ((url?: string) => Promise<void>) | undefined
  readonly clock: Clock
  readonly log?: Log | undefined
  readonly signal: AbortSignal
}

/** A thousand pages of three, as a test CA has them; with pages of a hundred, more than a rate limit allows in a week. */
const ORDER_PAGES_MAX = 1_000
const ORDER_URLS_MAX = 100_000
/** Each costs a signed request. */
const ORDERS_LOOKED_AT_MAX = 1_000
/** A third of the time that an order has: the rest is for going on with it, or with another one. */
const SEARCH_MS_MAX = 80_000
/** As long as an authority fails at single orders they may include ours; one that always does must not hold us up. */
const DOUBT_MS_MAX = 3_600_000

/**
 * The order that an earlier try placed without living to write its URL down, found again in the authority's list (RFC 8555
 * §7.1.2.1), so that it is not placed twice: one that shows what was asked for, waits for its CSR (which is sent only when
 * the URL has been written down), and is held by no other try of ours.
 *
 * Undefined: there is none, or the list is longer than can be read through. Then another order is placed, with a warning:
 * the list will be no shorter next time, so waiting would mean no certificate ever, while a lost order issues nothing by
 * itself and runs out within days. Throws what the authority threw when it is out, or fails at orders that may be ours.
 */
export async function findLostOrder(search: LostOrder): Promise<PlacedOrder | undefined> {
  const { client, asked, placingSinceMs, clock, log, signal } = search
  const { isFree = async () => true, placed = async () => {} } = search
  const endMs = clock.monotonicMs() + SEARCH_MS_MAX
  let doubt: unknown
  const passOver = (error: unknown): undefined => {
    signal.throwIfAborted()
    if (!isOfOneThing(error)) throw error
    if (error instanceof AcmeProblem && error.status >= 500) doubt = error
  }

  const { urls, isWhole } = await readList(search, endMs, passOver)
  let looked = 0
  for (const url of fromBothEnds(urls)) {
    if (looked === ORDERS_LOOKED_AT_MAX || clock.monotonicMs() >= endMs) break
    looked++
    const found = await client.order(url, signal).catch(passOver)
    if (!found || !isWaiting(found.order, clock.nowMs()) || !isAsked(found.order, asked)) continue
    if (!(await isFree(url))) continue
    await placed(url)
    // Two who look at the same time both write it down; whoever sees the other lets go.
    if (await isFree(url)) return found
    await placed()
  }
  if (doubt !== undefined && clock.nowMs() - placingSinceMs < DOUBT_MS_MAX) throw doubt
  if (!isWhole || looked < urls.length || doubt !== undefined)
    log?.warn(
      { looked, listed: urls.length, ...(doubt === undefined ? {} : explain(doubt)) },
      'an order may have been lost: the list of orders could not be read through, so another one is placed',
    )
  return undefined
}

/** The URLs alone, which is cheap: a page at a time. What cannot be read is the end of the list. */
async function readList(
  { client, list, clock, signal }: LostOrder,
  endMs: number,
  passOver: (error: unknown) => undefined,
): Promise<{ readonly urls: readonly string[]; readonly isWhole: boolean }> {
  const urls = new Set<string>()
  let page = list
  for (let pages = 0; page !== undefined && pages < ORDER_PAGES_MAX; pages++) {
    if (urls.size >= ORDER_URLS_MAX || clock.monotonicMs() >= endMs) break
    const known = urls.size
    const read = await client
      .postAsGet(page, signal)
      .then(({ content, links }) => ({ listed: readOrderList(content), next: links('next')[0] }))
      .catch(passOver)
    for (const url of read?.listed ?? []) urls.add(url)
    // A page without anything new: the list goes round in a circle.
    page = urls.size > known ? read?.next : undefined
  }
  return { urls: [...urls], isWhole: page === undefined }
}

/** Authorities append, as a rule; some put the newest first, and no RFC says. */
function* fromBothEnds(urls: readonly string[]): Generator<string> {
  for (let [first, last] = [0, urls.length - 1]; first <= last; first++, last--) {
    yield urls[last]!
    if (first < last) yield urls[first]!
  }
}

/** Problems that are none of one order or page: the authority wants something of us first. */
const OF_US = ['accountDoesNotExist', 'badNonce', 'rateLimited', 'userActionRequired']

/** It is gone, is not for us to read, or is no order; the others may be well. */
function isOfOneThing(error: unknown): boolean {
  if (error instanceof AcmeProblem) return error.status !== TOO_MANY_REQUESTS && !OF_US.includes(error.type)
  return error instanceof Fault && error.code === 'ACME_PROTOCOL' && error.facts['status'] !== TOO_MANY_REQUESTS
}

function isWaiting({ status, expires }: Order, nowMs: number): boolean {
  return (status === 'pending' || status === 'ready') && (parseDateMs(expires) ?? Infinity) > nowMs
}

/**
 * Whether the order shows nothing else than was asked for. Authorities leave members out, and fill in those that nobody asked
 * for: a profile, dates. A STAR authority may change the terms (RFC 8739 §3.1.1); there the order is not known again.
 */
function isAsked(order: Order, asked: OrderRequest): boolean {
  const { profile = asked.profile, replaces = asked.replaces, delegation = asked.delegation } = order
  return (
    namesOf(order) === namesOf(asked) &&
    (asked.profile === undefined || profile === asked.profile) &&
    replaces === asked.replaces &&
    delegation === asked.delegation &&
    isSameMoment(order.notAfter, asked.notAfter) &&
    isSameRenewal(order['auto-renewal'], asked['auto-renewal'])
  )
}

function namesOf({ identifiers }: Pick<Order, 'identifiers'>): string {
  return identifiers
    .map(({ type, value }) => `${type}:${value.toLowerCase()}`)
    .toSorted()
    .join(' ')
}

/** To the second: certificates have no fractions of one (RFC 5280 §4.1.2.5). */
function isSameMoment(shown: string | undefined, asked: string | undefined): boolean {
  const [shownMs, askedMs] = [parseDateMs(shown), parseDateMs(asked)]
  if (shownMs === undefined || askedMs === undefined) return true
  return Math.floor(shownMs / 1000) === Math.floor(askedMs / 1000)
}

function isSameRenewal(shown: AutoRenewal | undefined, asked: AutoRenewal | undefined): boolean {
  if (!shown || !asked) return shown === asked
  return (
    isSameMoment(shown['end-date'], asked['end-date']) &&
    shown.lifetime === asked.lifetime &&
    (shown['lifetime-adjust'] ?? 0) === (asked['lifetime-adjust'] ?? 0)
  )
}
