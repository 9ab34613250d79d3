import assert from 'node:assert'
import { type ClientGroup, groupFinder } from './client-group.ts'
import { nameKey, nameOfQuestion } from './name-key.ts'
import type { Explain, Resolver } from './resolver.ts'

/** Which questions go to which upstreams. */
export interface Route {
  /** Names at and below it; absent: all that no other route has. */
  readonly domain?: string
  /** Asked by these clients; absent: by everybody. */
  readonly group?: ClientGroup
  readonly to: Resolver
  /** For people: the ids of the upstreams. */
  readonly upstreams: readonly string[]
}

/**
 * Sends each question to the upstreams of the longest domain that holds its name; between routes for the same domain,
 * the asker's own one comes before that for everybody. A name below a routed domain never goes anywhere else, whatever
 * happens to its upstreams: outside it may not exist, or be a stranger's. There must be a route for all names and
 * everybody.
 */
export function createRouter(routes: readonly Route[]): { readonly resolver: Resolver; readonly explain: Explain } {
  const groupOf = groupFinder(groupsOf(routes))
  const tables = new Map<string | undefined, Map<string, Route>>()
  for (const route of routes) {
    const table = tables.get(route.group?.id) ?? new Map<string, Route>()
    tables.set(route.group?.id, table.set(nameKey(route.domain ?? '.'), route))
  }
  const everybody = tables.get(undefined)
  const fallback = everybody?.get(nameKey('.'))
  assert(everybody && fallback, 'there is a route for all names and everybody: the settings were checked')

  const find = (key: string, address: string): Route => {
    const group = groupOf(address)
    const own = group === undefined ? undefined : tables.get(group)
    // A name has at most 127 labels; the root is the last.
    for (let at = 0; at < key.length; at += key.charCodeAt(at) + 1) {
      const suffix = key.slice(at)
      const route = own?.get(suffix) ?? everybody.get(suffix)
      if (route) return route
    }
    return fallback
  }

  return {
    resolver:
      routes.length === 1
        ? fallback.to
        : {
            id: 'route',
            resolve: (query, signal) => {
              return find(nameOfQuestion(query.view.questionKey), query.client.address).to.resolve(query, signal)
            },
          },
    explain: ({ name }, client) => {
      const route = find(nameKey(name), client)
      return {
        layer: 'upstreams',
        says: `goes to ${route.upstreams.join(', ')} (${routeText(route)})`,
        decides: true,
      }
    },
  }
}

/** `route corp.example for 192.168.1.64/26`, `default route`. */
export function routeText({ domain, group }: Pick<Route, 'domain' | 'group'>): string {
  const clients = group === undefined ? '' : ` for ${group.id}`
  return `${domain === undefined ? 'default route' : `route ${domain}`}${clients}`
}

export function groupsOf(routes: readonly Pick<Route, 'group'>[]): readonly ClientGroup[] {
  return [...new Map(routes.flatMap(({ group }) => (group ? [[group.id, group] as const] : []))).values()]
}
