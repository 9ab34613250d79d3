import type { Clock } from '../core/clock.ts'
import type { Log } from '../core/log.ts'
import type { OperationTable } from '../net/operations.ts'
import type { RouterConfig } from './config.ts'
import type { Presence } from './discovery/presence.ts'
import { type CacheStatus, withCache } from './resolve/cache.ts'
import { chainOf } from './resolve/chain.ts'
import { withDedup } from './resolve/dedup.ts'
import { withGuard } from './resolve/guard.ts'
import { createLocal, type LocalStatus } from './resolve/local.ts'
import { createPool, type UpstreamStatus } from './resolve/pool.ts'
import type { Resolver } from './resolve/resolver.ts'
import { createUpstream } from './upstream/url.ts'

/** Everything between the listeners and the network, made of one settings file and replaced whole by a reload. */
export interface Resolving {
  readonly resolver: Resolver
  status(): { readonly upstreams: readonly UpstreamStatus[]; readonly cache: CacheStatus }
  /** What people may ask of it; main.ts adds what belongs to the daemon. */
  readonly operations: OperationTable
  stop(): Promise<void>
}

export interface ResolvingContext {
  readonly clock: Clock
  readonly log: Log
  readonly presence: () => Presence
  /** What is replaced; it goes on answering meanwhile. */
  readonly former?: Resolving
}

export async function createResolving(
  config: RouterConfig,
  { clock, log, presence }: ResolvingContext,
): Promise<Resolving> {
  const context = { clock, log }
  const pool = createPool(
    config.upstreams.map((upstream) => createUpstream(upstream.address, upstream.trust)),
    context,
  )
  const local = await createLocal({ ...config.local, askedUpstream: config.local.forward }, { ...context, presence })
  const cache = withCache({ bytesMax: config.cache.bytesMax, clock })
  const resolver = chainOf(
    [
      withGuard(config.access.allow), // who may ask at all
      local.layer, // what we know ourselves, online or off
      cache.layer,
      withDedup(), // one flight per question
    ],
    pool.resolver,
  )
  return {
    resolver,
    status: () => ({ upstreams: pool.status(), cache: cache.status() }),
    operations: {
      'cache-flush': async () => {
        cache.flush()
        return {}
      },
      'local-show': async () => ({ hosts: local.hosts() }) satisfies LocalStatus,
    },
    stop: () => local.stop(),
  }
}
