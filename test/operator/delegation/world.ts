import type { AccountRow, OrderRow } from '../../../src/acme/server/rows.ts'
import type { AuditEvent } from '../../../src/operator/audit/entry.ts'
import type { DeviceRow } from '../../../src/operator/delegation/device.ts'
import { deviceRegistry } from '../../../src/operator/delegation/devices.ts'
import { createRevocations } from '../../../src/operator/delegation/revocations.ts'
import { standings } from '../../../src/operator/delegation/standing.ts'
import { templateFor } from '../../../src/operator/delegation/template.ts'
import { memoryTable } from '../../../src/store/memory.ts'
import { ManualClock } from '../../support/manual-clock.ts'

export const DAY_MS = 86_400_000
export const BY = 'cli root (uid 0)'

/** A registry over memory, with what the ACME server and the publisher would keep beside it. */
export function createWorld() {
  const clock = new ManualClock()
  const devices = memoryTable<DeviceRow>()
  const accounts = memoryTable<AccountRow>()
  const orders = memoryTable<OrderRow>()
  const publications = memoryTable<{ notAfterMs: number }>()
  const events: AuditEvent[] = []
  const audit = { record: async (event: AuditEvent) => void events.push(event) }
  const revocations = createRevocations({ orders, publications, clock })
  const registry = deviceRegistry({
    devices,
    accounts,
    revocations,
    audit,
    zone: 'cpe.example',
    namePattern: 'cpe-*',
    templateFor: (name) => templateFor(name, ['p256', 'rsa2048']),
    clock,
  })
  return {
    clock,
    devices,
    accounts,
    orders,
    publications,
    events,
    audit,
    revocations,
    registry,
    standing: standings({ orders, publications, clock }),
    /** A device whose router has the account. */
    async enrolled(name: string, account: string): Promise<string> {
      const [device] = await registry.add({ names: [name], by: BY })
      await accounts.insert(account, ACCOUNT)
      await registry.externalAccounts.bind(device!.name, account)
      return device!.name
    },
    async order(id: string, row: Partial<OrderRow> & Pick<OrderRow, 'account' | 'status'>): Promise<void> {
      await orders.insert(id, {
        identifiers: ['home.cpe.example'],
        delegation: 'home.cpe.example',
        star: true,
        allowCertificateGet: true,
        expiresMs: clock.nowMs() + 30 * DAY_MS,
        ...row,
      })
    },
  }
}

export const ACCOUNT: AccountRow = { status: 'valid', jwk: { kty: 'EC' }, contact: [], termsOfServiceAgreed: true }
