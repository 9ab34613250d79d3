import { describe, expect, it } from 'vitest'
import { createMetrics } from '../../src/core/metrics.ts'

const TABLE = {
  served_total: { type: 'counter', help: 'Served', labels: ['status'] },
  level: { type: 'gauge', help: 'Level', labels: [] },
  took_seconds: { type: 'histogram', help: 'Took', labels: ['who'], buckets: [0.1, 1] },
} as const

describe('metrics', () => {
  it('are shown as Prometheus reads them', () => {
    const metrics = createMetrics(TABLE)
    metrics.add('served_total', { status: 200 })
    metrics.add('served_total', { status: 200 }, 2)
    metrics.set('level', {}, 7)
    for (const seconds of [0.05, 0.1, 0.5, 9]) metrics.observe('took_seconds', { who: 'ca' }, seconds)
    expect(metrics.text()).toBe(`# HELP served_total Served
# TYPE served_total counter
served_total{status="200"} 3
# HELP level Level
# TYPE level gauge
level 7
# HELP took_seconds Took
# TYPE took_seconds histogram
took_seconds_bucket{who="ca",le="0.1"} 2
took_seconds_bucket{who="ca",le="1"} 3
took_seconds_bucket{who="ca",le="+Inf"} 4
took_seconds_sum{who="ca"} 9.65
took_seconds_count{who="ca"} 4
`)
  })

  it('look up what is wanted at each scrape only', () => {
    const metrics = createMetrics(TABLE)
    let looks = 0
    metrics.onScrape(() => metrics.set('level', {}, ++looks))
    metrics.text()
    expect(metrics.text()).toContain('level 2')
  })

  it('escape what stands in a label', () => {
    const metrics = createMetrics(TABLE)
    metrics.add('served_total', { status: 'a"b\\c\nd' })
    expect(metrics.text()).toContain('served_total{status="a\\"b\\\\c\\nd"} 1')
  })

  it('do not grow without end: what comes after the bound is counted together', () => {
    const metrics = createMetrics(TABLE)
    for (let status = 0; status < 1500; status++) metrics.add('served_total', { status })
    const lines = metrics.text().match(/^served_total\{.*$/gm)!
    expect(lines.length).toBe(1001)
    expect(lines.at(-1)).toBe('served_total{status="other"} 500')
  })
})
