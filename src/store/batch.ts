/** What many ask for at the same time, done by one statement: what a busy server saves most on. */

/** A statement of that many rows stays some hundred kilobytes. */
const BATCH_MAX = 100
/** So many statements of one kind are out at a time. What is asked meanwhile waits for one of them, and goes together. */
const UNDER_WAY_MAX = 2

export interface Asked {
  readonly id: string
}

/**
 * Makes a call for one row of a call for many, which resolves to what there is for each id. A statement is sent after
 * whoever asks has asked, so everybody sees what was written before; an idle store is asked at the end of the turn.
 * `apart`: no id stands in a batch twice, the second one waits for the next.
 */
export function inBatches<A extends Asked, R>(
  run: (batch: readonly A[]) => Promise<ReadonlyMap<string, R>>,
  { apart = false }: { readonly apart?: boolean } = {},
): (asked: A) => Promise<R | undefined> {
  interface Waiting {
    readonly asked: A
    readonly resolve: (found: R | undefined) => void
    readonly reject: (error: unknown) => void
  }
  let waiting: Waiting[] = []
  let underWay = 0

  const send = async (batch: readonly Waiting[]): Promise<void> => {
    underWay++
    try {
      const found = await run(batch.map(({ asked }) => asked))
      for (const { asked, resolve } of batch) resolve(found.get(asked.id))
    } catch (error) {
      for (const { reject } of batch) reject(error)
    } finally {
      underWay--
      sendAll()
    }
  }
  const nextBatch = (): readonly Waiting[] => {
    const ids = new Set<string>()
    const [batch, left]: [Waiting[], Waiting[]] = [[], []]
    for (const each of waiting) {
      const { id } = each.asked
      if (batch.length === BATCH_MAX || (apart && ids.has(id))) left.push(each)
      else batch.push(each)
      ids.add(id)
    }
    waiting = left
    return batch
  }
  const sendAll = (): void => {
    while (waiting.length > 0 && underWay < UNDER_WAY_MAX) void send(nextBatch())
  }
  return (asked) =>
    new Promise((resolve, reject) => {
      if (waiting.push({ asked, resolve, reject }) === 1 && underWay < UNDER_WAY_MAX) setImmediate(sendAll)
    })
}
