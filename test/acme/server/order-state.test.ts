import { describe, expect, it } from 'vitest'
import type { OrderStatus } from '../../../src/acme/resource.ts'
import {
  cancelOrder,
  completeForwardedOrder,
  completeOrder,
  failOrder,
  ORDER_TRANSITIONS,
} from '../../../src/acme/server/order-state.ts'
import type { OrderRow } from '../../../src/acme/server/rows.ts'
import { memoryTable } from '../../../src/store/memory.ts'

const PROBLEM = { type: 'urn:ietf:params:acme:error:serverInternal', detail: 'the authority refused', status: 500 }

async function tableWith(status: OrderStatus, more: Partial<OrderRow> = {}) {
  const orders = memoryTable<OrderRow>()
  const row = { account: 'a', identifiers: [], delegation: 'd', star: true, allowCertificateGet: true, expiresMs: 0 }
  await orders.insert('o', { ...row, status, ...more })
  return orders
}

describe('RFC 9115 §2.2 states of an order', () => {
  const STATUSES: readonly OrderStatus[] = ['pending', 'ready', 'processing', 'valid', 'invalid', 'canceled']

  it.each(STATUSES)('leave %s only as the table says', async (from) => {
    const attempts: readonly (readonly [OrderStatus, () => Promise<unknown>])[] = [
      ['valid', async () => completeOrder(await tableWith(from), 'o', 'c')],
      ['invalid', async () => failOrder(await tableWith(from), 'o', PROBLEM)],
      ['canceled', async () => cancelOrder(await tableWith(from), 'o')],
    ]
    for (const [to, attempt] of attempts) {
      const repeated = from === to && to !== 'valid'
      if (ORDER_TRANSITIONS[from].includes(to) || repeated) await expect(attempt()).resolves.toBeDefined()
      else await expect(attempt()).rejects.toThrow(`is ${from} and cannot become ${to}`)
    }
  })

  it('complete with the certificate, and once more without harm', async () => {
    const orders = await tableWith('processing')
    const done = await completeOrder(orders, 'o', 'c1')
    expect(done.row).toMatchObject({ status: 'valid', certificate: 'c1' })
    expect((await completeOrder(orders, 'o', 'c1')).version).toBe(done.version)
    await expect(completeOrder(orders, 'o', 'c2')).rejects.toThrow('cannot become valid')
  })

  it('complete with the URL of the authority when the order was forwarded', async () => {
    const orders = await tableWith('processing')
    const done = await completeForwardedOrder(orders, 'o', 'https://ca.example/star/1')
    expect(done.row).toMatchObject({ status: 'valid', certificateUrl: 'https://ca.example/star/1' })
    expect((await completeForwardedOrder(orders, 'o', 'https://ca.example/star/1')).version).toBe(done.version)
    await expect(completeForwardedOrder(orders, 'o', 'https://ca.example/star/2')).rejects.toThrow('cannot become')
  })

  it('fail with the problem, keeping the first one', async () => {
    const orders = await tableWith('processing')
    expect((await failOrder(orders, 'o', PROBLEM)).row).toMatchObject({ error: PROBLEM, allowCertificateGet: true })
    const again = await failOrder(orders, 'o', { ...PROBLEM, detail: 'later' }, { clearGetFlag: true })
    expect(again.row.error).toEqual(PROBLEM)
  })

  it('clear the GET flag when no authority allows it', async () => {
    const failed = await failOrder(await tableWith('processing'), 'o', PROBLEM, { clearGetFlag: true })
    expect(failed.row).toMatchObject({ status: 'invalid', allowCertificateGet: false })
  })

  it('cancel nothing that does not renew by itself', async () => {
    await expect(cancelOrder(await tableWith('valid', { star: false }), 'o')).rejects.toThrow('does not renew')
  })

  it('decide again after somebody else has written', async () => {
    const orders = await tableWith('processing')
    let collisions = 3
    const contended = {
      ...orders,
      replace: async (...[seen, next]: Parameters<typeof orders.replace>) => {
        if (collisions-- > 0) {
          await orders.replace(seen, { ...seen.row, expiresMs: collisions })
          return undefined
        }
        return orders.replace(seen, next)
      },
    }
    expect((await completeOrder(contended, 'o', 'c')).row).toMatchObject({ status: 'valid', expiresMs: 0 })
    await expect(completeOrder(contended, 'missing', 'c')).rejects.toThrow('no row missing')
  })

  it('give up on a row that is written to without end', async () => {
    const orders = await tableWith('processing')
    const contended = { ...orders, replace: async () => undefined }
    await expect(completeOrder(contended, 'o', 'c')).rejects.toThrow('without end')
  })
})
