import { type AuditEntry, type AuditMark, hashOf } from './entry.ts'

export interface AuditVerdict {
  readonly entries: number
  readonly chains: number
  /** The first entry that is not as it was written, or that rests on one that is gone. */
  readonly broken?: { readonly id: string; readonly reason: string }
  /** Entries that rest on older ones outside what was read (an export of a part): checked from there on only. */
  readonly unanchored: number
}

/** Ten years of daily restarts of a hundred instances. */
const CHAINS_MAX = 500_000
/** An entry that another chain names was written just before; the clocks of instances differ by less than this many entries. */
const RECENT_MAX = 100_000

/**
 * Reads a log in order of time and tells the first entry that does not fit. `isWhole`: it is the log itself, so that what an
 * entry rests on must be there, or have been trimmed on the record. Changes at the very end, after the last entry that
 * somebody has a copy of, cannot be seen: keep exports elsewhere.
 */
export async function verifyAudit(
  log: AsyncIterable<{ readonly id: string; readonly row: AuditEntry }>,
  { isWhole }: { readonly isWhole: boolean },
): Promise<AuditVerdict> {
  const ends = new Map<string, { readonly hash: string; readonly number: number }>()
  const endHashes = new Set<string>()
  const recent = new Set<string>()
  /** What entries rest on and has not been seen: hash → its time, and who needs it. */
  const missing = new Map<string, { readonly atMs: number; readonly id: string; readonly reason: string }>()
  let entries = 0
  let unanchored = 0
  let goneBeforeMs = 0
  const verdict = (broken?: AuditVerdict['broken']): AuditVerdict => ({
    entries,
    chains: ends.size,
    unanchored,
    ...(broken ? { broken } : {}),
  })
  const rest = (id: string, { hash, atMs }: AuditMark, reason: string): void => {
    if (atMs >= goneBeforeMs && !recent.has(hash) && !endHashes.has(hash)) missing.set(hash, { atMs, id, reason })
  }

  for await (const { id, row } of log) {
    entries++
    const { chain, number, previous, continues = {}, trimmedBeforeMs } = row
    const hash = hashOf(row)
    const end = ends.get(chain)
    if (end && number !== end.number + 1)
      return verdict({ id, reason: `entry ${end.number + 1} of its chain ${chain} is missing before it` })
    if (end && previous?.hash !== end.hash)
      return verdict({
        id,
        reason: 'it was not written after the entry that stands before it; one of both was changed',
      })
    if (!previous && number > 1) return verdict({ id, reason: 'it does not name the entry before it' })
    if (!end && previous) rest(id, previous, `entry ${number - 1} of its chain ${chain} is missing before it`)
    for (const [other, mark] of Object.entries(continues))
      rest(id, mark, `the entry of chain ${other} that it goes on from is missing or was changed`)
    goneBeforeMs = Math.max(goneBeforeMs, trimmedBeforeMs ?? 0)
    for (const [lost, { atMs }] of trimmedBeforeMs === undefined ? [] : missing)
      if (atMs < goneBeforeMs) missing.delete(lost)
    missing.delete(hash)
    recent.add(hash)
    if (recent.size > RECENT_MAX) recent.delete(recent.values().next().value!)
    if (end) endHashes.delete(end.hash)
    endHashes.add(hash)
    ends.set(chain, { hash, number })
    if (ends.size > CHAINS_MAX) return verdict({ id, reason: `there are more than ${CHAINS_MAX} chains before it` })
  }
  unanchored = missing.size
  const [first] = missing.values()
  return verdict(isWhole && first ? { id: first.id, reason: first.reason } : undefined)
}
