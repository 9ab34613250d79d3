/** State that two processes may touch. A row changes only by compare-and-swap on its version. */
export interface Stored<T> {
  readonly id: string
  readonly version: number
  readonly row: T
}

export interface Table<T> {
  find(id: string): Promise<Stored<T> | undefined>
  /** Undefined means the id is taken: read the row that is there and decide again. */
  insert(id: string, row: T): Promise<Stored<T> | undefined>
  /** Undefined means someone wrote since `seen`: read again and decide again. */
  replace(seen: Stored<T>, next: T): Promise<Stored<T> | undefined>
  /** False means someone wrote or removed since `seen`. */
  remove(seen: Stored<T>): Promise<boolean>
  /** Removes rows whose id is not after this one, a bounded batch of the first; how many. 0: there are none left. */
  removeUpTo(id: string): Promise<number>
  /** Rows in order of id, after `after`, where each field of `where` (text, top level of the row) has that value. */
  list(page: Page): Promise<readonly Stored<T>[]>
}

export interface Page {
  readonly where?: Readonly<Record<string, string>>
  readonly after?: string
  readonly limit: number
}

/** Rows that one `removeUpTo` removes: a statement of milliseconds that holds few locks. */
export const REMOVED_AT_ONCE_MAX = 1000

/**
 * Work that is due at a time, taken by one worker at a time, repeated until it is finished. What a lease is measured by is
 * one clock: where several instances share the jobs it is the store's own, and `nowMs` only says what is due.
 */
export interface Jobs {
  /** Adds the job, or moves it to `dueMs` when it is there. */
  put(job: string, dueMs: number): Promise<void>
  /** Jobs due at `nowMs`, earliest first, leased until `nowMs + leaseMs`: then anyone may take them again. */
  take(nowMs: number, leaseMs: number, limit: number): Promise<readonly string[]>
  /** Keeps a job that was taken, until `nowMs + leaseMs`. Nothing happens when it is finished already. */
  extend(job: string, nowMs: number, leaseMs: number): Promise<void>
  /** Ends the job, or says when it is due next. */
  finish(job: string, nextDueMs?: number): Promise<void>
  /** How many are due at `nowMs` and taken by nobody, counted up to BACKLOG_MAX, and since when the first of them is. */
  backlog(nowMs: number): Promise<{ readonly due: number; readonly oldestMs?: number }>
}

/** More than that is too much, whatever the number. */
export const BACKLOG_MAX = 10_000

/** All rows where the fields are as `where` says, in order of id, `limit` read at a time. */
export async function* allRows<T>(
  table: Pick<Table<T>, 'list'>,
  { where = {}, limit }: Omit<Page, 'after'>,
): AsyncGenerator<Stored<T>> {
  let after: string | undefined
  for (;;) {
    const page = await table.list({ where, limit, ...(after === undefined ? {} : { after }) })
    yield* page
    if (page.length < limit) return
    after = page.at(-1)!.id
  }
}
