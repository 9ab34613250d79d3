import { dirname } from 'node:path'
import type { OrderLimits } from '../acme/server/options.ts'
import { Fault } from '../core/fault.ts'
import { choice, domainName, duration, filePath, flag, hostPort, httpsUrl, integer, text } from '../core/fields.ts'
import { LOG_LEVELS, type LogLevel } from '../core/log.ts'
import {
  checked,
  field,
  list,
  type Override,
  optional,
  parseSettings,
  type SettingsOf,
  section,
} from '../core/settings.ts'
import { refuse, shown } from '../core/units.ts'
import { isUnder } from '../dns/name.ts'
import { TSIG_ALGORITHMS, type TsigAlgorithm, type TsigKey } from '../dns/tsig.ts'
import type { Endpoint } from '../net/bind.ts'
import { STORE_KEY_BYTES } from '../store/secrets.ts'
import { pathResolver, readPem, readPrivateKey, readSecret, readSettingsFile } from '../store/settings-file.ts'
import { DELEGATED_KEY_TYPES, type DelegatedKeyType } from './delegation/template.ts'
import { ROLES, type Role } from './roles.ts'
import type { BudgetLimits } from './schedule/budget.ts'

/** The settings of the operator service: the only code that knows key names. The reference page is made from this table. */
const AUTHORITIES_MAX = 8
const BUDGET_MAX = 100_000_000
/** Above it no client gets through. */
const REJECTED_SHARE_MAX = 0.9
const ADMIN_HOSTS_MAX = 32
const ADMIN_HOST = { pattern: /^[a-z0-9.-]+$|^[0-9a-f:]+$/, expected: 'a lower-case name or an address', max: 253 }
const ADMIN_ROLES = ['read', 'operate'] as const
const DNS_SERVER_ADDRESSES_MAX = 8
/** A zone has thirteen name servers at most in practice. */
const CHECK_SERVERS_MAX = 16
const TSIG_NAMES = Object.keys(TSIG_ALGORITHMS) as TsigAlgorithm[]

const authority = checked(
  section('one CA', {
    name: text('short name for logs and files', {
      pattern: /^[a-z0-9-]+$/,
      expected: 'lower-case letters, digits and hyphens',
      max: 32,
    }),
    kind: choice(
      'acme: any RFC 8555 CA; star: a CA that renews by itself (RFC 8739); delegation: another delegation server (RFC 9115 §2.4); internal: an issuing CA of our own',
      ['acme', 'star', 'delegation', 'internal'],
    ),
    directory: optional(httpsUrl('its directory; internal has none')),
    trust: optional(filePath('PEM roots for its HTTPS, instead of the system store')),
    eab: optional(
      section('external account binding, when the CA wants one', {
        kid: text('key identifier'),
        'key-file': filePath('file with the key, base64url'),
      }),
    ),
    profile: optional(
      text('certificate profile to order', { pattern: /^[\w-]+$/, expected: 'a profile name', max: 64 }),
    ),
    'preferred-chain': optional(
      text('common name of the root that chains should lead to, where the CA offers several'),
    ),
    'request-dates': flag('order with an end date; for CAs that allow it', { default: false }),
    budget: optional(
      section('how much this CA lets us order; more goes to the next one, or waits', {
        'orders-per-3h': optional(integer('new orders in three hours', { min: 1, max: BUDGET_MAX })),
        'per-registered-domain-per-week': optional(
          integer('certificates for one registered domain in a week', { min: 1, max: BUDGET_MAX }),
        ),
        concurrent: optional(integer('orders under way at once', { min: 1, max: 1000 })),
        'replaces-exempt': flag('renewals that name what they replace (RFC 9773) do not count', { default: false }),
      }),
    ),
  }),
  ({ kind, directory }, complain) => {
    if (kind !== 'internal' && directory === undefined)
      complain(['kind'], `an authority of kind ${kind} needs a directory`)
  },
)

export const OPERATOR_SETTINGS = checked(
  section('settings of the operator service', {
    state: filePath('directory for keys; made at first start, 0700', { default: './state' }),
    log: choice('least important messages to show', LOG_LEVELS, { default: 'info' }),
    store: field(
      {
        type: 'pglite:DIR | postgres://…',
        description: 'where accounts, orders and devices are kept',
        default: 'pglite:',
      },
      (value) =>
        typeof value === 'string' && /^(pglite:|postgres(ql)?:\/\/)/.test(value)
          ? value
          : refuse(`expected pglite:DIR or postgres://…, got ${shown(value)}`),
    ),
    'store-key-file': optional(
      filePath(
        'file with 32 random bytes, base64url: encrypts the secrets in the store, the same at all its instances',
      ),
    ),
    roles: list('what this instance does', choice('', ROLES), { min: 1, max: ROLES.length, default: [...ROLES] }),
    'base-url': httpsUrl('how routers reach this service', { default: 'https://127.0.0.1:7443' }),
    listen: section('where to answer', {
      api: hostPort('ACME for the routers, and their certificates', { defaultPort: 7443, default: '127.0.0.1:7443' }),
      tls: optional(
        section('certificate of the API; without it one of our own CA is used', {
          certificate: filePath('PEM chain, leaf first'),
          key: filePath('PEM private key'),
        }),
      ),
      admin: optional(hostPort('admin API, its page and the metrics; closed unless given', { defaultPort: 7444 })),
    }),
    admin: section('who may use the admin API, beside the holders of tokens', {
      hosts: list('more names and addresses by which it is reached', text('', ADMIN_HOST), {
        max: ADMIN_HOSTS_MAX,
        default: [],
      }),
      'client-ca': optional(filePath('PEM roots of client certificates; their names stand in the audit log')),
      'client-role': choice('what holders of such a certificate may do', ADMIN_ROLES, { default: 'read' }),
      'open-metrics': flag('show /metrics without a token; only where nobody else can reach the address', {
        default: false,
      }),
    }),
    zone: section('where the names of the routers live', {
      name: domainName('zone of the operator'),
      'dns-update': optional(
        section('dns-01 by dynamic update (RFC 2136)', {
          server: hostPort('primary of the zone', { defaultPort: 53 }),
          'key-name': optional(text('name of the TSIG key')),
          'key-file': optional(filePath('file with the TSIG key, base64')),
          algorithm: choice('TSIG algorithm', TSIG_NAMES, { default: 'hmac-sha256' }),
        }),
      ),
      hook: optional(filePath('dns-01 by a command: COMMAND present|cleanup NAME VALUE')),
      'dns-server': optional(
        section('dns-01 by an authoritative DNS server in this service, for challenge-zone or the whole zone', {
          listen: list('where it answers, by UDP and TCP', hostPort('', { defaultPort: 53 }), {
            min: 1,
            max: DNS_SERVER_ADDRESSES_MAX,
          }),
          ns: domainName('name of this server, as the NS record that delegates the zone to it says'),
        }),
      ),
      'challenge-zone': optional(
        domainName('zone for the records of dns-01; a CNAME leads there from _acme-challenge of each router'),
      ),
      'propagation-check': flag('wait until the name servers show the record before the CA is told to look', {
        default: true,
      }),
      'propagation-timeout': duration('how long to wait for them', { default: '60s', min: '1s', max: '3m' }),
      'check-servers': list(
        'whom to ask then; without it the server of dns-update, the one of dns-server, or the NS of the zone',
        hostPort('', { defaultPort: 53 }),
        { max: CHECK_SERVERS_MAX, default: [] },
      ),
    }),
    authorities: list('the CAs, in order of preference', authority, { min: 1, max: AUTHORITIES_MAX }),
    renewal: section('when certificates are renewed', {
      spread: integer('per cent of a lifetime over which renewals are spread, before halfway', {
        min: 0,
        max: 40,
        default: 20,
      }),
      'orders-per-minute': integer('renewals that can wait, of one instance: how fast a backlog drains', {
        min: 1,
        max: 1_000_000,
        default: 3000,
      }),
      'urgent-share': integer('per cent of each budget kept for first certificates and those that run out', {
        min: 0,
        max: 90,
        default: 20,
      }),
    }),
    delegation: section('what routers may have', {
      lifetime: duration('lifetime of certificates that do not renew by themselves', {
        default: '7d',
        min: '1s',
        max: '90d',
      }),
      'min-lifetime': duration('shortest lifetime a router may ask for', { default: '1d', min: '1s', max: '90d' }),
      'max-duration': duration('longest span of one order', { default: '366d', min: '1m', max: '3660d' }),
      'key-types': list('keys a router may use, in order of preference', choice('', DELEGATED_KEY_TYPES), {
        min: 1,
        max: 3,
        default: ['p256'],
      }),
      'name-pattern': text('first label of new names; * is random', {
        pattern: /^[a-z0-9]([a-z0-9-]*)\*([a-z0-9-]*[a-z0-9])?$/,
        expected: 'a label with one *, such as cpe-*',
        max: 48,
        default: 'cpe-*',
      }),
      'plain-orders': flag('a router without RFC 9115 may order a certificate for its own name', { default: true }),
    }),
    limits: section('what one router may ask for', {
      'orders-per-hour': integer('new orders in an hour', { default: 60, min: 1, max: 10_000 }),
      'open-orders': integer('orders waiting for their certificate at a time', { default: 20, min: 1, max: 100 }),
      help: optional(httpsUrl('page that explains them; default: the base URL')),
    }),
    testing: section('to try clients out, never in production', {
      'reject-nonces': field(
        { type: '0 … 0.9', description: 'share of good nonces to refuse, which clients must bear', default: 0 },
        (value) =>
          typeof value === 'number' && value >= 0 && value <= REJECTED_SHARE_MAX
            ? value
            : refuse(`expected a number from 0 to ${REJECTED_SHARE_MAX}, got ${shown(value)}`),
      ),
    }),
    audit: section('the log of every decision', {
      retention: duration('how long its entries are kept', { default: '1095d', min: '1d', max: '36500d' }),
    }),
  }),
  ({ authorities, zone }, complain) => {
    const ways = (['dns-update', 'hook', 'dns-server'] as const).filter((way) => zone[way] !== undefined)
    if (ways.length > 1) complain(['zone', ways[1]!], `both ${ways[0]} and ${ways[1]} are given`, 'keep one')
    const served = zone['challenge-zone'] ?? zone.name
    // Its address would have to be served as well, and we serve challenges only.
    if (zone['dns-server'] && isUnder(zone['dns-server'].ns, served))
      complain(['zone', 'dns-server', 'ns'], `is inside ${served}`, 'give the server a name in the zone above')
    if ((zone['dns-update']?.['key-name'] === undefined) !== (zone['dns-update']?.['key-file'] === undefined))
      complain(['zone', 'dns-update'], 'key-name and key-file belong together')
    for (const [index, { kind, name }] of authorities.entries()) {
      if (authorities.findIndex((other) => other.name === name) !== index)
        complain(['authorities', index, 'name'], `there is another authority ${name}`)
      if (isForwarding(kind) && authorities.length > 1)
        complain(
          ['authorities', index, 'kind'],
          `${name} keeps the certificates itself, so no other authority can take over from it`,
          'let it stand alone, or use kind acme',
        )
      if ((kind === 'acme' || kind === 'star') && ways.length === 0)
        complain(
          ['authorities', index],
          `an authority of kind ${kind} needs a way to do dns-01`,
          'give zone.dns-update, zone.dns-server or zone.hook',
        )
    }
  },
)

export interface OperatorConfig {
  readonly state: string
  readonly log: LogLevel
  readonly store: string
  readonly storeKey?: Uint8Array
  readonly roles: readonly Role[]
  /** Without a slash at the end. */
  readonly baseUrl: string
  readonly listen: {
    readonly api: Endpoint
    readonly tls?: { readonly key: string; readonly cert: string }
    readonly admin?: Endpoint
  }
  readonly admin: {
    readonly hosts: readonly string[]
    readonly clientCa?: readonly string[]
    readonly clientRole: (typeof ADMIN_ROLES)[number]
    readonly openMetrics: boolean
  }
  readonly zone: {
    readonly name: string
    readonly dnsUpdate?: { readonly server: Endpoint; readonly key?: TsigKey }
    readonly hook?: string
    readonly dnsServer?: { readonly listen: readonly Endpoint[]; readonly ns: string }
    /** Where the records of dns-01 are, when not in the zone itself. */
    readonly challengeZone?: string
    /** Absent: switched off. Without servers: those that the way of dns-01 implies. */
    readonly propagation?: { readonly timeoutMs: number; readonly servers: readonly Endpoint[] }
  }
  readonly authorities: readonly AuthorityConfig[]
  readonly renewal: RenewalConfig
  readonly delegation: {
    readonly lifetimeMs: number
    readonly minLifetimeMs: number
    readonly maxDurationMs: number
    readonly keyTypes: readonly DelegatedKeyType[]
    readonly namePattern: string
    readonly plainOrders: boolean
  }
  readonly audit: { readonly retentionMs: number }
  readonly limits: OrderLimits
  readonly testing: { readonly rejectNonces: number }
}

export interface RenewalConfig {
  /** From 0 up to 0.4: the part of a lifetime over which renewals are spread. */
  readonly spread: number
  readonly ordersPerMinute: number
  /** From 0 up to 0.9: the part of each budget kept for what cannot wait. */
  readonly urgentShare: number
}

/** Whose certificates stay where they are issued; the others are published here. */
export function isForwarding(kind: AuthorityConfig['kind']): kind is 'star' | 'delegation' {
  return kind === 'star' || kind === 'delegation'
}

export type AuthorityConfig =
  | { readonly kind: 'internal'; readonly name: string; readonly budget: BudgetLimits }
  | {
      readonly kind: 'acme' | 'star' | 'delegation'
      readonly name: string
      readonly budget: BudgetLimits
      readonly directory: string
      readonly trust?: readonly string[]
      readonly eab?: { readonly kid: string; readonly key: string }
      readonly profile?: string
      readonly preferredChain?: string
      readonly requestDates: boolean
    }

/** Reads the file and the files it names. Throws CONFIG_UNREADABLE, or CONFIG_INVALID with every problem. */
export async function loadOperatorConfig(file: string, overrides: readonly Override[] = []): Promise<OperatorConfig> {
  const settings = parseSettings(OPERATOR_SETTINGS, await readSettingsFile(file), file, overrides)
  const at = pathResolver(dirname(file))
  const { tls } = settings.listen
  const state = at(settings.state)
  return {
    state,
    log: settings.log,
    store: settings.store === 'pglite:' ? `pglite:${state}/store` : storeUrl(settings.store, at),
    ...(settings['store-key-file'] === undefined ? {} : { storeKey: await storeKey(at(settings['store-key-file'])) }),
    roles: settings.roles,
    baseUrl: settings['base-url'].replace(/\/+$/, ''),
    listen: {
      api: settings.listen.api,
      ...(tls
        ? {
            tls: {
              cert: (await readPem(at(tls.certificate), 'listen.tls.certificate'))[0]!,
              key: await readPrivateKey(at(tls.key), 'listen.tls.key'),
            },
          }
        : {}),
      ...(settings.listen.admin ? { admin: settings.listen.admin } : {}),
    },
    admin: {
      hosts: settings.admin.hosts,
      ...(settings.admin['client-ca'] === undefined
        ? {}
        : { clientCa: await readPem(at(settings.admin['client-ca']), 'admin.client-ca') }),
      clientRole: settings.admin['client-role'],
      openMetrics: settings.admin['open-metrics'],
    },
    zone: await zoneOf(settings.zone, at),
    authorities: await Promise.all(settings.authorities.map((one, index) => authorityOf(one, index, at))),
    renewal: {
      spread: settings.renewal.spread / 100,
      ordersPerMinute: settings.renewal['orders-per-minute'],
      urgentShare: settings.renewal['urgent-share'] / 100,
    },
    delegation: {
      lifetimeMs: settings.delegation.lifetime,
      minLifetimeMs: settings.delegation['min-lifetime'],
      maxDurationMs: settings.delegation['max-duration'],
      keyTypes: settings.delegation['key-types'],
      namePattern: settings.delegation['name-pattern'],
      plainOrders: settings.delegation['plain-orders'],
    },
    audit: { retentionMs: settings.audit.retention },
    limits: {
      newOrdersPerHour: settings.limits['orders-per-hour'],
      openOrders: settings.limits['open-orders'],
      help: settings.limits.help ?? settings['base-url'],
    },
    testing: { rejectNonces: settings.testing['reject-nonces'] },
  }
}

type Settings = SettingsOf<typeof OPERATOR_SETTINGS>
type PathOf = (path: string) => string

function storeUrl(url: string, at: PathOf): string {
  return url.startsWith('pglite:') ? `pglite:${at(url.slice('pglite:'.length))}` : url
}

async function storeKey(path: string): Promise<Uint8Array> {
  const key = Buffer.from(await readSecret(path, 'store-key-file'), 'base64url')
  if (key.length === STORE_KEY_BYTES) return key
  throw new Fault('CONFIG_INVALID', `store-key-file: ${path} must hold ${STORE_KEY_BYTES} bytes, base64url`, { path })
}

async function zoneOf(zone: Settings['zone'], at: PathOf): Promise<OperatorConfig['zone']> {
  const update = zone['dns-update']
  const keyName = update?.['key-name']
  return {
    name: zone.name,
    ...(update
      ? {
          dnsUpdate: {
            server: update.server,
            ...(keyName === undefined
              ? {}
              : {
                  key: {
                    keyName,
                    algorithm: update.algorithm,
                    secret: Buffer.from(
                      await readSecret(at(update['key-file']!), 'zone.dns-update.key-file'),
                      'base64',
                    ),
                  },
                }),
          },
        }
      : {}),
    ...(zone.hook === undefined ? {} : { hook: at(zone.hook) }),
    ...(zone['dns-server'] ? { dnsServer: zone['dns-server'] } : {}),
    ...(zone['challenge-zone'] === undefined ? {} : { challengeZone: zone['challenge-zone'] }),
    ...(zone['propagation-check']
      ? { propagation: { timeoutMs: zone['propagation-timeout'], servers: zone['check-servers'] } }
      : {}),
  }
}

async function authorityOf(one: Settings['authorities'][number], index: number, at: PathOf): Promise<AuthorityConfig> {
  const budget = budgetOf(one)
  if (one.kind === 'internal') return { kind: 'internal', name: one.name, budget }
  const key = `authorities.${index}`
  return {
    kind: one.kind,
    name: one.name,
    budget,
    directory: one.directory!,
    ...(one.trust === undefined ? {} : { trust: await readPem(at(one.trust), `${key}.trust`) }),
    ...(one.eab
      ? { eab: { kid: one.eab.kid, key: await readSecret(at(one.eab['key-file']), `${key}.eab.key-file`) } }
      : {}),
    ...(one.profile === undefined ? {} : { profile: one.profile }),
    ...(one['preferred-chain'] === undefined ? {} : { preferredChain: one['preferred-chain'] }),
    requestDates: one['request-dates'],
  }
}

function budgetOf({ budget }: Settings['authorities'][number]): BudgetLimits {
  if (!budget) return {}
  const { 'orders-per-3h': ordersPer3h, 'per-registered-domain-per-week': perDomainPerWeek, concurrent } = budget
  return {
    ...(ordersPer3h === undefined ? {} : { ordersPer3h }),
    ...(perDomainPerWeek === undefined ? {} : { perDomainPerWeek }),
    ...(concurrent === undefined ? {} : { concurrent }),
    replacesExempt: budget['replaces-exempt'],
  }
}
