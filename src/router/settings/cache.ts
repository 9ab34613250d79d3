import { byteSize } from '../../core/fields.ts'
import { type SettingsOf, section } from '../../core/settings.ts'

export const CACHE_SETTINGS = section('answers kept for later', {
  size: byteSize('memory for them', { default: '16MiB', min: '64KiB', max: '4GiB' }),
})

export interface CacheConfig {
  readonly bytesMax: number
}

export function cacheConfigOf(settings: SettingsOf<typeof CACHE_SETTINGS>): CacheConfig {
  return { bytesMax: settings.size }
}
