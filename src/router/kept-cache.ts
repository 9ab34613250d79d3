import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { equalBytes } from '../core/bytes.ts'
import type { Clock } from '../core/clock.ts'
import type { Log } from '../core/log.ts'
import type { RouterConfig } from './config.ts'
import { discardCache, loadCache, saveCache } from './resolve/cache/saved.ts'
import { type Cache, withCache } from './resolve/cache.ts'

/** A cache that outlives a reload which changes nothing below it, and a restart when the settings say so. */
export interface KeptCache {
  readonly cache: Cache
  /** Of everything that has a say in what is cached. */
  readonly settings: Uint8Array
  /** How many chains use it. */
  readonly chains: { count: number }
  /** By each chain that begins. */
  hold(): void
  /** By each chain that ends: the last one writes the file. */
  release(): Promise<void>
}

export async function keepCache(
  config: RouterConfig,
  { clock, log, former }: { readonly clock: Clock; readonly log: Log; readonly former: KeptCache | undefined },
): Promise<KeptCache> {
  const settings = digestOf(settingsOfAnswers(config))
  const context = { clock, log }
  const isSame = former !== undefined && equalBytes(former.settings, settings)
  const cache = isSame ? former.cache : withCache({ ...config.cache, routedDomains: config.routedDomains, ...context })
  const saved = { path: join(config.state, 'cache.bin'), bytesMax: config.cache.persistBytesMax, settings, ...context }
  if (former) cache.flushFailures()
  else if (saved.bytesMax > 0) await loadCache(cache, saved)
  else await discardCache(saved.path)
  const chains = former?.chains ?? { count: 0 }
  return {
    cache,
    settings,
    chains,
    hold: () => void chains.count++,
    async release() {
      if (--chains.count === 0 && saved.bytesMax > 0) await saveCache(cache, saved)
    },
  }
}

/** All but what has no say in what the layers below the cache answer. A new section counts, which is safe. */
function settingsOfAnswers(config: RouterConfig): object {
  const none = undefined
  return { ...config, state: none, log: none, identity: none, listen: none, access: none, advertise: none }
}

function digestOf(settings: object): Uint8Array {
  return createHash('sha256').update(JSON.stringify(settings)).digest()
}
