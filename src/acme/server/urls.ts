import { ENDPOINT_NAMES, ENDPOINTS, type Endpoint, type EndpointName, type Params } from './endpoints.ts'
import type { AcmeRequest } from './exchange.ts'

/** What may stand in a path: our own random ids, and those of the operator's delegations and certificates. */
const ID = '[A-Za-z0-9._-]{1,128}'
const ID_ALONE = new RegExp(`^${ID}$`)

/** Builds and reads the URLs of the endpoint table below one base URL. */
export class Urls {
  readonly #base: string
  readonly #origin: string
  readonly #patterns: ReadonlyMap<EndpointName, RegExp>

  constructor(baseUrl: string) {
    this.#origin = new URL(baseUrl).origin
    this.#base = this.#origin + new URL(baseUrl).pathname.replace(/\/+$/, '')
    this.#patterns = new Map(ENDPOINT_NAMES.map((name) => [name, patternOf(ENDPOINTS[name])]))
  }

  to<N extends EndpointName>(name: N, params: Params<N>, cursor?: string): string {
    const path = ENDPOINTS[name].path.replace(/:(\w+)/g, (_, param: keyof Params<N>) => params[param])
    return this.#base + path + (cursor === undefined ? '' : `?cursor=${cursor}`)
  }

  /** Undefined when the URL is not one of that endpoint. */
  read<N extends EndpointName>(name: N, url: string): Params<N> | undefined {
    if (!url.startsWith(this.#base)) return undefined
    const match = this.#patterns.get(name)!.exec(url.slice(this.#base.length))
    // The pattern was made from the same path as the type.
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion
    return match ? ({ ...match.groups } as Params<N>) : undefined
  }

  /** The URL that the client must have signed (RFC 8555 §6.4). */
  ofRequest({ path, query }: AcmeRequest): string {
    return this.#origin + path + (query.size > 0 ? `?${query.toString()}` : '')
  }

  /** Which row serves this request: the path alone decides. */
  route(request: AcmeRequest): { readonly name: EndpointName; readonly params: Record<string, string> } | undefined {
    for (const name of ENDPOINT_NAMES) {
      const params = this.read(name, this.#origin + request.path)
      if (params) return { name, params }
    }
    return undefined
  }
}

/** The cursor of a list request: where the page starts. Null: not one of ours. */
export function readCursor(query: URLSearchParams): string | undefined | null {
  const cursor = query.get('cursor')
  if (cursor === null) return undefined
  return ID_ALONE.test(cursor) ? cursor : null
}

function patternOf({ path, looseSlashes }: Endpoint): RegExp {
  const ids = path.replace(/:(\w+)/g, `(?<$1>${ID})`)
  return new RegExp(looseSlashes ? `^${ids.replaceAll('/', '/{1,2}')}/?$` : `^${ids}$`)
}
