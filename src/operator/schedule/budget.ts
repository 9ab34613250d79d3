import { type CountRow, SlidingCount } from './sliding-count.ts'

/** What one CA may be asked for. Undefined: without limit. */
export interface BudgetLimits {
  readonly ordersPer3h?: number
  readonly perDomainPerWeek?: number
  readonly concurrent?: number
  /** Orders that name what they replace (RFC 9773 §5) do not count, as some CAs promise. */
  readonly replacesExempt?: boolean
}

export interface BudgetUse {
  readonly name: string
  readonly used: number
  readonly max: number
  /** Absent for what counts at this moment only. */
  readonly windowMs?: number
}

export interface BudgetRequest {
  /** Registered domain of the names. */
  readonly domain: string
  /** From 0 up to 1: how much of the share that is kept for those who cannot wait it may use. */
  readonly urgency: number
  /** False: the order is there already, or the CA does not count it. */
  readonly counts: boolean
}

/** What a budget has counted so far, as it is kept in a row. */
export interface BudgetRow {
  readonly orders?: CountRow
  readonly domains?: Readonly<Record<string, CountRow>>
  /** Who has an order under way, and when that is certainly over. */
  readonly holds?: Readonly<Record<string, number>>
}

export const ORDERS_WINDOW_MS = 3 * 3_600_000
export const DOMAIN_WINDOW_MS = 7 * 86_400_000
/** An operator has one zone, or a few. */
const DOMAINS_MAX = 64

/** One authority's budget, counted up. Without a clock of its own: the service keeps it in a row, the simulation in memory. */
export class BudgetCount {
  readonly #limits: BudgetLimits
  readonly #urgentShare: number
  readonly #orders: SlidingCount
  readonly #domains: Map<string, SlidingCount>
  readonly #holds: Map<string, number>
  /** No hold ends before. */
  #holdsEndMs = 0

  /** `urgentShare`: from 0 up to 1, what renewals that can wait leave to the others. */
  constructor(limits: BudgetLimits, urgentShare: number, row: BudgetRow = {}) {
    this.#limits = limits
    this.#urgentShare = urgentShare
    this.#orders = new SlidingCount(ORDERS_WINDOW_MS, row.orders)
    this.#domains = new Map(
      Object.entries(row.domains ?? {}).map(([domain, count]) => [domain, new SlidingCount(DOMAIN_WINDOW_MS, count)]),
    )
    this.#holds = new Map(Object.entries(row.holds ?? {}))
  }

  /** Undefined: there is room. Otherwise when it is worth asking again. */
  fullUntilMs(nowMs: number, request: BudgetRequest): number | undefined {
    const { ordersPer3h, perDomainPerWeek, concurrent } = this.#limits
    if (concurrent !== undefined && this.#holds.size >= concurrent) {
      this.#forgetHolds(nowMs)
      if (this.#holds.size >= this.#share(concurrent, request)) return nowMs + CONCURRENT_WAIT_MS
    }
    if (!request.counts) return undefined
    if (ordersPer3h !== undefined && this.#orders.used(nowMs) >= this.#share(ordersPer3h, request))
      return Math.max(this.#orders.nextFreeMs(nowMs), nowMs + 1)
    const domain = perDomainPerWeek === undefined ? undefined : this.#domains.get(request.domain)
    if (domain && domain.used(nowMs) >= this.#share(perDomainPerWeek!, request))
      return Math.max(domain.nextFreeMs(nowMs), nowMs + 1)
    return undefined
  }

  holds(holder: string, nowMs: number): boolean {
    return (this.#holds.get(holder) ?? 0) > nowMs
  }

  /** `holder`: who counts as concurrent until `holdUntilMs`, or until `release`. */
  take(nowMs: number, request: BudgetRequest, holder?: string, holdUntilMs = 0): void {
    if (holder !== undefined) {
      this.#holds.set(holder, holdUntilMs)
      this.#holdsEndMs = Math.min(this.#holdsEndMs, holdUntilMs)
    }
    if (!request.counts) return
    if (this.#limits.ordersPer3h !== undefined) this.#orders.add(nowMs)
    if (this.#limits.perDomainPerWeek !== undefined) this.#domainCount(request.domain, nowMs).add(nowMs)
  }

  release(holder: string): void {
    this.#holds.delete(holder)
  }

  use(nowMs: number): readonly BudgetUse[] {
    const { ordersPer3h, perDomainPerWeek, concurrent } = this.#limits
    this.#forgetHolds(nowMs)
    const uses: BudgetUse[] = []
    if (ordersPer3h !== undefined)
      uses.push({
        name: 'orders-per-3h',
        used: this.#orders.used(nowMs),
        max: ordersPer3h,
        windowMs: ORDERS_WINDOW_MS,
      })
    if (perDomainPerWeek !== undefined) {
      const used = Math.max(0, ...[...this.#domains.values()].map((count) => count.used(nowMs)))
      uses.push({ name: 'per-registered-domain-per-week', used, max: perDomainPerWeek, windowMs: DOMAIN_WINDOW_MS })
    }
    if (concurrent !== undefined) uses.push({ name: 'concurrent', used: this.#holds.size, max: concurrent })
    return uses
  }

  toRow(nowMs: number): BudgetRow {
    this.#forgetHolds(nowMs)
    return {
      orders: this.#orders.toRow(),
      domains: Object.fromEntries([...this.#domains].map(([domain, count]) => [domain, count.toRow()])),
      holds: Object.fromEntries(this.#holds),
    }
  }

  /** Whoever is more urgent finds room where the others find none: a budget that is nearly full sorts those who wait. */
  #share(max: number, { urgency }: BudgetRequest): number {
    return max - Math.floor(max * this.#urgentShare * (1 - urgency))
  }

  #domainCount(domain: string, nowMs: number): SlidingCount {
    let count = this.#domains.get(domain)
    if (count) return count
    if (this.#domains.size >= DOMAINS_MAX)
      for (const [name, each] of this.#domains) if (each.used(nowMs) === 0) this.#domains.delete(name)
    count = new SlidingCount(DOMAIN_WINDOW_MS)
    this.#domains.set(domain, count)
    return count
  }

  #forgetHolds(nowMs: number): void {
    if (nowMs < this.#holdsEndMs) return
    this.#holdsEndMs = Infinity
    for (const [holder, untilMs] of this.#holds)
      if (untilMs <= nowMs) this.#holds.delete(holder)
      else this.#holdsEndMs = Math.min(this.#holdsEndMs, untilMs)
  }
}
const CONCURRENT_WAIT_MS = 2_000

/**
 * What CAs count names under. Without the public suffix list the last two labels: names of a longer suffix are then
 * counted together, which is never too little.
 */
export function registeredDomain(name: string): string {
  return name.split('.').slice(-2).join('.')
}
