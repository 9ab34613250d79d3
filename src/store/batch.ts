/** Asked for in one turn of the event loop, read by one statement: what a busy server saves most on. */

/** More than arrive in one turn from a connection pool's worth of clients; the statement stays some kilobytes. */
const BATCH_MAX = 100

interface Waiting<T> {
  readonly id: string
  readonly resolve: (found: T | undefined) => void
  readonly reject: (error: unknown) => void
}

/**
 * Makes one reader of single rows of a reader of many. Nothing is kept: the statement is sent after whoever asks has asked,
 * so everybody sees what was written before.
 */
export function inBatches<T>(
  read: (ids: readonly string[]) => Promise<ReadonlyMap<string, T>>,
): (id: string) => Promise<T | undefined> {
  let waiting: Waiting<T>[] = []
  const send = async (batch: readonly Waiting<T>[]): Promise<void> => {
    try {
      const found = await read([...new Set(batch.map(({ id }) => id))])
      for (const { id, resolve } of batch) resolve(found.get(id))
    } catch (error) {
      for (const { reject } of batch) reject(error)
    }
  }
  const sendAll = (): void => {
    const all = waiting
    waiting = []
    for (let at = 0; at < all.length; at += BATCH_MAX) void send(all.slice(at, at + BATCH_MAX))
  }
  return (id) =>
    new Promise((resolve, reject) => {
      if (waiting.push({ id, resolve, reject }) === 1) setImmediate(sendAll)
    })
}
