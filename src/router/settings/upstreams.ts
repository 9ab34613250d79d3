import { reasonOf } from '../../core/fault.ts'
import { choice, filePath, text } from '../../core/fields.ts'
import { checked, field, list, optional, type SettingsOf, section } from '../../core/settings.ts'
import { readDomainName, refuse, shown } from '../../core/units.ts'
import { parsePin } from '../upstream/pins.ts'
import { NO_ADDRESS, parseUpstreamUrl, type UpstreamAddress } from '../upstream/url.ts'
import { clientPrefixes, ipAddress, type SettingsFiles } from './values.ts'

const UPSTREAMS_MAX = 16
/** Domains of one upstream: an office has some, with its reverse zones. */
const DOMAINS_MAX = 64

const routedDomain = field({ type: 'domain name', description: '' }, (value) =>
  value === '.'
    ? refuse('"." is every name', 'leave `for` out: an upstream without it is asked for all other names')
    : readDomainName(1)(value),
)

const PINS_MAX = 8
const BOOTSTRAP_MAX = 4

const pin = field({ type: 'sha256/BASE64=', description: '' }, (value) => {
  const read = typeof value === 'string' ? parsePin(value) : undefined
  return read ?? refuse(`expected sha256/ and 44 characters of base64, got ${shown(value)}`, HOW_TO_PIN)
})
const HOW_TO_PIN =
  'openssl x509 -in CERT -pubkey -noout | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64'

const upstream = checked(
  section('one upstream', {
    url: text('udp://IP, tcp://IP, tls://IP#NAME or https://NAME/dns-query'),
    addresses: list('addresses of an upstream whose URL has only a name', ipAddress(''), { max: 8, default: [] }),
    trust: optional(filePath('PEM roots to believe instead of the system store')),
    pins: list(
      'public keys, one of which a certificate of the upstream must have; name a second one for when the first is replaced. A name in the URL is checked as well; without one the pins alone decide',
      pin,
      { max: PINS_MAX, default: [] },
    ),
    'case-randomisation': choice(
      'letters of the name in random case, which a forger has to guess; only for udp://, where answers can be forged',
      ['off', 'on'],
      { default: 'off' },
    ),
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
  ({ url, addresses, ddr, pins, 'case-randomisation': randomCase }, complain) => {
    const { scheme } = parsed(url, addresses, (problem) => complain(['url'], problem)) ?? {}
    if (scheme === undefined) return
    if (ddr !== 'off' && scheme !== 'udp' && scheme !== 'tcp')
      complain(['ddr'], `${scheme}:// is encrypted already`, 'remove the line')
    const isVerified = scheme === 'tls' || scheme === 'https'
    if (pins.length > 0 && !isVerified) complain(['pins'], `nobody is verified over ${scheme}://, so it takes no pins`)
    if (randomCase === 'on' && scheme !== 'udp')
      complain(['case-randomisation'], `nobody can forge an answer over ${scheme}://, so it is for udp:// alone`)
  },
)

function parsed(
  url: string,
  addresses: readonly string[],
  complain: (problem: string) => void,
): UpstreamAddress | undefined {
  try {
    return parseUpstreamUrl(url, addresses, 'may-be-looked-up')
  } catch (error) {
    complain(reasonOf(error))
    return undefined
  }
}

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

const bootstrapUrl = field({ type: 'udp://IP or tcp://IP', description: '' }, (value) => {
  const address = typeof value === 'string' ? parsed(value, [], (problem) => refuse(problem)) : undefined
  if (address?.scheme === 'udp' || address?.scheme === 'tcp') return address
  return refuse(`expected udp://IP or tcp://IP, got ${shown(value)}`)
})

export const BOOTSTRAP_SETTINGS = list(
  'plain resolvers that look up the upstreams whose URL has a name and no addresses, and nothing else',
  bootstrapUrl,
  { max: BOOTSTRAP_MAX, default: [] },
)

/** Between the two sections: a name needs somebody who looks it up. */
export function checkBootstrap(
  settings: { readonly upstreams: SettingsOf<typeof UPSTREAMS_SETTINGS>; readonly bootstrap: readonly unknown[] },
  complain: (path: readonly (string | number)[], problem: string) => void,
): void {
  if (settings.bootstrap.length > 0) return
  for (const [index, { url, addresses }] of settings.upstreams.entries()) {
    const { endpoints } = parsed(url, addresses, () => {}) ?? {}
    if (endpoints?.length === 0) complain(['upstreams', index, 'url'], `upstream ${url}: ${NO_ADDRESS}`)
  }
}

export interface UpstreamConfig {
  readonly address: UpstreamAddress
  readonly trust?: readonly string[]
  readonly pins?: readonly string[]
  readonly caseRandomisation?: boolean
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
    upstreams.map(
      async ({ url, addresses, trust, for: domains, clients, ddr, pins, 'case-randomisation': randomCase }, index) => ({
        address: parseUpstreamUrl(url, addresses, 'may-be-looked-up'),
        ...(pins.length > 0 ? { pins } : {}),
        ...(randomCase === 'on' ? { caseRandomisation: true } : {}),
        ...(await files.roots(trust, `upstreams.${index}.trust`)),
        ...(domains.length > 0 ? { domains } : {}),
        ...(clients.length > 0 ? { clients } : {}),
        ...(ddr === 'off' ? {} : { ddr }),
      }),
    ),
  )
}
