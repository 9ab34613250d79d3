import type { Clock } from '../../core/clock.ts'
import { explain, type Log } from '../../core/log.ts'
import type { Jobs } from '../../core/table.ts'
import type { Watch } from '../admin/fleet-operations.ts'
import type { AuthorityPool } from '../authority/pool.ts'
import type { OperatorConfig } from '../config.ts'
import { type FleetCensus, fleetCensus } from './fleet-census.ts'
import { type IssuanceHistory, issuanceHistory } from './issuance-history.ts'
import { type OperatorMetrics, operatorMetrics } from './metrics.ts'

/** Who has less than this part of the shortest lifetime left should have been renewed: that is done by its half. */
const EXPIRING_PART = 1 / 4
const BACKLOG_EVERY_MS = 15_000

/** Everything that looks at the running service from outside of its parts. */
export interface Watching {
  readonly metrics: OperatorMetrics
  readonly health: Watch['health']
  readonly history: IssuanceHistory
  /** What the operations show, over what the fleet is counted by. To be called once, as the next two. */
  over(parts: Pick<Parameters<typeof fleetCensus>[0], 'registry' | 'standing'>): Watch
  pool(pool: AuthorityPool): AuthorityPool
  jobs(jobs: Pick<Jobs, 'backlog'>): void
  /** Counts the fleet and what waits, until the signal says stop. */
  run(signal: AbortSignal): Promise<void>
}

export function createWatching(
  { delegation }: Pick<OperatorConfig, 'delegation'>,
  { clock, log }: { readonly clock: Clock; readonly log: Log },
): Watching {
  let pool: AuthorityPool | undefined
  let jobs: Pick<Jobs, 'backlog'> | undefined
  let census: FleetCensus | undefined
  const health: Watch['health'] = { status: () => pool?.status() ?? [], failOvers: () => pool?.failOvers() ?? [] }
  const history = issuanceHistory(clock)
  const metrics = operatorMetrics({
    health,
    census: { report: () => census?.report() },
    process,
    nowMs: () => clock.nowMs(),
  })
  const countBacklog = async (signal: AbortSignal): Promise<void> => {
    while (!signal.aborted) {
      try {
        const nowMs = clock.nowMs()
        const backlog = await jobs?.backlog(nowMs)
        metrics.set('hearth_operator_jobs_due', {}, backlog?.due ?? 0)
        metrics.set('hearth_operator_jobs_oldest_due_seconds', {}, (nowMs - (backlog?.oldestMs ?? nowMs)) / 1000)
      } catch (error) {
        if (!signal.aborted) log.warn(explain(error), 'the jobs could not be counted')
      }
      await clock.sleep(BACKLOG_EVERY_MS, signal).catch(() => {})
    }
  }
  return {
    metrics,
    health,
    history,
    over({ registry, standing }) {
      const expiringMs = delegation.minLifetimeMs * EXPIRING_PART
      census = fleetCensus({ registry, standing, expiringMs, clock, log })
      return { health, history, census }
    },
    pool: (given) => (pool = given),
    jobs: (given) => void (jobs = given),
    async run(signal) {
      await Promise.all([census?.run(signal), countBacklog(signal)])
    },
  }
}
