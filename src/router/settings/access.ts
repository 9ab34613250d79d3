import { type SettingsOf, section } from '../../core/settings.ts'
import { clientPrefixes } from './values.ts'

export const ACCESS_SETTINGS = section('who may ask', {
  allow: clientPrefixes(
    '`lan` (private, link-local and loopback addresses; not 100.64.0.0/10, where a provider has other customers), addresses and prefixes',
    { default: ['lan'] },
  ),
})

export type AccessConfig = SettingsOf<typeof ACCESS_SETTINGS>
