import { byteSize, duration, flag } from '../../core/fields.ts'
import { type SettingsOf, section } from '../../core/settings.ts'

export const CACHE_SETTINGS = section('answers kept for later', {
  size: byteSize('memory for them, never exceeded', { default: '16MiB', min: '64KiB', max: '4GiB' }),
  // RFC 8767 §5 suggests one to three days, and no TTL is longer than a week.
  'serve-stale': duration(
    'how long after their end answers may help out while no fresh one comes (RFC 8767); 0s: never',
    {
      default: '1d',
      min: '0s',
      max: '7d',
    },
  ),
  prefetch: flag('renew popular answers shortly before their end', { default: true }),
  'nxdomain-cut': flag('a name that does not exist has nothing below it (RFC 8020)', { default: true }),
  persist: flag(
    'write answers to STATE/cache.bin at stop and read them at start: which names were asked for is on flash then',
    {
      default: false,
    },
  ),
  'persist-size': byteSize('how much of them, the most recently used first', {
    default: '1MiB',
    min: '16KiB',
    max: '64MiB',
  }),
})

export interface CacheConfig {
  readonly bytesMax: number
  readonly serveStaleMs: number
  readonly prefetch: boolean
  readonly nxdomainCut: boolean
  /** 0: nothing is written. */
  readonly persistBytesMax: number
}

export function cacheConfigOf(settings: SettingsOf<typeof CACHE_SETTINGS>): CacheConfig {
  return {
    bytesMax: settings.size,
    serveStaleMs: settings['serve-stale'],
    prefetch: settings.prefetch,
    nxdomainCut: settings['nxdomain-cut'],
    persistBytesMax: settings.persist ? settings['persist-size'] : 0,
  }
}
