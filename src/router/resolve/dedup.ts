import { cacheKey } from './cache/key.ts'
import type { Layer } from './chain.ts'
import type { Outcome } from './resolver.ts'

/** Questions being asked upstream at one time; more than this means the upstreams are gone, and then waiting helps nobody. */
const FLIGHTS_MAX = 4096
/** A flight belongs to all who wait for it: when the first of them goes away, it goes on. Its deadline ends it. */
const NOBODYS_SIGNAL = new AbortController().signal

interface Flight {
  /** Emptied when it is over: tables of flights that V8 has replaced keep what was in them for long. */
  outcome: Promise<Outcome> | undefined
}

/**
 * One flight per key: identical questions wait for the one already under way, which also denies an attacker the
 * birthday odds of many open questions (RFC 5452 §5). The cache above rewrites the shared answer for each asker; its
 * refreshes come this way too. A flight keeps the deadline of the first asker: all have the same patience, and one who
 * joins late is told of the failure early rather than made to wait for an upstream that has been silent that long.
 * A signed question is nobody else's (RFC 5625 §4.5).
 */
export function withDedup(): Layer {
  const flights = new Map<string, Flight>()
  return (next) => ({
    id: 'dedup',
    resolve(query, signal) {
      if (query.view.signed) return next.resolve(query, signal)
      const key = cacheKey(query)
      const under = flights.get(key)?.outcome
      if (under) return under
      const outcome = next.resolve(query, NOBODYS_SIGNAL)
      if (!(outcome instanceof Promise) || flights.size >= FLIGHTS_MAX) return outcome
      const flight: Flight = { outcome }
      flights.set(key, flight)
      const land = (): void => {
        flights.delete(key)
        flight.outcome = undefined
      }
      outcome.then(land, land)
      return outcome
    },
  })
}
