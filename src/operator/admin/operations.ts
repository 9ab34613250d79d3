import type { OperationTable as SocketTable } from '../../net/operations.ts'
import { auditOperations } from './audit-operations.ts'
import { authorityOperations } from './authority-operations.ts'
import { deviceOperations } from './device-operations.ts'
import {
  type AuthorityHealthSummary,
  type FleetSummary,
  fleetOperations,
  fleetSummary,
  healthSummary,
  type Watch,
} from './fleet-operations.ts'
import { type OperationTable, operation, perform } from './operation.ts'
import { orderOperations } from './order-operations.ts'
import { tokenOperations } from './token-operations.ts'
import type { AdminTokens } from './tokens.ts'

/** What people and programs may ask of the operator service. The CLI, the HTTP API and its page are faces of this table. */
export type Operations = ReturnType<typeof createOperations>
export type OperationName = keyof Operations

export interface OperatorStatus {
  readonly directory: string
  readonly authorities: readonly string[]
  readonly fleet: FleetSummary
  readonly health: readonly AuthorityHealthSummary[]
}

export type OperationParts = Omit<Parameters<typeof deviceOperations>[0], 'directory'> &
  Parameters<typeof orderOperations>[0] & {
    readonly audit: Parameters<typeof auditOperations>[0]
    readonly authorities: Parameters<typeof authorityOperations>[0]
    readonly tokens: AdminTokens
    readonly watch: Watch
    readonly baseUrl: string
  }

export function createOperations(parts: OperationParts) {
  const directory = `${parts.baseUrl}/directory`
  return {
    status: operation({
      summary: 'what the running service offers, and how it does',
      role: 'read',
      input: {},
      run: async (): Promise<OperatorStatus> => ({
        directory,
        authorities: (await parts.authorities.list()).map(({ name }) => name),
        fleet: fleetSummary(parts.watch.census),
        health: healthSummary(parts.watch.health),
      }),
    }),
    ...deviceOperations({ ...parts, directory }),
    ...orderOperations(parts),
    ...authorityOperations(parts.authorities),
    ...auditOperations(parts.audit),
    ...fleetOperations(parts.watch),
    ...tokenOperations(parts.tokens),
  } satisfies OperationTable
}

/** The table as the unix socket serves it: whoever can open the socket may do all. */
export function socketFace(table: OperationTable): SocketTable {
  return Object.fromEntries(
    Object.keys(table).map((name) => [
      name,
      (input: unknown, by = 'admin socket') => perform(table, name, input, { by, role: 'operate' }),
    ]),
  )
}
