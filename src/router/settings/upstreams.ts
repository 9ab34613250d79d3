import { reasonOf } from '../../core/fault.ts'
import { filePath, text } from '../../core/fields.ts'
import { checked, list, optional, type SettingsOf, section } from '../../core/settings.ts'
import { parseUpstreamUrl, type UpstreamAddress } from '../upstream/url.ts'
import { ipAddress, type SettingsFiles } from './values.ts'

const UPSTREAMS_MAX = 16

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

export const UPSTREAMS_SETTINGS = list('resolvers to ask, in this order', upstream, { min: 1, max: UPSTREAMS_MAX })

export interface UpstreamConfig {
  readonly address: UpstreamAddress
  readonly trust?: readonly string[]
}

export function upstreamsConfigOf(
  upstreams: SettingsOf<typeof UPSTREAMS_SETTINGS>,
  files: SettingsFiles,
): Promise<readonly UpstreamConfig[]> {
  return Promise.all(
    upstreams.map(async ({ url, addresses, trust }, index) => ({
      address: parseUpstreamUrl(url, addresses),
      ...(await files.roots(trust, `upstreams.${index}.trust`)),
    })),
  )
}
