import { deepFreeze } from '../core/freeze.ts'
import { BACKLOG_MAX, type Jobs, REMOVED_AT_ONCE_MAX, type Stored, type Table } from '../core/table.ts'
import { inOrderOfId, matches, rowText } from './row.ts'

/** A Table that ends with the process: tests, and state that is cheap to make again. */
export function memoryTable<T>(): Table<T> {
  return tableOver(new Map(), async () => {})
}

/** Makes the change last. The table shows it only afterwards. */
export type SaveRow = (
  id: string,
  change: { readonly version: number; readonly row: string } | 'remove',
) => Promise<void>

/** A Table over rows in memory. Writes go one after the other, so that what is checked is what is saved. */
export function tableOver<T>(rows: Map<string, Stored<T>>, save: SaveRow): Table<T> {
  // Never reused, so that a row that was removed and made again is not taken for the one that was seen.
  let lastVersion = [...rows.values()].reduce((last, { version }) => Math.max(last, version), 0)
  let writing: Promise<unknown> = Promise.resolve()
  const oneAtATime = <R>(write: () => Promise<R>): Promise<R> => {
    const done = writing.then(write)
    writing = done.catch(() => {})
    return done
  }
  const put = async (id: string, value: T): Promise<Stored<T>> => {
    const row = rowText(value)
    const version = ++lastVersion
    await save(id, { version, row })
    const stored: Stored<T> = deepFreeze({ id, version, row: JSON.parse(row) })
    rows.set(id, stored)
    return stored
  }
  const isCurrent = (seen: Stored<T>): boolean => rows.get(seen.id)?.version === seen.version
  return {
    find: async (id) => rows.get(id),
    insert: (id, row) => oneAtATime(async () => (rows.has(id) ? undefined : put(id, row))),
    replace: (seen, next) => oneAtATime(async () => (isCurrent(seen) ? put(seen.id, next) : undefined)),
    remove: (seen) =>
      oneAtATime(async () => {
        if (!isCurrent(seen)) return false
        await save(seen.id, 'remove')
        return rows.delete(seen.id)
      }),
    removeUpTo: (last) =>
      oneAtATime(async () => {
        const ids = [...rows.keys()].filter((id) => id <= last).sort()
        for (const id of ids.slice(0, REMOVED_AT_ONCE_MAX)) {
          await save(id, 'remove')
          rows.delete(id)
        }
        return Math.min(ids.length, REMOVED_AT_ONCE_MAX)
      }),
    async list({ where = {}, after, limit }) {
      const found = [...rows.values()].filter(
        ({ id, row }) => (after === undefined || id > after) && matches(row, where),
      )
      return found.sort(inOrderOfId).slice(0, limit)
    },
  }
}

interface Job {
  dueMs: number
  leaseUntilMs: number
  /** Put again after it was taken: the worker's `finish` must not end it. */
  again: boolean
}

export function memoryJobs(): Jobs {
  const jobs = new Map<string, Job>()
  return {
    async put(id, dueMs) {
      const job = jobs.get(id)
      if (job) Object.assign(job, { dueMs, again: job.leaseUntilMs > 0 })
      else jobs.set(id, { dueMs, leaseUntilMs: 0, again: false })
    },
    async take(nowMs, leaseMs, limit) {
      const due = [...jobs].filter(([, job]) => job.dueMs <= nowMs && job.leaseUntilMs <= nowMs)
      const taken = due.sort(([, a], [, b]) => a.dueMs - b.dueMs).slice(0, limit)
      for (const [, job] of taken) Object.assign(job, { leaseUntilMs: nowMs + leaseMs, again: false })
      return taken.map(([id]) => id)
    },
    async extend(id, nowMs, leaseMs) {
      const job = jobs.get(id)
      if (job && job.leaseUntilMs > 0) job.leaseUntilMs = nowMs + leaseMs
    },
    async backlog(nowMs) {
      const due = [...jobs.values()].filter((job) => job.dueMs <= nowMs && job.leaseUntilMs <= nowMs)
      const oldestMs = due.reduce((oldest, { dueMs }) => Math.min(oldest, dueMs), Infinity)
      return { due: Math.min(due.length, BACKLOG_MAX), ...(due.length === 0 ? {} : { oldestMs }) }
    },
    async finish(id, nextDueMs) {
      const job = jobs.get(id)
      const dueMs = Math.min(job?.again ? job.dueMs : Infinity, nextDueMs ?? Infinity)
      if (dueMs === Infinity) jobs.delete(id)
      else jobs.set(id, { dueMs, leaseUntilMs: 0, again: false })
    },
  }
}
