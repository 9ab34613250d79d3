import { explain, type Log } from '../../core/log.ts'
import type { HttpRequest, HttpResponse } from '../../net/http.ts'
import type { Access } from './access.ts'
import { API_PREFIX, openApiDocument } from './openapi.ts'
import { type OperationTable, perform } from './operation.ts'
import type { PageFiles } from './page.ts'
import { problem, problemOfFault } from './problem.ts'
import { inputOfQuery } from './query-input.ts'
import type { Readiness } from './readiness.ts'

/** The largest list of names of one call, see PAGE_MAX, with room for its keys. */
export const ADMIN_BODY_BYTES_MAX = 512 * 1024

/** Operations over HTTP, and beside them the page, the metrics and what monitors ask. Nothing here decides anything. */
export function httpFace(options: {
  readonly table: OperationTable
  readonly access: Access
  /** `host` or `host:port` of requests that are meant for us, without ports; everything else may be DNS rebinding. */
  readonly hosts: ReadonlySet<string>
  readonly metrics: () => string
  /** Anybody who reaches the listener may read the metrics. */
  readonly openMetrics: boolean
  readonly readiness: () => Promise<Readiness>
  readonly page: PageFiles
  readonly version: string
  readonly log: Log
}): (request: HttpRequest) => Promise<HttpResponse> {
  const { table, access, hosts, page, log } = options
  const document = JSON.stringify(openApiDocument(table, options.version))

  const operate = async (name: string, request: HttpRequest): Promise<HttpResponse> => {
    const caller = await access(request)
    if ('status' in caller) return caller
    if (name === 'openapi.json')
      return request.method === 'GET' ? content('application/json', document) : useInstead('GET')
    if (!Object.hasOwn(table, name)) return problem(404, `there is no operation at ${request.path}`)
    const { role, input } = table[name]!
    if (request.method === 'GET' && role !== 'read') return useInstead('POST')
    if (request.method !== 'GET' && request.method !== 'POST') return useInstead(role === 'read' ? 'GET, POST' : 'POST')
    const asked = request.method === 'GET' ? inputOfQuery(request.query, input) : bodyOf(request)
    if (asked instanceof Unreadable) return problem(asked.status, asked.message)
    try {
      const result = await perform(table, name, asked, caller)
      if (role === 'operate') log.info({ operation: name, by: caller.by }, 'an operation was done')
      return content('application/json', JSON.stringify(result ?? null))
    } catch (error) {
      const known = problemOfFault(error)
      if (!known) log.error({ operation: name, ...explain(error) }, 'an operation failed by a bug of ours')
      return known ?? problem(500, `${name} failed by a bug of ours; the log of the service says more`)
    }
  }

  const answer = async (request: HttpRequest): Promise<HttpResponse> => {
    const { path, method } = request
    // Those who ask for these know an address, seldom a name.
    if (path === '/healthz') return content('text/plain; charset=utf-8', 'ok\n')
    if (path === '/readyz') {
      const { isReady, reason } = await options.readiness()
      return { ...content('text/plain; charset=utf-8', `${reason}\n`), status: isReady ? 200 : 503 }
    }
    if (!hosts.has(hostOf(request)))
      return problem(421, 'this host name is not ours; `admin.hosts` of the settings lists those that are')
    if (path.startsWith(API_PREFIX)) return operate(path.slice(API_PREFIX.length), request)
    if (method !== 'GET' && method !== 'HEAD') return useInstead('GET')
    if (path === '/metrics') {
      const caller = options.openMetrics ? undefined : await access(request)
      if (caller && 'status' in caller) return caller
      return content('text/plain; version=0.0.4; charset=utf-8', options.metrics())
    }
    const file = Object.hasOwn(page, path) ? page[path] : undefined
    return file ? content(file.type, file.text) : problem(404, `there is nothing at ${path}`)
  }
  return async (request) => {
    const { status, headers, body } = await answer(request)
    return { status, headers: { ...SECURITY_HEADERS, ...headers }, body }
  }
}

/** The page takes code and styles from here alone and talks to nobody else; no other page may hold it in a frame. */
const SECURITY_HEADERS = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'cache-control': 'no-store',
} as const

function content(type: string, body: string): HttpResponse {
  return { status: 200, headers: { 'content-type': type }, body }
}

function useInstead(methods: string): HttpResponse {
  return problem(405, `use ${methods}`, { headers: { allow: methods } })
}

function hostOf({ headers }: HttpRequest): string {
  const host = (headers['host'] ?? '').toLowerCase()
  return URL.canParse(`https://${host}`) ? new URL(`https://${host}`).hostname : ''
}

class Unreadable extends Error {
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

function bodyOf({ headers, body }: HttpRequest): unknown {
  if (body.length === 0) return {}
  // A form of another page can send text, never this type (no CORS).
  if (!/^application\/json\s*(;|$)/i.test(headers['content-type'] ?? ''))
    return new Unreadable(415, 'send JSON with `Content-Type: application/json`')
  try {
    return JSON.parse(Buffer.from(body).toString()) as unknown
  } catch {
    return new Unreadable(400, 'the body is no JSON')
  }
}
