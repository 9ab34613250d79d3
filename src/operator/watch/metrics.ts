import { createMetrics, type Metrics, type MetricTable } from '../../core/metrics.ts'
import type { AuthorityHealth } from './authority-health.ts'
import type { FleetCensus } from './fleet-census.ts'

/** Every figure of the service. Counters are those of this instance since its start. */
export const OPERATOR_METRICS = {
  hearth_operator_http_requests_total: {
    type: 'counter',
    help: 'Requests to the ACME API, by endpoint; `certificate` are the publications',
    labels: ['endpoint', 'status'],
  },
  hearth_operator_http_request_seconds: {
    type: 'histogram',
    help: 'Time from a whole request to its answer, by endpoint',
    labels: ['endpoint'],
    buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10],
  },
  hearth_operator_publications_served_total: {
    type: 'counter',
    help: 'Published certificates that were fetched: 200 with the certificate, 304 when the client had it',
    labels: ['status'],
  },
  hearth_operator_nonce_failures_total: {
    type: 'counter',
    help: 'Nonces that were unknown, used or too old',
    labels: [],
  },
  hearth_operator_orders_total: {
    type: 'counter',
    help: 'Orders that reached a status',
    labels: ['status'],
  },
  hearth_operator_issuance_seconds: {
    type: 'histogram',
    help: 'Time an authority took for one certificate, dns-01 included',
    labels: ['authority'],
    buckets: [0.05, 0.2, 1, 5, 15, 30, 60, 120, 240],
  },
  hearth_operator_issuance_failures_total: {
    type: 'counter',
    help: 'Certificates that an authority did not issue, by the name of the fault',
    labels: ['authority', 'code'],
  },
  hearth_operator_authority_state: {
    type: 'gauge',
    help: 'Circuit breaker of an authority: 1 for the state it is in; `open` is passed over',
    labels: ['authority', 'state'],
  },
  hearth_operator_budget_used: {
    type: 'gauge',
    help: 'Orders counted against a budget of an authority',
    labels: ['authority', 'budget'],
  },
  hearth_operator_budget_max: {
    type: 'gauge',
    help: 'Size of that budget',
    labels: ['authority', 'budget'],
  },
  hearth_operator_jobs_taken_total: {
    type: 'counter',
    help: 'Steps of work that this instance has taken up',
    labels: ['kind'],
  },
  hearth_operator_jobs_due: {
    type: 'gauge',
    help: 'Steps of work that are due and that no instance works on, looked up four times a minute; at most 10000',
    labels: [],
  },
  hearth_operator_jobs_oldest_due_seconds: {
    type: 'gauge',
    help: 'For how long the first of them has been due',
    labels: [],
  },
  hearth_operator_devices: {
    type: 'gauge',
    help: 'Registered routers by how they stand, as counted last; `expiring` are part of `valid`',
    labels: ['state'],
  },
  hearth_operator_devices_counted_timestamp_seconds: {
    type: 'gauge',
    help: 'When that count was complete',
    labels: [],
  },
  process_cpu_seconds_total: { type: 'counter', help: 'Processor time', labels: [] },
  process_resident_memory_bytes: { type: 'gauge', help: 'Memory in use', labels: [] },
  process_start_time_seconds: { type: 'gauge', help: 'When the process was started', labels: [] },
  nodejs_heap_used_bytes: { type: 'gauge', help: 'JavaScript heap in use', labels: [] },
} as const satisfies MetricTable

export type OperatorMetrics = Metrics<typeof OPERATOR_METRICS>

/** The table, with the figures that are looked up when they are asked for. Looking costs no question to the store. */
export function operatorMetrics(options: {
  readonly health: Pick<AuthorityHealth, 'status'>
  readonly census: Pick<FleetCensus, 'report'>
  readonly process: Pick<NodeJS.Process, 'cpuUsage' | 'memoryUsage' | 'uptime'>
  readonly nowMs: () => number
}): OperatorMetrics {
  const { health, census, process, nowMs } = options
  const metrics = createMetrics(OPERATOR_METRICS)
  const startS = nowMs() / 1000 - process.uptime()
  metrics.onScrape(() => {
    for (const { id, state: now, budgets } of health.status()) {
      for (const state of ['closed', 'half-open', 'open'])
        metrics.set('hearth_operator_authority_state', { authority: id, state }, state === now ? 1 : 0)
      for (const { name, used, max } of budgets) {
        metrics.set('hearth_operator_budget_used', { authority: id, budget: name }, used)
        metrics.set('hearth_operator_budget_max', { authority: id, budget: name }, max)
      }
    }
    const fleet = census.report()
    for (const [state, count] of Object.entries(fleet?.counts ?? {}))
      metrics.set('hearth_operator_devices', { state }, count)
    if (fleet) metrics.set('hearth_operator_devices_counted_timestamp_seconds', {}, fleet.untilMs / 1000)
    const { user, system } = process.cpuUsage()
    const { rss, heapUsed } = process.memoryUsage()
    metrics.set('process_cpu_seconds_total', {}, (user + system) / 1e6)
    metrics.set('process_resident_memory_bytes', {}, rss)
    metrics.set('process_start_time_seconds', {}, startS)
    metrics.set('nodejs_heap_used_bytes', {}, heapUsed)
  })
  return metrics
}
