import type { UsedNonces } from '../acme/server/nonces.ts'
import type { Table } from '../core/table.ts'

/** What the instances on one store share of their nonces: a row for each that was used, until it is too old to be tried again. */
export function usedNoncesIn(table: Table<object>): UsedNonces {
  return {
    add: async (id) => (await table.insert(id, {})) !== undefined,
    async forget(upToId) {
      await table.removeUpTo(upToId)
    },
  }
}
