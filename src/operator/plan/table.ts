import { type Fleet, parallelMax } from './fleet.ts'
import type { Forecast } from './forecast.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

/** The forecast for a person, in at most 80 columns. */
export function forecastTable(fleet: Fleet, days: number, { year, outages, slackMs }: Forecast): string {
  const head = [
    `${count(fleet.devices)} routers, certificates of ${span(fleet.lifetimeMs)}, ${days} days`,
    `${fleet.instances === 1 ? '1 instance' : `${count(fleet.instances)} instances`}, up to ${count(parallelMax(fleet))} issuances at once, ${span(fleet.issuanceMs)} for each`,
    '',
    `orders          ${count(year.orders)}`,
    `per second      ${year.meanPerSecond.toFixed(2)} on average, ${year.peakPerSecond.toFixed(2)} at the peak`,
    `under way       ${year.underWay.mean.toFixed(1)} on average, ${count(year.underWay.peak)} at the peak`,
    `expired         ${count(year.expired)} routers`,
    '',
    row(['authority', 'orders', 'budget', 'at most', 'of', '']),
  ]
  const authorities = year.authorities.flatMap(({ name, orders, peaks }) =>
    peaks.length === 0
      ? [row([name, count(orders), 'none', '', '', ''])]
      : peaks.map((peak, index) =>
          row([
            index === 0 ? name : '',
            index === 0 ? count(orders) : '',
            peak.name.replace('per-registered-domain', 'domain'),
            count(peak.used),
            count(peak.max),
            `${Math.round((100 * peak.used) / peak.max)} %`,
          ]),
        ),
  )
  const fates = outages.map(({ forMs, withBackups, expired, leastLifeLeftMs, peakPerSecond }) =>
    fateRow([
      span(forMs),
      withBackups ? 'yes' : 'no',
      count(expired),
      leastLifeLeftMs > 0 ? span(leastLifeLeftMs) : 'none',
      peakPerSecond.toFixed(2),
    ]),
  )
  const slack =
    slackMs > 0
      ? `Without any backup, an outage of up to ${span(slackMs)} leaves no router with an expired certificate.`
      : 'The first authority alone cannot keep this fleet: raise its budget, run more instances, or make certificates live longer.'
  return [
    ...head,
    ...authorities,
    '',
    fateRow(['outage', 'backup', 'routers expired', 'least life left', 'peak per second']),
    ...fates,
    '',
    ...wrapped(slack),
    ...wrapped(drainOf(fleet)),
  ].join('\n')
}

/** What holds the renewals back after an outage of the first authority, beside what it may be asked for in a longer time. */
function drainOf(fleet: Fleet): string {
  const perMinute = (atOnce: number): number => (atOnce * MINUTE_MS) / fleet.issuanceMs
  const limits = [
    { rate: fleet.ordersPerMinute * fleet.instances, why: ', besides those that cannot wait.' },
    { rate: perMinute(parallelMax(fleet)), why: ': more instances would be faster.' },
    {
      rate: perMinute(fleet.authorities[0]!.limits.concurrent ?? Infinity),
      why: ': the first authority takes no more at once.',
    },
  ]
  const tightest = limits.reduce((least, each) => (each.rate < least.rate ? each : least))
  return `Afterwards the backlog drains at up to ${count(tightest.rate)} renewals a minute${tightest.why}`
}

const row = ([name = '', orders = '', budget = '', used = '', max = '', share = '']: readonly string[]): string =>
  `${name.slice(0, 20).padEnd(20)} ${orders.padStart(13)}  ${budget.padEnd(15)}${used.padStart(10)} ${max.padStart(10)} ${share.padStart(6)}`.trimEnd()

const fateRow = (cells: readonly string[]): string =>
  `${cells[0]!.padEnd(10)}${cells[1]!.padEnd(8)}${cells
    .slice(2)
    .map((cell) => cell.padStart(17))
    .join('')}`

function wrapped(text: string): readonly string[] {
  const lines = ['']
  for (const word of text.split(' ')) {
    const line = lines.at(-1)!
    if (line.length + word.length >= 80) lines.push(word)
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`
  }
  return lines
}

function count(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ',')
}

function span(ms: number): string {
  if (ms >= 2 * DAY_MS) return `${trimmed(ms / DAY_MS)} d`
  if (ms >= HOUR_MS) return `${trimmed(ms / HOUR_MS)} h`
  if (ms >= MINUTE_MS) return `${trimmed(ms / MINUTE_MS)} min`
  return ms >= 1000 ? `${trimmed(ms / 1000)} s` : `${ms} ms`
}

const trimmed = (value: number): string => String(Math.floor(value * 10) / 10)
