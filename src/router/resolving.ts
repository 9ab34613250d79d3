import { join } from 'node:path'
import type { Clock } from '../core/clock.ts'
import type { Log } from '../core/log.ts'
import type { OperationTable } from '../net/operations.ts'
import type { RouterConfig } from './config.ts'
import type { Presence } from './discovery/presence.ts'
import { createForwarding, type UpstreamStatus } from './forwarding.ts'
import { type KeptCache, keepCache } from './kept-cache.ts'
import type { Loaded } from './resolve/block/load.ts'
import { type BlockingStatus, createBlocking } from './resolve/block.ts'
import { cacheStats, flushCache, showCache } from './resolve/cache/inspection.ts'
import type { CacheStatus } from './resolve/cache.ts'
import { chainOf } from './resolve/chain.ts'
import { bothScopes } from './resolve/client-group.ts'
import { withDedup } from './resolve/dedup.ts'
import { withoutUnaskedDnssec } from './resolve/dnssec-records.ts'
import { withFixedAnswers } from './resolve/fixed.ts'
import { createGuard } from './resolve/guard.ts'
import { createLocal, type LocalStatus } from './resolve/local.ts'
import { withRateLimit } from './resolve/rate-limit.ts'
import { ownExemptions, withRebindingFilter } from './resolve/rebinding.ts'
import type { Explain, Resolver } from './resolve/resolver.ts'
import { TrustAnchors } from './resolve/validation/anchors.ts'
import { type Validation, type ValidationStatus, withValidation } from './resolve/validation/layer.ts'
import { explainQuestion, type Why, type WhyQuestion } from './resolve/why.ts'

/** Everything between the listeners and the network, made of one settings file and replaced whole by a reload. */
export interface Resolving {
  readonly resolver: Resolver
  status(): ResolvingStatus
  /** For listeners, which turn a client away before they do any work for it. */
  mayAsk(address: string): boolean
  /** Clients have lists or upstreams of their own, so that an answer is not for everybody. */
  readonly answersDiffer: boolean
  /** The block lists, for its successor. */
  readonly lists?: () => Loaded
  /** What people may ask of it; main.ts adds what belongs to the daemon. */
  readonly operations: OperationTable
  /** For its successor. */
  readonly kept: KeptCache
  stop(): Promise<void>
}

export interface ProtectionStatus {
  /** Questions over the rate limit. */
  readonly limited: number
  /** Answers with private addresses. */
  readonly withheld: number
}

export interface ResolvingStatus {
  readonly upstreams: readonly UpstreamStatus[]
  readonly cache: CacheStatus
  readonly protection: ProtectionStatus
  /** Absent while there are no lists. */
  readonly block?: BlockingStatus
  /** Absent while `dnssec.validate` is off. */
  readonly dnssec?: ValidationStatus
}

export interface ResolvingContext {
  readonly clock: Clock
  readonly log: Log
  readonly presence: () => Presence
  /** False while the wall clock must be wrong: dates are not judged then. */
  readonly isClockTrusted: () => boolean
  /** What is replaced; it goes on answering meanwhile. */
  readonly former?: Resolving
}

export async function createResolving(
  config: RouterConfig,
  { clock, log, presence, former, isClockTrusted }: ResolvingContext,
): Promise<Resolving> {
  const context = { clock, log }
  const stopping = new AbortController()
  const kept = await keepCache(config, { ...context, former: former?.kept })
  const { cache } = kept
  // Before what has to be stopped: it reads a file that may be bad.
  const validation = config.dnssec.validate
    ? await openValidation(config, { ...context, isClockTrusted }, () => flushCache(cache))
    : undefined
  const forwarding = await createForwarding(config, {
    ...context,
    isClockTrusted,
    onRecovery: () => cache.flushFailures(),
  })
  const askedUpstream = [...config.local.forward, ...config.routedDomains]
  const local = await createLocal({ ...config.local, askedUpstream }, { ...context, presence })
  const { access, protection, identity } = config
  const guard = createGuard(access.allow)
  const limit = protection.rateLimit && withRateLimit(protection.rateLimit, context)
  const block = config.block && createBlocking(config.block, { ...context, former: former?.lists?.() })
  // The predecessor answers meanwhile; at start nobody does, and the first answers do not wait for lists.
  if (former) await block?.ready
  const rebinding =
    protection.rebinding &&
    withRebindingFilter({
      ...protection.rebinding,
      exempt: [...protection.rebinding.exempt, ...ownExemptions(identity.name), ...askedUpstream],
    })
  const resolver = chainOf(
    [
      guard.layer, // who may ask at all
      limit?.layer, // and how much
      ...forwarding.layers, // clients with upstreams of their own
      withFixedAnswers(), // class CH, ANY by UDP
      local.layer, // what we know ourselves, online or off
      block?.questions, // what the lists hold
      cache.layer,
      withoutUnaskedDnssec(), // RRSIG and NSEC for those who set DO
      withDedup(), // one flight per question
      block?.aliases, // what leads to what the lists hold
      rebinding?.layer, // no private addresses from outside
      validation?.layer, // what is signed must be right
    ].filter((layer) => layer !== undefined),
    forwarding.resolver,
  )
  // In the order of the chain.
  const explaining = [
    guard.explain,
    limit?.explain,
    local.explain,
    block?.explain,
    (...[question, client]: Parameters<Explain>) =>
      cache.explain(question, client, bothScopes(forwarding.scopeOf(client), block?.scopeOf(client))),
    rebinding?.explain,
    validation?.explain,
    forwarding.explain,
  ].filter((explain) => explain !== undefined)
  const looking = validation?.run(stopping.signal)
  kept.hold()
  return {
    resolver,
    mayAsk: guard.mayAsk,
    answersDiffer: forwarding.layers.length > 0 || (config.block?.groups.length ?? 0) > 0,
    ...(block ? { lists: block.loaded } : {}),
    status: () => ({
      upstreams: forwarding.status(),
      cache: cache.status(),
      protection: { limited: limit?.refused ?? 0, withheld: rebinding?.withheld ?? 0 },
      ...(block ? { block: block.status() } : {}),
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
      upstreams: async () => forwarding.status(),
      'upstreams-reset': async () => {
        forwarding.reset('asked for')
        return forwarding.status()
      },
      why: (asked: WhyQuestion): Promise<Why> => explainQuestion(explaining, asked),
    },
    kept,
    stop: async () => {
      stopping.abort()
      forwarding.stop()
      await block?.stop()
      await looking
      await local.stop()
      await kept.release()
    },
  }
}

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
