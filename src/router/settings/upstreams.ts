import { reasonOf } from '../../core/fault.ts'
import { choice, filePath, text } from '../../core/fields.ts'
import { checked, field, list, optional, type SettingsOf, section } from '../../core/settings.ts'
import { readDomainName, refuse } from '../../core/units.ts'
import { parseUpstreamUrl, type UpstreamAddress } from '../upstream/url.ts'
import { clientPrefixes, ipAddress, type SettingsFiles } from './values.ts'

const UPSTREAMS_MAX = 16
/** Domains of one upstream: an office has some, with its reverse zones. */
const DOMAINS_MAX = 64

const routedDomain = field({ type: 'domain name', description: '' }, (value) =>
  value === '.'
    ? refuse('"." is every name', 'leave `for` out: an upstream without it is asked for all other names')
    : readDomainName(1)(value),
)

const upstream = checked(
  section('one upstream', {
    url: text('udp://IP, tcp://IP, tls://IP#NAME or https://NAME/dns-query'),
    addresses: list('addresses of an upstream whose URL has only a name', ipAddress(''), { max: 8, default: [] }),
    trust: optional(filePath('PEM roots to believe instead of the system store')),
    for: list(
      'asked for names at and below these, and for no others; such names are asked nowhere else',
      routedDomain,
      {
        max: DOMAINS_MAX,
        default: [],
      },
    ),
    clients: clientPrefixes('asked for these clients only: `lan`, addresses and prefixes', { default: [] }),
    ddr: choice(
      'let a plain upstream name its encrypted self, proved by a certificate for its address',
      ['off', 'verified'],
      {
        default: 'off',
      },
    ),
  }),
  ({ url, addresses, ddr }, complain) => {
    try {
      const { scheme } = parseUpstreamUrl(url, addresses)
      if (ddr !== 'off' && scheme !== 'udp' && scheme !== 'tcp')
        complain(['ddr'], `${scheme}:// is encrypted already`, 'remove the line')
    } catch (error) {
      complain(['url'], reasonOf(error))
    }
  },
)

export const UPSTREAMS_SETTINGS = checked(
  list('resolvers to ask, in this order', upstream, { min: 1, max: UPSTREAMS_MAX }),
  (upstreams, complain) => {
    if (upstreams.every((each) => each.for.length > 0 || each.clients.length > 0))
      complain(
        [0],
        'every upstream has `for` or `clients`, so nobody would answer the other names and clients',
        'add an upstream without them',
      )
  },
)

export interface UpstreamConfig {
  readonly address: UpstreamAddress
  readonly trust?: readonly string[]
  /** Names at and below these go there, and nowhere else. Absent: all names without a route. */
  readonly domains?: readonly string[]
  /** Only questions of these clients go there: `lan`, addresses and prefixes. */
  readonly clients?: readonly string[]
  /** A plain one may be replaced by its encrypted self (RFC 9462 §4.2). */
  readonly ddr?: 'verified'
}

/** The domains that have upstreams of their own: what they answer is the user's word, private addresses included. */
export function routedDomainsOf(upstreams: readonly UpstreamConfig[]): readonly string[] {
  return [...new Set(upstreams.flatMap(({ domains }) => domains ?? []))]
}

export function upstreamsConfigOf(
  upstreams: SettingsOf<typeof UPSTREAMS_SETTINGS>,
  files: SettingsFiles,
): Promise<readonly UpstreamConfig[]> {
  return Promise.all(
    upstreams.map(async ({ url, addresses, trust, for: domains, clients, ddr }, index) => ({
      address: parseUpstreamUrl(url, addresses),
      ...(await files.roots(trust, `upstreams.${index}.trust`)),
      ...(domains.length > 0 ? { domains } : {}),
      ...(clients.length > 0 ? { clients } : {}),
      ...(ddr === 'off' ? {} : { ddr }),
    })),
  )
}
