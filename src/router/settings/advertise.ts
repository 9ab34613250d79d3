import { choice } from '../../core/fields.ts'
import { list, optional, type SettingsOf, section } from '../../core/settings.ts'
import { ipAddress } from './values.ts'

export const ADVERTISE_SETTINGS = section('what clients are told by themselves', {
  ddr: choice('answer _dns.resolver.arpa (RFC 9462)', ['auto', 'off'], { default: 'auto' }),
  addresses: optional(
    list('addresses of this router in the LAN, instead of those it listens on', ipAddress(''), { max: 8, min: 1 }),
  ),
})

export type AdvertiseConfig = SettingsOf<typeof ADVERTISE_SETTINGS>
