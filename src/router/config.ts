import { dirname } from 'node:path'
import { choice, filePath } from '../core/fields.ts'
import { LOG_LEVELS, type LogLevel } from '../core/log.ts'
import { checked, type Override, parseSettings, section } from '../core/settings.ts'
import { readSettingsFile } from '../store/settings-file.ts'
import type { BlockingOptions } from './resolve/block.ts'
import { ACCESS_SETTINGS, type AccessConfig } from './settings/access.ts'
import { ADVERTISE_SETTINGS, type AdvertiseConfig } from './settings/advertise.ts'
import { BLOCK_SETTINGS, blockConfigOf } from './settings/block.ts'
import { CACHE_SETTINGS, type CacheConfig, cacheConfigOf } from './settings/cache.ts'
import { DNSSEC_SETTINGS, type DnssecConfig, dnssecConfigOf } from './settings/dnssec.ts'
import { IDENTITY_SETTINGS, type IdentityConfig, identityConfigOf } from './settings/identity.ts'
import { LISTEN_SETTINGS, type ListenConfig } from './settings/listen.ts'
import { LOCAL_SETTINGS, type LocalConfig, localConfigOf } from './settings/local.ts'
import { PROTECTION_SETTINGS, type ProtectionConfig, protectionConfigOf } from './settings/protection.ts'
import { RESOLUTION_SETTINGS, type ResolutionConfig, resolutionConfigOf } from './settings/resolution.ts'
import {
  BOOTSTRAP_SETTINGS,
  checkBootstrap,
  routedDomainsOf,
  UPSTREAMS_SETTINGS,
  type UpstreamConfig,
  upstreamsConfigOf,
} from './settings/upstreams.ts'
import { settingsFiles } from './settings/values.ts'
import type { UpstreamAddress } from './upstream/url.ts'

/**
 * The settings of the router. This file and the sections in `settings/` are the only code that knows key names; the
 * reference page is made from these tables.
 */
const sections = section('settings of the router', {
  state: filePath('directory for keys and certificates; made at first start, 0700', { default: './state' }),
  log: choice('least important messages to show', LOG_LEVELS, { default: 'info' }),
  identity: IDENTITY_SETTINGS,
  listen: LISTEN_SETTINGS,
  access: ACCESS_SETTINGS,
  upstreams: UPSTREAMS_SETTINGS,
  bootstrap: BOOTSTRAP_SETTINGS,
  resolution: RESOLUTION_SETTINGS,
  cache: CACHE_SETTINGS,
  dnssec: DNSSEC_SETTINGS,
  local: LOCAL_SETTINGS,
  protection: PROTECTION_SETTINGS,
  block: BLOCK_SETTINGS,
  advertise: ADVERTISE_SETTINGS,
})

export const ROUTER_SETTINGS = checked(sections, checkBootstrap)

export interface RouterConfig {
  readonly state: string
  readonly log: LogLevel
  readonly identity: IdentityConfig
  readonly listen: ListenConfig
  readonly access: AccessConfig
  readonly upstreams: readonly UpstreamConfig[]
  readonly bootstrap: readonly UpstreamAddress[]
  /** Of `upstreams`: what lies below these names is private. */
  readonly routedDomains: readonly string[]
  readonly resolution: ResolutionConfig
  readonly cache: CacheConfig
  readonly dnssec: DnssecConfig
  readonly local: LocalConfig
  readonly protection: ProtectionConfig
  /** Absent: nothing is blocked. */
  readonly block?: BlockingOptions
  readonly advertise: AdvertiseConfig
}

/** Reads the file and the files it names. Throws CONFIG_UNREADABLE, or CONFIG_INVALID with every problem. */
export async function loadRouterConfig(file: string, overrides: readonly Override[] = []): Promise<RouterConfig> {
  const settings = parseSettings(ROUTER_SETTINGS, await readSettingsFile(file), file, overrides)
  const files = settingsFiles(dirname(file))
  const upstreams = await upstreamsConfigOf(settings.upstreams, files)
  return {
    state: files.at(settings.state),
    log: settings.log,
    identity: await identityConfigOf(settings.identity, files),
    listen: settings.listen,
    access: settings.access,
    upstreams,
    bootstrap: settings.bootstrap,
    routedDomains: routedDomainsOf(upstreams),
    resolution: resolutionConfigOf(settings.resolution),
    cache: cacheConfigOf(settings.cache),
    dnssec: await dnssecConfigOf(settings.dnssec, files),
    local: await localConfigOf(settings.local, files),
    protection: protectionConfigOf(settings.protection),
    ...blockConfigOf(settings.block, files),
    advertise: settings.advertise,
  }
}
