import { dirname } from 'node:path'
import { reasonOf } from '../core/fault.ts'
import { byteSize, choice, domainName, duration, filePath, hostPort, httpsUrl, text } from '../core/fields.ts'
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
import { addressText, addressToBytes } from '../dns/address.ts'
import { isAccessEntry } from '../net/address.ts'
import type { Endpoint } from '../net/bind.ts'
import { pathResolver, readPem, readSecret, readSettingsFile } from '../store/settings-file.ts'
import { parseUpstreamUrl, type UpstreamAddress } from './upstream/url.ts'

/** The settings of the router: the only code that knows key names. The reference page is made from this table. */
const LISTENERS_MAX = 16
const UPSTREAMS_MAX = 16
const ACCESS_MAX = 64

/** In the spelling of RFC 5952, so that addresses can be compared as text. */
const ipAddress = (description: string) =>
  field({ type: 'IP address', description }, (value) => {
    const octets = typeof value === 'string' ? addressToBytes(value) : undefined
    return octets ? addressText(octets) : refuse(`expected an IP address, got ${shown(value)}`)
  })

const upstream = checked(
  section('one upstream', {
    url: text('udp://IP, tcp://IP, tls://IP#NAME or https://NAME/dns-query'),
    addresses: list('addresses of an upstream whose URL has only a name', ipAddress(''), { max: 8, default: [] }),
    trust: optional(filePath('PEM roots to believe instead of the system store')),
  }),
  ({ url, addresses }, complain) => {
    try {
      parseUpstreamUrl(url, addresses)
    } catch (error) {
      complain(['url'], reasonOf(error))
    }
  },
)

const delegation = checked(
  section('ACME delegation (RFC 9115) with certificates that renew by themselves (RFC 8739)', {
    directory: httpsUrl('directory of the operator'),
    eab: section('ties this router to its name at the operator', {
      kid: text('key identifier, as handed out'),
      'key-file': filePath('file with the key, base64url as handed out'),
    }),
    trust: optional(
      filePath('PEM roots: alone for the HTTPS of the operator, beside the public ones for certificates'),
    ),
    lifetime: duration('lifetime to ask for', { default: '7d', min: '1s', max: '90d' }),
    'order-span': duration('how long one order renews by itself', { default: '365d', min: '1m', max: '3650d' }),
  }),
  (order, complain) => {
    if (order['order-span'] < 2 * order.lifetime)
      complain(
        ['order-span'],
        'an order must last for two certificates at least',
        'make it longer, or lifetime shorter',
      )
  },
)

export const ROUTER_SETTINGS = section('settings of the router', {
  state: filePath('directory for keys and certificates; made at first start, 0700', { default: './state' }),
  log: choice('least important messages to show', LOG_LEVELS, { default: 'info' }),
  identity: section('the name and certificate of this router', {
    name: domainName('unique name of this router, as the operator registered it'),
    solution: choice('how the certificate is obtained', ['acme-delegation'], { default: 'acme-delegation' }),
    'acme-delegation': delegation,
  }),
  listen: section('where to answer', {
    do53: list('plain DNS, UDP and TCP', hostPort('', { defaultPort: 53 }), {
      max: LISTENERS_MAX,
      default: ['127.0.0.1:5453'],
    }),
    dot: list('DNS over TLS', hostPort('', { defaultPort: 853 }), { max: LISTENERS_MAX, default: ['127.0.0.1:8853'] }),
    doh: list('DNS over HTTPS', hostPort('', { defaultPort: 443 }), {
      max: LISTENERS_MAX,
      default: ['127.0.0.1:8443'],
    }),
  }),
  access: section('who may ask', {
    allow: list(
      '`lan` (private addresses), addresses and prefixes',
      field({ type: 'lan | address | prefix', description: '' }, (value) =>
        typeof value === 'string' && isAccessEntry(value)
          ? value
          : refuse(`expected lan, an address or a prefix such as 192.0.2.0/24, got ${shown(value)}`),
      ),
      { max: ACCESS_MAX, default: ['lan'] },
    ),
  }),
  upstreams: list('resolvers to ask, in this order', upstream, { min: 1, max: UPSTREAMS_MAX }),
  cache: section('answers kept for later', {
    size: byteSize('memory for them', { default: '16MiB', min: '64KiB', max: '4GiB' }),
  }),
  advertise: section('what clients are told by themselves', {
    ddr: choice('answer _dns.resolver.arpa (RFC 9462)', ['auto', 'off'], { default: 'auto' }),
    addresses: optional(
      list('addresses of this router in the LAN, instead of those it listens on', ipAddress(''), { max: 8, min: 1 }),
    ),
  }),
})

export interface RouterConfig {
  readonly state: string
  readonly log: LogLevel
  readonly identity: {
    readonly name: string
    readonly acmeDelegation: {
      readonly directory: string
      readonly eab: { readonly kid: string; readonly key: string }
      readonly trust?: readonly string[]
      readonly lifetimeMs: number
      readonly orderSpanMs: number
    }
  }
  readonly listen: {
    readonly do53: readonly Endpoint[]
    readonly dot: readonly Endpoint[]
    readonly doh: readonly Endpoint[]
  }
  readonly access: { readonly allow: readonly string[] }
  readonly upstreams: readonly { readonly address: UpstreamAddress; readonly trust?: readonly string[] }[]
  readonly cache: { readonly bytesMax: number }
  readonly advertise: { readonly ddr: 'auto' | 'off'; readonly addresses?: readonly string[] }
}

/** Reads the file and the files it names. Throws CONFIG_UNREADABLE, or CONFIG_INVALID with every problem. */
export async function loadRouterConfig(file: string, overrides: readonly Override[] = []): Promise<RouterConfig> {
  const settings = parseSettings(ROUTER_SETTINGS, await readSettingsFile(file), file, overrides)
  return configOf(settings, file)
}

async function configOf(settings: SettingsOf<typeof ROUTER_SETTINGS>, file: string): Promise<RouterConfig> {
  const at = pathResolver(dirname(file))
  const roots = async (path: string | undefined, key: string): Promise<{ trust?: readonly string[] }> =>
    path === undefined ? {} : { trust: await readPem(at(path), key) }
  const order = settings.identity['acme-delegation']
  return {
    state: at(settings.state),
    log: settings.log,
    identity: {
      name: settings.identity.name,
      acmeDelegation: {
        directory: order.directory,
        eab: {
          kid: order.eab.kid,
          key: await readSecret(at(order.eab['key-file']), 'identity.acme-delegation.eab.key-file'),
        },
        ...(await roots(order.trust, 'identity.acme-delegation.trust')),
        lifetimeMs: order.lifetime,
        orderSpanMs: order['order-span'],
      },
    },
    listen: settings.listen,
    access: settings.access,
    upstreams: await Promise.all(
      settings.upstreams.map(async ({ url, addresses, trust }, index) => ({
        address: parseUpstreamUrl(url, addresses),
        ...(await roots(trust, `upstreams.${index}.trust`)),
      })),
    ),
    cache: { bytesMax: settings.cache.size },
    advertise: settings.advertise,
  }
}
