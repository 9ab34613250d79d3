import { readReply, send } from '../acme/client/exchange.ts'
import { readDirectory } from '../acme/client/reading.ts'
import type { AccountRow, OrderRow } from '../acme/server/rows.ts'
import type { Clock } from '../core/clock.ts'
import { createHttpTransport } from '../net/http.ts'
import type { Store } from '../store/postgres.ts'
import { authorityDesk } from './admin/authority-desk.ts'
import type { Watch } from './admin/fleet-operations.ts'
import { createOperations, type Operations } from './admin/operations.ts'
import { type AdminTokens, adminTokens, type TokenRow } from './admin/tokens.ts'
import { type Audit, type AuditHeadRow, openAudit } from './audit/audit.ts'
import type { AuditEntry } from './audit/entry.ts'
import type { AuthorityConfig, OperatorConfig } from './config.ts'
import type { DeviceRow } from './delegation/device.ts'
import { type DeviceRegistry, deviceRegistry } from './delegation/devices.ts'
import { createRevocations } from './delegation/revocations.ts'
import { standings } from './delegation/standing.ts'
import { templateFor } from './delegation/template.ts'
import { revokeLater } from './publication/revocation.ts'
import type { PublicationRow } from './publication/rows.ts'

/** Everything that manages devices and orders, over the store alone: the service and the CLI beside it use the same. */
export interface Management {
  readonly registry: DeviceRegistry
  readonly audit: Audit
  readonly tokens: AdminTokens
  readonly standing: ReturnType<typeof standings>
  readonly operations: Operations
}

/** What only the running service can do. */
export interface ServiceParts {
  readonly cancelPublication?: Parameters<typeof createRevocations>[0]['cancelPublication']
  /** URL of our account at an authority, once it is open. */
  readonly accountUrl?: (authority: string) => Promise<string | undefined>
  /** What it sees, over what is made here. */
  readonly watchOf?: (management: Pick<Management, 'registry' | 'standing'>) => Watch
}

export function openManagement(
  config: OperatorConfig,
  store: Pick<Store, 'table' | 'jobs'>,
  clock: Clock,
  { cancelPublication, accountUrl, watchOf = () => NOTHING_SEEN }: ServiceParts = {},
): Management {
  const orders = store.table<OrderRow>('order')
  const publications = store.table<PublicationRow>('publication')
  const audit = openAudit({
    entries: store.table<AuditEntry>('audit'),
    heads: store.table<AuditHeadRow>('audit-head'),
    clock,
  })
  const jobs = store.jobs()
  const revocations = createRevocations({
    orders,
    publications,
    ...(cancelPublication ? { cancelPublication } : {}),
    revokeLater: revokeLater({ publications, jobs, clock }),
    clock,
  })
  const template = (name: string): ReturnType<typeof templateFor> => templateFor(name, config.delegation.keyTypes)
  const registry = deviceRegistry({
    devices: store.table<DeviceRow>('device'),
    accounts: store.table<AccountRow>('account'),
    revocations,
    audit,
    zone: config.zone.name,
    namePattern: config.delegation.namePattern,
    templateFor: template,
    clock,
  })
  const authorities = authorityDesk({
    authorities: config.authorities,
    zone: config.zone.name,
    readDirectory: askDirectory,
    ...(accountUrl ? { accountUrl } : {}),
    clock,
  })
  const tokens = adminTokens({ table: store.table<TokenRow>('admin-token'), audit, clock })
  const standing = standings({ orders, publications, clock })
  const operations = createOperations({
    registry,
    standing,
    templateFor: template,
    orders,
    publications,
    revocations,
    audit,
    authorities,
    tokens,
    watch: watchOf({ registry, standing }),
    baseUrl: config.baseUrl,
  })
  return { registry, audit, tokens, standing, operations }
}

const NOTHING_SEEN: Watch = {
  health: { status: () => [], failOvers: () => [] },
  census: { report: () => undefined },
  history: { steps: () => [] },
}

async function askDirectory(
  { directory, trust }: Exclude<AuthorityConfig, { readonly kind: 'internal' }>,
  signal: AbortSignal,
): Promise<ReturnType<typeof readDirectory>> {
  const transport = createHttpTransport({ ...(trust ? { ca: trust } : {}), userAgent: 'hearth-operator' })
  try {
    const response = await send(transport, { method: 'GET', url: directory, headers: {}, signal })
    return readDirectory(readReply(response, directory).content)
  } finally {
    transport.close()
  }
}
