import { endpointText } from '../../net/bind.ts'
import type { RenewalResult, RouterStatus } from '../admin/operations.ts'
import type { Advertisement } from '../discovery/advertisement.ts'
import type { UpstreamStatus } from '../forwarding.ts'
import type { IdentityStatus } from '../identity/manager.ts'
import type { LocalStatus } from '../resolve/local.ts'

/** Status as people read it, within 80 columns where the values allow. */

const STATE_WORDS: Record<IdentityStatus['state'], string> = {
  'waiting-for-first': 'waiting for its first certificate; a self-signed one is shown meanwhile',
  serving: 'serving a believed certificate',
  renewing: 'renewing; what was served before is served until it is done',
  expired: 'the last certificate has run out; a self-signed one is shown, nothing is advertised',
}

export function statusText(status: RouterStatus): string {
  const { identity, presence, cache, dnssec } = status
  const asked = cache.hits + cache.misses
  return table([
    ['name', presence.name],
    ['up for', durationText(status.uptimeS * 1000)],
    ...identityRows(identity),
    ['advertised', presence.certificate ? `${presence.name} at ${presence.addresses.join(', ')}` : 'nothing'],
    ...status.listeners.map(({ transport, ...at }): Row => ['listening', `${transport.padEnd(4)} ${endpointText(at)}`]),
    ...status.upstreams.map(
      ({ id, state, lastError }): Row => ['upstream', `${state.padEnd(4)} ${id}${lastError ? ` (${lastError})` : ''}`],
    ),
    [
      'cache',
      `${cache.entries} answers, ${Math.ceil(cache.bytes / 1024)} KiB${asked > 0 ? `, ${Math.round((100 * cache.hits) / asked)} % hits` : ''}`,
    ],
    ...(dnssec
      ? [['dnssec', `${dnssec.secure} proven, ${dnssec.insecure} unsigned, ${dnssec.bogus} refused`] satisfies Row]
      : []),
    ...protectionRows(status),
  ])
}

export function identityText(identity: IdentityStatus): string {
  return table([['name', identity.name], ['solution', identity.solution], ...identityRows(identity)])
}

export function renewalText({ renewed, ...identity }: RenewalResult): string {
  const said = renewed
    ? 'renewed: a new certificate is served'
    : 'nothing newer is published yet; the certificate stays'
  return `${said}\n${identityText(identity)}`
}

export function advertisementText({ name, addresses, svcb, ddr, dnr, withheld }: Advertisement): string {
  const rows: Row[] = [
    ['name', name],
    ['addresses', addresses.join(', ')],
    ...svcb.map((record): Row => ['SVCB', record]),
    ['DDR', ddr ? '_dns.resolver.arpa is answered with these records' : '_dns.resolver.arpa is answered with nothing'],
    ...(dnr.v4 === '' ? [] : [['DHCPv4 162', dnr.v4] satisfies Row]),
    ...dnr.v6.map((hex): Row => ['DHCPv6 144', hex]),
    ...dnr.ra.map((hex): Row => ['RA 144', hex]),
    ...(withheld === undefined ? [] : [['withheld', withheld] satisfies Row]),
  ]
  return table(rows)
}

export function localText({ hosts }: LocalStatus): string {
  if (hosts.length === 0) return 'no hosts are known; `local.hosts` and `local.leases` name files that tell of them'
  return table(hosts.map(({ name, addresses, source }): Row => [name, `${addresses.join(', ')} (${source})`]))
}

/** A line for each upstream; below it what people look for when it does not answer. */
export function upstreamsText(upstreams: readonly UpstreamStatus[]): string {
  const rows = upstreams.map(({ id, state, rttMs, queries, failures, routes }) => [
    id,
    state,
    rttMs === undefined ? '-' : `${rttMs} ms`,
    String(queries),
    String(failures),
    routes.join(', '),
  ])
  const head = ['upstream', 'state', 'time', 'asked', 'failed', 'for']
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]!.length)))
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) =>
        NUMBERS.has(head[column]!) ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!),
      )
      .join('  ')
      .trimEnd()
  return [
    line(head),
    ...upstreams.flatMap(({ designated, lastError }, index) => [
      line(rows[index]!),
      ...(designated === undefined ? [] : [`  asked encrypted, as it said itself: ${designated}`]),
      ...(lastError === undefined ? [] : [`  last error: ${lastError}`]),
    ]),
  ].join('\n')
}
const NUMBERS: ReadonlySet<string> = new Set(['time', 'asked', 'failed'])

type Row = [string, string]

function protectionRows({ protection, block }: Pick<RouterStatus, 'protection' | 'block'>): Row[] {
  const { limited, withheld } = protection
  return [
    ...(block ? [['blocked', `${block.blocked} questions; ${block.names} names on the lists`] satisfies Row] : []),
    ...(block?.lists ?? []).map(
      ({ name, use, names, skippedLines, problem }): Row => [
        'list',
        `${name}: ${names} ${use === 'allow' ? 'allowed' : 'names'}${skippedLines > 0 ? `, ${skippedLines} lines skipped` : ''}${problem ? ` (${problem})` : ''}`,
      ],
    ),
    ...(limited > 0 ? [['limited', `${limited} questions were more than their clients may ask`] satisfies Row] : []),
    ...(withheld > 0 ? [['withheld', `${withheld} answers led into private networks`] satisfies Row] : []),
  ]
}

function identityRows({ state, notAfter, next, renewals, lastError }: IdentityStatus): Row[] {
  return [
    ['identity', STATE_WORDS[state]],
    ...(notAfter === undefined ? [] : [['valid until', timeText(notAfter)] satisfies Row]),
    ...(next.at === undefined ? [] : [['next', `${next.action} at ${timeText(next.at)}`] satisfies Row]),
    ['renewals', `${renewals} since the start`],
    ...(lastError ? [['last error', `${lastError.message} (${timeText(lastError.at)})`] satisfies Row] : []),
    ...(lastError?.hint ? [['hint', lastError.hint] satisfies Row] : []),
  ]
}

function table(rows: readonly Row[]): string {
  const width = Math.max(...rows.map(([head]) => head.length))
  return rows
    .map(([head, value], index) => `${(rows[index - 1]?.[0] === head ? '' : head).padEnd(width)}  ${value}`)
    .join('\n')
}

function timeText(iso: string): string {
  return `${iso.slice(0, 10)} ${iso.slice(11, 19)} UTC`
}

export function durationText(ms: number): string {
  const units = [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['min', 60_000],
    ['s', 1_000],
  ] as const
  const first = units.findIndex(([, size]) => ms >= size)
  if (first < 0) return `${Math.round(ms)} ms`
  const [name, size] = units[first]!
  const next = units[first + 1]
  const rest = next ? Math.floor((ms % size) / next[1]) : 0
  return `${Math.floor(ms / size)} ${name}${rest > 0 ? ` ${rest} ${next![0]}` : ''}`
}
