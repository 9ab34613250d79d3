import type { AcmeClient, PlacedOrder } from './plumbing.ts'
import { readOrderList } from './reading.ts'

/** Of the list of orders, from its front: where an authority lists more, an order whose URL was lost may not be found. */
const ORDER_PAGES_MAX = 20
const ORDERS_MAX = 200

/** One of exactly our names that waits for its CSR: a CSR is sent only when the URL has been written down. */
export async function findLostOrder(
  {
    client,
    names,
    placed,
  }: {
    readonly client: AcmeClient
    readonly names: readonly string[]
    readonly placed?: (order?: string) => Promise<void>
  },
  list: string | undefined,
  signal: AbortSignal,
): Promise<PlacedOrder | undefined> {
  const wanted = [...names].sort().join(' ')
  let seen = 0
  let page = list
  for (let pages = 0; page !== undefined && pages < ORDER_PAGES_MAX; pages++) {
    const reply = await client.postAsGet(page, signal)
    for (const url of readOrderList(reply.content)) {
      if (++seen > ORDERS_MAX) return undefined
      const found = await client.order(url, signal)
      const { status, identifiers } = found.order
      const isOurs =
        identifiers
          .map(({ value }) => value)
          .toSorted()
          .join(' ') === wanted
      if (!isOurs || (status !== 'pending' && status !== 'ready')) continue
      await placed?.(url)
      return found
    }
    page = reply.links('next')[0]
  }
  return undefined
}
