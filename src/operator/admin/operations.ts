import type { DeviceRegistry, NewDevice } from '../delegation/devices.ts'

/** What people and programs may ask of the operator service. CLI and HTTP are faces of this table. */
export type Operations = {
  readonly status: () => Promise<OperatorStatus>
  readonly 'device-add': (input: { readonly name?: string; readonly count?: number }) => Promise<readonly NewDevice[]>
  readonly 'device-list': (input: {
    readonly after?: string
    readonly limit?: number
  }) => Promise<readonly DeviceSummary[]>
}
export const OPERATION_NAMES = ['status', 'device-add', 'device-list'] as const satisfies readonly (keyof Operations)[]
export type OperationName = (typeof OPERATION_NAMES)[number]

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
const PAGE_MAX = 1000

export function createOperations(parts: {
  readonly registry: DeviceRegistry
  readonly authorities: readonly { readonly id: string }[]
  readonly baseUrl: string
}): Operations {
  const { registry } = parts
  return {
    status: async () => ({
      directory: `${parts.baseUrl}/directory`,
      authorities: parts.authorities.map(({ id }) => id),
    }),
    async 'device-add'({ name, count = 1 }) {
      const added: NewDevice[] = []
      for (let index = 0; index < Math.min(count, PAGE_MAX); index++) added.push(await registry.add(name))
      return added
    },
    async 'device-list'({ after, limit = PAGE_MAX }) {
      const page = await registry.list({ limit: Math.min(limit, PAGE_MAX), ...(after === undefined ? {} : { after }) })
      return page.map(({ id, row }) => ({
        name: id,
        added: new Date(row.createdMs).toISOString(),
        enrolled: row.account !== undefined,
      }))
    },
  }
}
