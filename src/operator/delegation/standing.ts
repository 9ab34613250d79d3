import type { OrderRow } from '../../acme/server/rows.ts'
import type { Clock } from '../../core/clock.ts'
import type { Stored, Table } from '../../core/table.ts'
import { type DeviceRow, registrationOf } from './device.ts'
import type { Publications } from './revocations.ts'

/**
 * How a router stands: `waiting` for it to enrol, `enrolled` without a certificate yet, `valid` with one, `failed` when its
 * last order did or its certificate ran out, `revoked`.
 */
export const STANDINGS = ['waiting', 'enrolled', 'valid', 'failed', 'revoked'] as const
export type Standing = (typeof STANDINGS)[number]

export interface DeviceStanding {
  readonly state: Standing
  /** End of the certificate that lasts longest. */
  readonly validUntilMs?: number
}

/** Orders of one account that are looked at; limits on orders keep a device far below. */
const ORDERS_MAX = 100

export function standings(options: {
  readonly orders: Table<OrderRow>
  readonly publications: Publications
  readonly clock: Clock
}): (device: Stored<DeviceRow>) => Promise<DeviceStanding> {
  const { orders, publications, clock } = options
  return async ({ row }) => {
    const registration = registrationOf(row)
    if (registration === 'revoked') {
      const untilMs = row.revoked?.usableUntilMs ?? 0
      return { state: 'revoked', ...(untilMs > clock.nowMs() ? { validUntilMs: untilMs } : {}) }
    }
    if (row.account === undefined) return { state: 'waiting' }
    const placed = await orders.list({ where: { account: row.account }, limit: ORDERS_MAX })
    const ends = await Promise.all(
      placed.map(async ({ row: { certificate } }) =>
        certificate === undefined ? undefined : (await publications.find(certificate))?.row.notAfterMs,
      ),
    )
    const untilMs = Math.max(0, ...ends.filter((endMs) => endMs !== undefined))
    if (untilMs > clock.nowMs()) return { state: 'valid', validUntilMs: untilMs }
    const isOpen = placed.some(({ row: { status } }) => status === 'ready' || status === 'processing')
    return { state: placed.length === 0 || isOpen ? 'enrolled' : 'failed' }
  }
}
