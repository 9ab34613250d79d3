import assert from 'node:assert'
import { LRUCache } from 'lru-cache'
import type { Clock } from '../../core/clock.ts'
import { type PreparedAnswer, prepareAnswer, writeAnswer } from '../../dns/answer.ts'
import { RCODE } from '../../dns/codes.ts'
import type { ExtendedError } from '../../dns/edns.ts'
import type { MessageView } from '../../dns/view.ts'
import type { Layer } from './chain.ts'
import type { Answer, Outcome, Query } from './resolver.ts'

/** Caps of RFC 8767 §4 and RFC 2308 §5, in seconds. */
const POSITIVE_TTL_S_MAX = 604_800
const NEGATIVE_TTL_S_MAX = 10_800
/** A DNS message cannot be longer. */
const MESSAGE_BYTES_MAX = 65_535
/** What an entry costs beside its bytes: key, objects, list links. Measured with 100,000 entries. */
const ENTRY_OVERHEAD_BYTES = 400

interface Entry {
  readonly prepared: PreparedAnswer
  readonly storedMs: number
  readonly lifetimeS: number
  readonly from: string
  readonly extendedErrors?: readonly ExtendedError[]
}

export interface CacheStatus {
  readonly entries: number
  readonly bytes: number
  readonly hits: number
  readonly misses: number
}

/**
 * Answers that may be given again, bounded in bytes, least recently used first out. Age is counted on the monotonic
 * clock, so a step of the wall clock neither revives nor kills an entry. A hit is copied once into one reused buffer.
 */
export function withCache(options: { readonly bytesMax: number; readonly clock: Clock }): {
  readonly layer: Layer
  status(): CacheStatus
  flush(): void
} {
  const { clock } = options
  const entries = new LRUCache<string, Entry>({
    maxSize: options.bytesMax,
    sizeCalculation: (entry, key) => entry.prepared.wire.length + key.length + ENTRY_OVERHEAD_BYTES,
  })
  const hitBuffer = new Uint8Array(MESSAGE_BYTES_MAX)
  let hits = 0
  let misses = 0

  const serve = (entry: Entry, view: MessageView, target: Uint8Array, ageS: number): Answer => ({
    kind: 'answer',
    wire: target.subarray(0, writeAnswer(entry.prepared, target, 0, view, ageS)),
    from: entry.from,
    ...(entry.lifetimeS > ageS ? { freshS: entry.lifetimeS - ageS } : {}),
    ...(entry.extendedErrors ? { extendedErrors: entry.extendedErrors } : {}),
  })

  const admit = (key: string, view: MessageView, outcome: Outcome): Outcome => {
    if (outcome.kind !== 'answer') return outcome
    const { from, extendedErrors } = outcome
    const prepared = outcome.prepared ?? prepareAnswer(outcome.wire)
    assert(prepared, `${from} made a message that is none`)
    const lifetimeS = lifetimeOf(prepared)
    const storedMs = clock.monotonicMs()
    const entry: Entry = { prepared, storedMs, lifetimeS, from, ...(extendedErrors ? { extendedErrors } : {}) }
    if (lifetimeS > 0) entries.set(key, { ...entry, from: 'cache' })
    // The flight may have been shared, so the id, letter case and flags are this asker's, not the first one's. That goes
    // for failures too, which are not kept.
    return serve(entry, view, new Uint8Array(prepared.wire.length), 0)
  }

  const layer: Layer = (next) => ({
    id: 'cache',
    resolve(query, signal) {
      const { view } = query
      const key = cacheKey(query)
      const entry = entries.get(key)
      if (entry) {
        const ageS = Math.floor((clock.monotonicMs() - entry.storedMs) / 1000)
        if (ageS < entry.lifetimeS) {
          hits++
          return serve(entry, view, hitBuffer, ageS)
        }
      }
      misses++
      const outcome = next.resolve(query, signal)
      return outcome instanceof Promise
        ? outcome.then((settled) => admit(key, view, settled))
        : admit(key, view, outcome)
    },
  })

  return {
    layer,
    status: () => ({ entries: entries.size, bytes: entries.calculatedSize, hits, misses }),
    flush: () => entries.clear(),
  }
}

/**
 * Name, type, class, the two bits that change what an upstream answers (RFC 4035 §3.2, §4.9), DO and CD, and the scope of
 * clients that are sent to other upstreams.
 */
export function cacheKey({ view, client }: Pick<Query, 'view' | 'client'>): string {
  const bits = (view.dnssecOk ? 1 : 0) | (view.checkingDisabled ? 2 : 0)
  if (client.scope !== undefined) return `${view.questionKey}${bits}${client.scope}`
  return bits === 0 ? view.questionKey : view.questionKey + bits
}

/**
 * Seconds the answer may be given again; 0 means never (RFC 2308 §5, RFC 2181 §8). An SOA beside a CNAME speaks of the
 * CNAME's target, and then the shorter of both counts.
 */
function lifetimeOf({ rcode, truncated, answerCount, minTtlS, negativeTtlS }: PreparedAnswer): number {
  if (truncated || (rcode !== RCODE.NOERROR && rcode !== RCODE.NXDOMAIN)) return 0
  const negative = rcode === RCODE.NXDOMAIN || answerCount === 0
  if (negative && negativeTtlS === undefined) return 0
  return Math.min(minTtlS, negativeTtlS ?? minTtlS, negative ? NEGATIVE_TTL_S_MAX : POSITIVE_TTL_S_MAX)
}
