import { type SettingsOf, section } from '../../core/settings.ts'
import { clientPrefixes } from './values.ts'

export const ACCESS_SETTINGS = section('who may ask', {
  allow: clientPrefixes('`lan` (private addresses), addresses and prefixes', { default: ['lan'] }),
})

export type AccessConfig = SettingsOf<typeof ACCESS_SETTINGS>
