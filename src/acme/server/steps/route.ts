import { AcmeProblem } from '../../problem.ts'
import type { AcmeContext } from '../context.ts'
import { ENDPOINTS, type Endpoint, type EndpointName, type Verb } from '../endpoints.ts'
import type { AcmeRequest } from '../exchange.ts'

export interface Route {
  readonly name: EndpointName
  readonly endpoint: Endpoint
  readonly params: Readonly<Record<string, string>>
  readonly verb: Verb
}

/** Finds the row of the table, or refuses with 404 or 405. */
export function routeRequest(request: AcmeRequest, { urls }: AcmeContext): Route {
  const found = urls.route(request)
  if (!found) throw new AcmeProblem('malformed', 'there is nothing at this URL', { status: 404 })
  const endpoint: Endpoint = ENDPOINTS[found.name]
  const verb = endpoint.verbs.find((name) => name === request.method)
  if (!verb) throw methodNotAllowed(endpoint.verbs)
  return { ...found, endpoint, verb }
}

export function methodNotAllowed(allowed: readonly Verb[]): AcmeProblem {
  const list = allowed.join(', ')
  return new AcmeProblem('malformed', `this URL takes ${list} only`, { status: 405, headers: { Allow: list } })
}
