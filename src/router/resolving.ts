import { join } from 'node:path'
import type { Clock } from '../core/clock.ts'
import type { Log } from '../core/log.ts'
import type { OperationTable } from '../net/operations.ts'
import type { RouterConfig } from './config.ts'
import type { Presence } from './discovery/presence.ts'
import { type KeptCache, keepCache } from './kept-cache.ts'
import { cacheStats, flushCache, showCache } from './resolve/cache/inspection.ts'
import type { CacheStatus } from './resolve/cache.ts'
import { chainOf } from './resolve/chain.ts'
import { withDedup } from './resolve/dedup.ts'
import { withoutUnaskedDnssec } from './resolve/dnssec-records.ts'
import { withFixedAnswers } from './resolve/fixed.ts'
import { withGuard } from './resolve/guard.ts'
import { createLocal, type LocalStatus } from './resolve/local.ts'
import { createPool, type UpstreamStatus } from './resolve/pool.ts'
import type { Resolver } from './resolve/resolver.ts'
import { TrustAnchors } from './resolve/validation/anchors.ts'
import { type Validation, type ValidationStatus, withValidation } from './resolve/validation/layer.ts'
import { createUpstream } from './upstream/url.ts'

/** Everything between the listeners and the network, made of one settings file and replaced whole by a reload. */
export interface Resolving {
  readonly resolver: Resolver
  status(): {
    readonly upstreams: readonly UpstreamStatus[]
    readonly cache: CacheStatus
    /** Absent while `dnssec.validate` is off. */
    readonly dnssec?: ValidationStatus
  }
  /** What people may ask of it; main.ts adds what belongs to the daemon. */
  readonly operations: OperationTable
  /** For its successor. */
  readonly kept: KeptCache
  stop(): Promise<void>
}

export interface ResolvingContext {
  readonly clock: Clock
  readonly log: Log
  readonly presence: () => Presence
  /** Is the wall clock right, as far as anyone knows? Signatures are judged only then. */
  readonly isClockTrusted?: () => boolean
  /** What is replaced; it goes on answering meanwhile. */
  readonly former?: Resolving
}

export async function createResolving(
  config: RouterConfig,
  { clock, log, presence, former, isClockTrusted = () => clock.nowMs() >= CLOCK_MS_MIN }: ResolvingContext,
): Promise<Resolving> {
  const context = { clock, log }
  const stopping = new AbortController()
  const pool = createPool(
    config.upstreams.map((upstream) => createUpstream(upstream.address, upstream.trust)),
    context,
  )
  const local = await createLocal({ ...config.local, askedUpstream: config.local.forward }, { ...context, presence })
  const kept = await keepCache(config, { ...context, former: former?.kept })
  const { cache } = kept
  const validation = config.dnssec.validate
    ? await openValidation(config, { ...context, isClockTrusted }, () => flushCache(cache))
    : undefined
  const resolver = chainOf(
    [
      withGuard(config.access.allow), // who may ask at all
      withFixedAnswers(), // class CH, ANY by UDP
      local.layer, // what we know ourselves, online or off
      cache.layer,
      withoutUnaskedDnssec(), // RRSIG and NSEC for those who set DO
      withDedup(), // one flight per question
      ...(validation ? [validation.layer] : []), // what is signed must be right
    ],
    pool.resolver,
  )
  const looking = validation?.run(stopping.signal)
  return {
    resolver,
    status: () => ({
      upstreams: pool.status(),
      cache: cache.status(),
      ...(validation ? { dnssec: validation.status() } : {}),
    }),
    operations: {
      'cache-show': async ({ name }: { name: string }) => ({ answers: showCache(cache, name, clock.monotonicMs()) }),
      'cache-flush': async ({ name }: { name?: string }) => {
        validation?.forget()
        return { removed: flushCache(cache, name) }
      },
      'cache-stats': async () => cacheStats(cache),
      'local-show': async () => ({ hosts: local.hosts() }) satisfies LocalStatus,
    },
    kept,
    stop: async () => {
      stopping.abort()
      await looking
      await local.stop()
      await kept.release()
    },
  }
}

/** A clock before this release has not been set since the power came back. */
const CLOCK_MS_MIN = Date.UTC(2026, 10, 1)
const ANCHORS_FILE = 'trust-anchors.json'

async function openValidation(
  { dnssec, state }: RouterConfig,
  context: Pick<ResolvingContext, 'clock' | 'log'> & { readonly isClockTrusted: () => boolean },
  onClockTrusted: () => void,
): Promise<Validation> {
  const { anchors, negative } = dnssec
  const { log } = context
  const opened = await TrustAnchors.open({ anchors, negative, file: join(state, ANCHORS_FILE), log })
  return withValidation({ ...context, anchors: opened, onClockTrusted })
}
