import { ENDPOINT_NAMES, ENDPOINTS } from '../../acme/server/endpoints.ts'
import type { Nonces } from '../../acme/server/nonces.ts'
import type { Clock } from '../../core/clock.ts'
import { Fault } from '../../core/fault.ts'
import type { Jobs, Table } from '../../core/table.ts'
import type { Authority } from '../authority/authority.ts'
import type { IssuanceHistory } from './issuance-history.ts'
import type { OperatorMetrics } from './metrics.ts'

/** Parts of the service with a meter around them: what they do stays the same, and none of them knows of it. */

export function measuredAuthority(
  authority: Authority,
  { metrics, history }: { readonly metrics: OperatorMetrics; readonly history: Pick<IssuanceHistory, 'count'> },
  clock: Clock,
): Authority {
  const { id } = authority
  return {
    ...authority,
    async issue(wish, attempt) {
      const startMs = clock.monotonicMs()
      try {
        const chain = await authority.issue(wish, attempt)
        metrics.observe('hearth_operator_issuance_seconds', { authority: id }, (clock.monotonicMs() - startMs) / 1000)
        history.count('issued')
        return chain
      } catch (error) {
        // Stopped from above: says nothing about the authority.
        if (!attempt.signal.aborted) {
          const code = error instanceof Fault ? error.code : 'bug'
          metrics.add('hearth_operator_issuance_failures_total', { authority: id, code })
          history.count('failed')
        }
        throw error
      }
    },
  }
}

/** Counts the rows that come to a status they did not have. */
export function measuredOrders<T extends { readonly status: string }>(
  orders: Table<T>,
  metrics: OperatorMetrics,
): Table<T> {
  const reached = ({ status }: T): void => metrics.add('hearth_operator_orders_total', { status })
  return {
    ...orders,
    async insert(id, row) {
      const stored = await orders.insert(id, row)
      if (stored) reached(row)
      return stored
    },
    async replace(seen, next) {
      const stored = await orders.replace(seen, next)
      if (stored && next.status !== seen.row.status) reached(next)
      return stored
    },
  }
}

export function measuredNonces(nonces: Nonces, metrics: OperatorMetrics): Nonces {
  return {
    ...nonces,
    async consume(nonce) {
      const isGood = await nonces.consume(nonce)
      if (!isGood) metrics.add('hearth_operator_nonce_failures_total')
      return isGood
    },
  }
}

/** Jobs are named `KIND/ID`. */
export function measuredJobs(jobs: Jobs, metrics: OperatorMetrics): Jobs {
  return {
    ...jobs,
    async take(nowMs, leaseMs, limit) {
      const taken = await jobs.take(nowMs, leaseMs, limit)
      for (const job of taken) metrics.add('hearth_operator_jobs_taken_total', { kind: job.split('/', 1)[0]! })
      return taken
    },
  }
}

export function measuredRequests<Q extends { readonly path: string }, R extends { readonly status: number }>(
  handle: (request: Q) => Promise<R>,
  metrics: OperatorMetrics,
  clock: Clock,
): (request: Q) => Promise<R> {
  return async (request) => {
    const startMs = clock.monotonicMs()
    const response = await handle(request)
    const endpoint = endpointOf(request.path)
    const { status } = response
    metrics.add('hearth_operator_http_requests_total', { endpoint, status })
    metrics.observe('hearth_operator_http_request_seconds', { endpoint }, (clock.monotonicMs() - startMs) / 1000)
    if (endpoint === 'certificate' && (status === 200 || status === 304))
      metrics.add('hearth_operator_publications_served_total', { status })
    return response
  }
}

/** By the end of the path, because a base URL may have a path of its own. */
const PATTERNS = ENDPOINT_NAMES.map((name) => ({
  name,
  pattern: new RegExp(`${ENDPOINTS[name].path.replace(/:\w+/g, '[^/]+')}$`),
}))

function endpointOf(path: string): string {
  return PATTERNS.find(({ pattern }) => pattern.test(path))?.name ?? 'other'
}
