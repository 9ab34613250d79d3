import type { OrderRow } from '../../acme/server/rows.ts'
import type { Stored, Table } from '../../core/table.ts'
import type { IssuanceRow, PublicationRow } from './rows.ts'

/** Rows of each table looked at in one go. */
const BATCH = 500

export interface Sweep {
  readonly removed: number
  /** The end of a table was reached: no hurry. */
  readonly isRoundOver: boolean
}

/**
 * Removes what has been over for a while, batch by batch: publications after their last certificate, then the orders that
 * have none any more, with what is left of their issuance. Any number of instances may do so.
 */
export function endedRows(options: {
  readonly orders: Table<OrderRow>
  readonly publications: Table<PublicationRow>
  readonly issuances: Table<IssuanceRow>
  /** Id of an order's publication, and of its issuance. */
  readonly publicationId: (orderId: string) => string
  /** What else is kept of a publication. */
  readonly forget?: (row: PublicationRow) => Promise<void>
}): { sweep(endedBeforeMs: number): Promise<Sweep> } {
  const { orders, publications, issuances } = options
  const publicationBatches = batchesOf(publications)
  const orderBatches = batchesOf(orders)

  const isOrderOver = async ({ id, row }: Stored<OrderRow>, endedBeforeMs: number): Promise<boolean> =>
    row.expiresMs < endedBeforeMs && (await publications.find(options.publicationId(id))) === undefined
  const forgetIssuance = async (id: string): Promise<void> => {
    const seen = await issuances.find(id)
    if (seen) await issuances.remove(seen)
  }
  return {
    async sweep(endedBeforeMs) {
      let removed = 0
      const published = await publicationBatches.next()
      for (const seen of published.rows)
        if (isPublicationOver(seen.row, endedBeforeMs) && (await publications.remove(seen))) {
          await options.forget?.(seen.row)
          removed++
        }
      const ordered = await orderBatches.next()
      for (const seen of ordered.rows) {
        if (!(await isOrderOver(seen, endedBeforeMs))) continue
        await forgetIssuance(options.publicationId(seen.id))
        if (await orders.remove(seen)) removed++
      }
      return { removed, isRoundOver: published.isLast || ordered.isLast }
    },
  }
}

function isPublicationOver({ terms, notAfterMs, canceled }: PublicationRow, endedBeforeMs: number): boolean {
  return notAfterMs < endedBeforeMs && (canceled === true || terms.endMs < endedBeforeMs)
}

/** Goes round a table, for ever. */
function batchesOf<T>(table: Table<T>): { next(): Promise<{ rows: readonly Stored<T>[]; isLast: boolean }> } {
  let after: string | undefined
  return {
    async next() {
      const rows = await table.list({ limit: BATCH, ...(after === undefined ? {} : { after }) })
      const isLast = rows.length < BATCH
      after = isLast ? undefined : rows.at(-1)!.id
      return { rows, isLast }
    },
  }
}
