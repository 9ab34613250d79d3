import type { Clock } from '../../core/clock.ts'
import { explain, type Log } from '../../core/log.ts'
import type { Table } from '../../core/table.ts'

/** Id: that of the authority. */
export interface HealthRow {
  /** Nobody sends it an order before. */
  readonly openUntilMs: number
}

/** An authority that is out is noticed by the other instances within this time. */
const READ_EVERY_MS = 5_000

export interface SharedHealth {
  /** Told to the others. Never throws: an instance that cannot tell acts on what it knows. */
  opened(authority: string, untilMs: number): Promise<void>
  /** What others have found, asked of the store now and then. */
  heard(): Promise<ReadonlyMap<string, number>>
}

/** What one instance finds out about an authority, for all: each keeps a circuit breaker of its own, which opens on hearsay too. */
export function sharedHealth(options: {
  readonly table: Table<HealthRow>
  readonly authorities: readonly string[]
  readonly clock: Clock
  readonly log: Log
}): SharedHealth {
  const { table, authorities, clock, log } = options
  let known = new Map<string, number>()
  let readMs = Number.NEGATIVE_INFINITY
  return {
    async opened(authority, openUntilMs) {
      try {
        const seen = await table.find(authority)
        // Whoever writes at the same time says the same.
        if (!seen) await table.insert(authority, { openUntilMs })
        else if (seen.row.openUntilMs < openUntilMs) await table.replace(seen, { openUntilMs })
      } catch (error) {
        log.warn({ authority, ...explain(error) }, 'the other instances could not be told that an authority is out')
      }
    },
    async heard() {
      const nowMs = clock.monotonicMs()
      if (nowMs - readMs < READ_EVERY_MS) return known
      readMs = nowMs
      try {
        const rows = await Promise.all(authorities.map((id) => table.find(id)))
        known = new Map(rows.flatMap((seen) => (seen ? [[seen.id, seen.row.openUntilMs] as const] : [])))
      } catch (error) {
        log.warn(explain(error), 'what other instances know of the authorities could not be read')
      }
      return known
    },
  }
}
