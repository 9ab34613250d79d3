import type { OperationTable as SocketTable } from '../../net/operations.ts'
import type { DeviceRegistry, NewDevice } from '../delegation/devices.ts'
import { type OperationTable, operation, perform } from './operation.ts'

/** What people and programs may ask of the operator service. The CLI, the HTTP API and its page are faces of this table. */
export type Operations = ReturnType<typeof createOperations>
export type OperationName = keyof Operations

export interface OperatorStatus {
  readonly directory: string
  readonly authorities: readonly string[]
}

/** Without the EAB key: it was shown when the device was added. */
export interface DeviceSummary {
  readonly name: string
  readonly added: string
  readonly enrolled: boolean
}

/** One call adds and lists at most this many: an answer must fit into memory. */
export const PAGE_MAX = 1000
/** RFC 1035 §2.3.4, in text. */
const NAME_CHARS_MAX = 253

export function createOperations(parts: {
  readonly registry: DeviceRegistry
  readonly authorities: readonly { readonly id: string }[]
  readonly baseUrl: string
}) {
  const { registry } = parts
  return {
    status: operation({
      summary: 'what the running service offers',
      role: 'read',
      input: {},
      run: async (): Promise<OperatorStatus> => ({
        directory: `${parts.baseUrl}/directory`,
        authorities: parts.authorities.map(({ id }) => id),
      }),
    }),
    'device-add': operation({
      summary: 'register routers: makes their names and their one-time keys',
      role: 'operate',
      input: {
        name: { type: 'string', description: 'the name to register; random when left out', maxLength: NAME_CHARS_MAX },
        count: { type: 'integer', description: 'how many, with random names', minimum: 1, maximum: PAGE_MAX },
      },
      async run({ name, count = 1 }): Promise<readonly NewDevice[]> {
        const added: NewDevice[] = []
        for (let index = 0; index < count; index++) added.push(await registry.add(name))
        return added
      },
    }),
    'device-list': operation({
      summary: 'the registered routers, in order of name',
      role: 'read',
      input: {
        after: { type: 'string', description: 'continue after this name', maxLength: NAME_CHARS_MAX },
        limit: { type: 'integer', description: 'how many at most', minimum: 1, maximum: PAGE_MAX },
      },
      async run({ after, limit = PAGE_MAX }): Promise<readonly DeviceSummary[]> {
        const page = await registry.list({ limit, ...(after === undefined ? {} : { after }) })
        return page.map(({ id, row }) => ({
          name: id,
          added: new Date(row.createdMs).toISOString(),
          enrolled: row.account !== undefined,
        }))
      },
    }),
  } satisfies OperationTable
}

/** The table as the unix socket serves it: whoever can open the socket may do all. */
export function socketFace(table: OperationTable): SocketTable {
  return Object.fromEntries(
    Object.keys(table).map((name) => [
      name,
      (input: unknown, by = 'unknown') => perform(table, name, input, { by, role: 'operate' }),
    ]),
  )
}
