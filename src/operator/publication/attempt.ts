import type { Clock } from '../../core/clock.ts'
import { allRows, type Stored, type Table } from '../../core/table.ts'
import { type Attempt, ISSUE_MS_MAX } from '../authority/authority.ts'
import type { IssuanceAttempt, IssuanceRow } from './rows.ts'

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

/** One name has a handful of publications at most. */
const PAGE = 100

/** What an authority is given to write down its steps with, over a row whose `attempt` is set. `latest`: the row as it is by then. */
export function attemptOver(
  table: Table<IssuanceRow>,
  start: Stored<IssuanceRow>,
  clock: Clock,
  signal: AbortSignal,
): { readonly attempt: Attempt; latest(): Stored<IssuanceRow> } {
  let seen = start
  const { authority, order, placingSinceMs } = start.row.attempt!
  const { names } = start.row
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
    async isFree(url) {
      // Written by an instance of yesterday: it knew of no others either.
      if (names === undefined) return true
      for await (const { id, row } of allRows(table, { where: { names }, limit: PAGE })) {
        if (id === start.id || row.attempt?.authority !== authority) continue
        if (row.attempt.order === url) return false
        if (row.attempt.order === undefined && isPlacing(row.attempt, clock.nowMs())) throw new Overtaken()
      }
      return true
    },
  }
  return { attempt, latest: () => seen }
}

/** It lives, or has died a moment ago. */
function isPlacing({ placingSinceMs }: IssuanceAttempt, nowMs: number): boolean {
  return placingSinceMs !== undefined && nowMs - placingSinceMs < ISSUE_MS_MAX
}
