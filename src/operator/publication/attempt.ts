import type { Clock } from '../../core/clock.ts'
import type { Stored, Table } from '../../core/table.ts'
import { type Attempt, ISSUE_MS_MAX } from '../authority/authority.ts'
import type { IssuanceRow } from './rows.ts'

/** Another worker has taken this up: leave it to that one. */
export class Overtaken extends Error {}

/** Throws Overtaken when somebody wrote since `seen`. */
export async function writeDown(
  table: Table<IssuanceRow>,
  seen: Stored<IssuanceRow>,
  next: IssuanceRow,
): Promise<Stored<IssuanceRow>> {
  const written = await table.replace(seen, next)
  if (!written) throw new Overtaken()
  return written
}

/** What an authority is given to write down its steps with, over a row whose `attempt` is set. `latest`: the row as it is by then. */
export function attemptOver(
  table: Table<IssuanceRow>,
  start: Stored<IssuanceRow>,
  clock: Clock,
  signal: AbortSignal,
): { readonly attempt: Attempt; latest(): Stored<IssuanceRow> } {
  let seen = start
  const { order, placingSinceMs } = start.row.attempt!
  const attempt: Attempt = {
    // Each has its own time: one that hangs must leave the next one all of it.
    signal: AbortSignal.any([signal, AbortSignal.timeout(ISSUE_MS_MAX)]),
    ...(order === undefined ? {} : { order }),
    ...(placingSinceMs === undefined ? {} : { placingSinceMs }),
    async placed(url) {
      const { order: _order, placingSinceMs: _placing, ...kept } = seen.row.attempt!
      const step = url === undefined ? { placingSinceMs: clock.nowMs() } : { order: url }
      seen = await writeDown(table, seen, { ...seen.row, attempt: { ...kept, ...step } })
    },
  }
  return { attempt, latest: () => seen }
}
