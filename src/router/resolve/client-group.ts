import { addressSet } from '../../net/address-set.ts'
import type { Layer } from './chain.ts'

/** Clients that are sent to upstreams of their own. */
export interface ClientGroup {
  /** Its networks in words; what is cached for the group carries it. */
  readonly id: string
  readonly networks: readonly string[]
}

/** The group of an address: the first that has it. */
export function groupFinder(groups: readonly ClientGroup[]): (address: string) => string | undefined {
  const sets = groups.map(({ id, networks }) => ({ id, holds: addressSet(networks) }))
  return (address) => sets.find(({ holds }) => holds(address))?.id
}

/** Keeps the cached answers of the groups apart. Only in the chain when there are groups. */
export function withClientGroups(groups: readonly ClientGroup[]): Layer {
  const groupOf = groupFinder(groups)
  return (next) => ({
    id: 'client-groups',
    resolve(query, signal) {
      const { client } = query
      const group = groupOf(client.address)
      if (group === undefined) return next.resolve(query, signal)
      // Another layer may have its own reason to tell clients apart.
      const scope = client.scope === undefined ? group : `${client.scope} ${group}`
      return next.resolve({ ...query, client: { ...client, scope } }, signal)
    },
  })
}
