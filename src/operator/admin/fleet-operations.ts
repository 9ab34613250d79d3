import { buildDate } from '../../acme/resource.ts'
import type { AuthorityStatus } from '../authority/pool.ts'
import type { AuthorityHealth } from '../watch/authority-health.ts'
import type { FleetCensus, FleetCounts } from '../watch/fleet-census.ts'
import { type IssuanceHistory, STEP_MS } from '../watch/issuance-history.ts'
import { type OperationTable, operation } from './operation.ts'

/** What the running service knows by watching; the CLI beside a stopped one has none of it. */
export interface Watch {
  readonly health: AuthorityHealth
  readonly census: Pick<FleetCensus, 'report'>
  readonly history: Pick<IssuanceHistory, 'steps'>
}

export interface FleetSummary {
  /** Absent: the first count is not complete yet. */
  readonly counts?: FleetCounts
  /** When it was complete (RFC 3339). */
  readonly counted?: string
  /** How many certificates end within so many days, and not within the days before; without `days`: later. */
  readonly ends: readonly { readonly days?: number; readonly count: number }[]
}

/** Times are RFC 3339. */
export type AuthorityHealthSummary = Omit<AuthorityStatus, 'sinceMs' | 'lastError'> & {
  readonly since: string
  readonly lastError?: { readonly at: string; readonly reason: string }
}

const DAY_MS = 86_400_000

export function fleetOperations({ health, census, history }: Watch) {
  return {
    'fleet-show': operation({
      summary: 'how the routers stand, as counted last, and when their certificates end',
      role: 'read',
      input: {},
      run: async () => fleetSummary(census),
    }),
    'authority-health': operation({
      summary: 'how the CAs do, what of their budgets is used, and the latest fail-overs',
      role: 'read',
      input: {},
      run: async () => ({
        authorities: healthSummary(health),
        failOvers: health.failOvers().map(({ atMs, ...change }) => ({ at: date(atMs), ...change })),
      }),
    }),
    'issuance-history': operation({
      summary: 'what this instance has issued in the last two days',
      role: 'read',
      input: {},
      run: async () => ({
        stepSeconds: STEP_MS / 1000,
        steps: history.steps().map(({ startMs, issued, failed }) => ({ start: date(startMs), issued, failed })),
      }),
    }),
  } satisfies OperationTable
}

export function fleetSummary(census: Watch['census']): FleetSummary {
  const report = census.report()
  if (!report) return { ends: [] }
  return {
    counts: report.counts,
    counted: date(report.untilMs),
    ends: report.ends.map(({ withinMs, count }) =>
      withinMs === Number.MAX_SAFE_INTEGER ? { count } : { days: withinMs / DAY_MS, count },
    ),
  }
}

export function healthSummary(health: AuthorityHealth): readonly AuthorityHealthSummary[] {
  return health.status().map(({ sinceMs, lastError, ...status }) => ({
    ...status,
    since: date(sinceMs),
    ...(lastError ? { lastError: { at: date(lastError.atMs), reason: lastError.reason } } : {}),
  }))
}

function date(ms: number): string {
  return buildDate(Math.floor(ms / 1000) * 1000)
}
