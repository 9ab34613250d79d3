import { addressSet } from '../../net/address-set.ts'
import type { Layer } from './chain.ts'
import type { Query } from './resolver.ts'

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
      const group = groupOf(query.client.address)
      return next.resolve(group === undefined ? query : inScope(query, group), signal)
    },
  })
}

/** The query of a client that shares cached answers only with its like. */
export function inScope(query: Query, scope: string): Query {
  const { client } = query
  return { ...query, client: { ...client, scope: bothScopes(client.scope, scope)! } }
}

/** Several layers may have their own reason to tell clients apart. Undefined: none has. */
export function bothScopes(outer: string | undefined, inner: string | undefined): string | undefined {
  if (outer === undefined || inner === undefined) return outer ?? inner
  return `${outer} ${inner}`
}
