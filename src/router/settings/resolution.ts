import { choice, domainName } from '../../core/fields.ts'
import { list, type SettingsOf, section } from '../../core/settings.ts'
import { STRATEGY_NAMES, type Strategy } from '../resolve/strategy.ts'

const NTP_NAMES_MAX = 32

export const RESOLUTION_SETTINGS = section('how upstreams are used', {
  strategy: choice(
    'failover: in the order of the file; fastest: by measured time; parallel: the two fastest at once',
    STRATEGY_NAMES,
    { default: 'failover' },
  ),
  'ntp-names': list(
    'time servers, asked for at the `bootstrap` resolvers while the clock is wrong: without it no certificate is good',
    domainName(''),
    {
      max: NTP_NAMES_MAX,
      default: [0, 1, 2, 3].map((number) => `${number}.openwrt.pool.ntp.org`),
    },
  ),
})

export interface ResolutionConfig {
  readonly strategy: Strategy
  readonly ntpNames: readonly string[]
}

export function resolutionConfigOf(settings: SettingsOf<typeof RESOLUTION_SETTINGS>): ResolutionConfig {
  return { strategy: settings.strategy, ntpNames: settings['ntp-names'] }
}
