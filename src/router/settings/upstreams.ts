import { reasonOf } from '../../core/fault.ts'
import { choice, filePath, text } from '../../core/fields.ts'
import { checked, field, list, optional, type SettingsOf, section } from '../../core/settings.ts'
import { refuse, shown } from '../../core/units.ts'
import { parsePin } from '../upstream/pins.ts'
import { NO_ADDRESS, parseUpstreamUrl, type UpstreamAddress } from '../upstream/url.ts'
import { ipAddress, type SettingsFiles } from './values.ts'

const UPSTREAMS_MAX = 16
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
  }),
  ({ url, addresses, pins, 'case-randomisation': randomCase }, complain) => {
    const { scheme } = parsed(url, addresses, (problem) => complain(['url'], problem)) ?? {}
    if (scheme === undefined) return
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

export const UPSTREAMS_SETTINGS = list('resolvers to ask, in this order', upstream, { min: 1, max: UPSTREAMS_MAX })

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
  readonly pins: readonly string[]
  readonly caseRandomisation: boolean
}

export function upstreamsConfigOf(
  upstreams: SettingsOf<typeof UPSTREAMS_SETTINGS>,
  files: SettingsFiles,
): Promise<readonly UpstreamConfig[]> {
  return Promise.all(
    upstreams.map(async ({ url, addresses, trust, pins, 'case-randomisation': randomCase }, index) => ({
      address: parseUpstreamUrl(url, addresses, 'may-be-looked-up'),
      pins,
      caseRandomisation: randomCase === 'on',
      ...(await files.roots(trust, `upstreams.${index}.trust`)),
    })),
  )
}
