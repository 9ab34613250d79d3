import { randomBytes } from 'node:crypto'
import type { Clock } from '../../core/clock.ts'
import { Fault } from '../../core/fault.ts'
import type { Stored, Table } from '../../core/table.ts'
import { type AuditEntry, type AuditEvent, type AuditMark, entryId, hashOf, idBefore } from './entry.ts'

/** The end of a chain that no other chain goes on from yet. Id: the chain. */
export type AuditHeadRow = AuditMark

export interface Audit {
  /** Resolves when the entry is stored. Throws when it cannot be: what is not written down should not be done. */
  record(event: AuditEvent): Promise<void>
  /** Entries in order of time. */
  list(page: {
    readonly sinceMs?: number
    readonly after?: string
    readonly limit: number
  }): Promise<readonly Stored<AuditEntry>[]>
  /** Removes entries older than this, oldest first, at most a bounded number; false when there are more. */
  trim(olderThanMs: number): Promise<boolean>
}

/** Heads named by the first entry of a chain. More chains than that have not begun since the last one that named some. */
const HEADS_MAX = 1000
/** Decisions are rare; thousands that wait mean that the store hangs. */
const WAITING_MAX = 10_000
/** Entries removed by one call. */
const TRIM_MAX = 5000
const TRIM_PAGE = 500
const CHAIN_BYTES = 6

/**
 * The log of every decision, each entry holding the hash of the one before. A chain begins with the first event of a
 * running instance and names the chains it goes on from; whoever changes or takes away an entry breaks the chain behind it.
 */
export function openAudit(options: {
  readonly entries: Table<AuditEntry>
  readonly heads: Table<AuditHeadRow>
  readonly clock: Clock
}): Audit {
  const { entries, heads, clock } = options
  /** Of this instance's chain; undefined before its first entry, and after a write that may or may not have happened. */
  let end: { readonly chain: string; readonly number: number; readonly head: Stored<AuditHeadRow> } | undefined
  let waiting = 0
  let writing: Promise<unknown> = Promise.resolve()

  const append = async (event: AuditEvent & Pick<AuditEntry, 'trimmedBeforeMs'>): Promise<void> => {
    const last = end
    end = undefined
    const found = last ? [] : await heads.list({ limit: HEADS_MAX })
    const entry: AuditEntry = {
      ...event,
      // The wall clock may step back; the order of a chain does not.
      atMs: Math.max(clock.nowMs(), last?.head.row.atMs ?? 0),
      chain: last?.chain ?? randomBytes(CHAIN_BYTES).toString('hex'),
      number: (last?.number ?? 0) + 1,
      ...(last ? { previous: last.head.row } : {}),
      ...(found.length > 0 ? { continues: Object.fromEntries(found.map(({ id, row }) => [id, row])) } : {}),
    }
    const { chain, number, atMs } = entry
    const mark = { hash: hashOf(entry), atMs }
    if (!(await entries.insert(entryId(entry), entry)))
      throw new Fault('STORE_UNAVAILABLE', 'the audit log has another entry in this place')
    const head = await moveHead(heads, chain, mark, last?.head)
    for (const each of found) await heads.remove(each)
    end = { chain, number, head }
  }
  /** One after the other, because each needs the hash of the one before. */
  const inTurn = async <T>(write: () => Promise<T>): Promise<T> => {
    if (waiting >= WAITING_MAX) throw new Fault('STORE_UNAVAILABLE', 'the audit log does not keep up')
    waiting++
    const done = writing.then(write).finally(() => waiting--)
    writing = done.catch(() => {})
    return done
  }

  return {
    record: (event) => inTurn(() => append(event)),
    list({ sinceMs, after, limit }) {
      const from = after ?? (sinceMs === undefined ? undefined : idBefore(sinceMs))
      return entries.list({ limit, ...(from === undefined ? {} : { after: from }) })
    },
    trim: (olderThanMs) =>
      inTurn(async () => {
        const old: Stored<AuditEntry>[] = []
        while (old.length < TRIM_MAX) {
          const after = old.at(-1)?.id
          const page = await entries.list({ limit: TRIM_PAGE, ...(after === undefined ? {} : { after }) })
          const due = page.filter(({ row }) => row.atMs < olderThanMs)
          old.push(...due)
          if (due.length < TRIM_PAGE) break
        }
        if (old.length === 0) return true
        // Written down before it is done: removed without a word would look like a theft.
        await append({ event: 'log-trimmed', by: 'service', trimmedBeforeMs: old.at(-1)!.row.atMs + 1 })
        for (const entry of old) await entries.remove(entry)
        return old.length < TRIM_MAX
      }),
  }
}

/** Removed by a chain that has named it, the head of a running instance is there again after its next entry. */
async function moveHead(
  heads: Table<AuditHeadRow>,
  chain: string,
  mark: AuditMark,
  seen: Stored<AuditHeadRow> | undefined,
): Promise<Stored<AuditHeadRow>> {
  const head = (seen && (await heads.replace(seen, mark))) ?? (await heads.insert(chain, mark))
  if (!head) throw new Fault('STORE_UNAVAILABLE', 'the audit log has another end of this chain')
  return head
}
