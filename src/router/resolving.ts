import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { equalBytes } from '../core/bytes.ts'
import type { Clock } from '../core/clock.ts'
import type { Log } from '../core/log.ts'
import type { OperationTable } from '../net/operations.ts'
import type { RouterConfig } from './config.ts'
import type { Presence } from './discovery/presence.ts'
import { createForwarding, type UpstreamStatus } from './forwarding.ts'
import { cacheStats, flushCache, showCache } from './resolve/cache/inspection.ts'
import { discardCache, loadCache, saveCache } from './resolve/cache/saved.ts'
import { type Cache, type CacheStatus, withCache } from './resolve/cache.ts'
import { chainOf } from './resolve/chain.ts'
import { withDedup } from './resolve/dedup.ts'
import { withGuard } from './resolve/guard.ts'
import { withLocal } from './resolve/local.ts'
import type { Resolver } from './resolve/resolver.ts'

/** Everything between the listeners and the network, made of one settings file and replaced whole by a reload. */
export interface Resolving {
  readonly resolver: Resolver
  status(): { readonly upstreams: readonly UpstreamStatus[]; readonly cache: CacheStatus }
  /** What people may ask of it; main.ts adds what belongs to the daemon. */
  readonly operations: OperationTable
  /** For its successor. */
  readonly kept: KeptCache
  stop(): Promise<void>
}

interface KeptCache {
  readonly cache: Cache
  /** SHA-256 of the settings the answers depend on. */
  readonly settings: Uint8Array
  /** How many chains are in use, this one and those it replaced or that replace it: the last to stop saves its answers. */
  readonly chains: { count: number }
}

export interface ResolvingContext {
  readonly clock: Clock
  readonly log: Log
  readonly presence: () => Presence
  /** False while the wall clock must be wrong: dates are not judged then. */
  readonly isClockTrusted?: () => boolean
  /** What is replaced; it goes on answering meanwhile. */
  readonly former?: Resolving
}

export async function createResolving(
  config: RouterConfig,
  { clock, log, presence, isClockTrusted = () => true, former }: ResolvingContext,
): Promise<Resolving> {
  const context = { clock, log }
  const settings = digestOf(settingsOfAnswers(config))
  const isSame = former !== undefined && equalBytes(former.kept.settings, settings)
  const cache = isSame ? former.kept.cache : withCache({ ...config.cache, ...context })
  const saved = { path: join(config.state, 'cache.bin'), bytesMax: config.cache.persistBytesMax, settings, ...context }
  if (former) cache.flushFailures()
  else if (saved.bytesMax > 0) await loadCache(cache, saved)
  else await discardCache(saved.path)
  const forwarding = await createForwarding(config, {
    ...context,
    isClockTrusted,
    onRecovery: () => cache.flushFailures(),
  })
  const chains = former?.kept.chains ?? { count: 0 }
  chains.count++
  const resolver = chainOf(
    [
      withGuard(config.access.allow), // who may ask at all
      ...forwarding.layers, // clients with upstreams of their own
      withLocal(presence), // what we know ourselves, online or off
      cache.layer,
      withDedup(), // one flight per question
    ],
    forwarding.resolver,
  )
  return {
    resolver,
    status: () => ({ upstreams: forwarding.status(), cache: cache.status() }),
    operations: {
      'cache-show': async ({ name }: { name: string }) => ({ answers: showCache(cache, name, clock.monotonicMs()) }),
      'cache-flush': async ({ name }: { name?: string }) => ({ removed: flushCache(cache, name) }),
      'cache-stats': async () => cacheStats(cache),
      upstreams: async () => forwarding.status(),
      'upstreams-reset': async () => {
        forwarding.reset('asked for')
        return forwarding.status()
      },
    },
    kept: { cache, settings, chains },
    stop: async () => {
      forwarding.stop()
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
