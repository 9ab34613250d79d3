import { cacheKey } from './cache.ts'
import type { Layer } from './chain.ts'
import type { Outcome } from './resolver.ts'

/** Questions being asked upstream at one time; more than this means the upstreams are gone, and then waiting helps nobody. */
const FLIGHTS_MAX = 4096
/** A flight belongs to all who wait for it: when the first of them goes away, it goes on. Its deadline ends it. */
const NOBODYS_SIGNAL = new AbortController().signal

/**
 * One flight per key: identical questions wait for the one already under way, which also denies an attacker the
 * birthday odds of many open questions (RFC 5452 §5). The cache above rewrites the shared answer for each asker.
 */
export function withDedup(): Layer {
  const flights = new Map<string, Promise<Outcome>>()
  return (next) => ({
    id: 'dedup',
    resolve(query) {
      const key = cacheKey(query)
      const under = flights.get(key)
      if (under) return under
      const outcome = next.resolve(query, NOBODYS_SIGNAL)
      if (!(outcome instanceof Promise) || flights.size >= FLIGHTS_MAX) return outcome
      const flight = outcome.finally(() => flights.delete(key))
      flights.set(key, flight)
      return flight
    },
  })
}
