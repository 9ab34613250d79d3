import { Fault } from '../../core/fault.ts'
import { parseJson } from '../json.ts'
import { AcmeProblem } from '../problem.ts'

/** Somebody else's sockets: bounded, no redirects followed, one trust store. Rejects when no response could be had. */
export type AcmeTransport = (request: TransportRequest) => Promise<TransportResponse>

export interface TransportRequest {
  readonly method: 'GET' | 'HEAD' | 'POST'
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: Uint8Array
  readonly signal: AbortSignal
}

export interface TransportResponse {
  readonly status: number
  /** Lower-case names. A header that came several times is a list, or joined with commas. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly body: Uint8Array
}

/** A response that is no error, with the headers of RFC 8555 read. */
export interface AcmeReply {
  readonly status: number
  /** Parsed JSON when it came as JSON, text otherwise. */
  readonly content: unknown
  readonly location?: string
  readonly retryAfterMs?: number
  readonly header: (name: string) => string | undefined
  /** Targets of the links with this relation. */
  readonly links: (relation: string) => readonly string[]
}

/** A chain of ten certificates with RSA-4096 keys and a hundred names each is a tenth of this. */
const BODY_BYTES_MAX = 1024 * 1024
const RETRY_AFTER_MS_MIN = 1000
const RETRY_AFTER_MS_MAX = 86_400_000

/** One request. Throws Fault ACME_UNREACHABLE (no answer) or ACME_PROTOCOL (no ACME answer), but returns refusals. */
export async function send(transport: AcmeTransport, request: TransportRequest): Promise<TransportResponse> {
  const { url, method, signal } = request
  if (!url.startsWith('https://')) throw new Fault('ACME_PROTOCOL', `${url} is not an https URL`)
  signal.throwIfAborted()
  let response: TransportResponse
  try {
    response = await transport(request)
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof Fault) throw error
    throw new Fault('ACME_UNREACHABLE', `${method} ${url} was not answered`, { url }, error)
  }
  signal.throwIfAborted()
  if (response.body.length > BODY_BYTES_MAX) {
    throw new Fault('ACME_PROTOCOL', `${method} ${url} was answered with ${response.body.length} bytes`, { url })
  }
  return response
}

/** Success, or the server's refusal thrown as AcmeProblem. */
export function readReply(response: TransportResponse, url: string): AcmeReply {
  const { status } = response
  const header = (name: string): string | undefined => firstHeader(response, name)
  const retryAfterMs = parseRetryAfterMs(header('retry-after'), header('date'))
  const content = readContent(response, url)
  if (status >= 400) throw refusal(response, content, { url, retryAfterMs })
  if (status >= 300 && status !== 304) {
    throw new Fault('ACME_PROTOCOL', `${url} answered with a redirect (${status}); none are followed`, { url, status })
  }
  const location = header('location')
  return {
    status,
    content,
    header,
    links: (relation) => parseLinks(response.headers['link'], relation, url),
    ...(location === undefined ? {} : { location: resolveUrl(location, url) }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  }
}

export function firstHeader({ headers }: TransportResponse, name: string): string | undefined {
  const value = headers[name]
  return typeof value === 'object' ? value[0] : value
}

/**
 * Seconds or HTTP-date (RFC 9110 §10.2.3), held between one second and one day. A date is counted from the response's own
 * Date, because a router that has just started does not know the time.
 */
export function parseRetryAfterMs(value: string | undefined, date: string | undefined): number | undefined {
  if (value === undefined) return undefined
  const ms = /^\d+$/.test(value.trim()) ? Number(value) * 1000 : Date.parse(value) - Date.parse(date ?? '')
  if (Number.isNaN(ms)) return undefined
  return Math.min(Math.max(ms, RETRY_AFTER_MS_MIN), RETRY_AFTER_MS_MAX)
}

/** RFC 8288 as far as ACME uses it. */
export function parseLinks(
  value: string | readonly string[] | undefined,
  relation: string,
  baseUrl: string,
): readonly string[] {
  const links = [value ?? []]
    .flat()
    .join(', ')
    .matchAll(/<([^<>]*)>([^<>]*)/g)
  return [...links]
    .filter(([, , params]) =>
      /;\s*rel\s*=\s*"?([^";,]*)"?/i
        .exec(params ?? '')?.[1]
        ?.split(/\s+/)
        .includes(relation),
    )
    .map(([, target]) => resolveUrl(target ?? '', baseUrl))
}

function readContent(response: TransportResponse, url: string): unknown {
  const type = firstHeader(response, 'content-type')?.split(';')[0]?.trim().toLowerCase()
  if (type !== 'application/json' && type !== 'application/problem+json') {
    return new TextDecoder().decode(response.body)
  }
  const content = parseJson(response.body)
  if (content === undefined) throw new Fault('ACME_PROTOCOL', `${url} answered with broken JSON`, { url })
  return content
}

function refusal(
  response: TransportResponse,
  content: unknown,
  { url, retryAfterMs }: { url: string; retryAfterMs: number | undefined },
): Error {
  const { status } = response
  const extras = { status, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) }
  const problem = typeof content === 'string' ? undefined : AcmeProblem.fromDocument(content, extras)
  if (problem) return problem
  // A proxy in front of a server that is down says so in HTML.
  const code = status >= 500 ? 'ACME_UNREACHABLE' : 'ACME_PROTOCOL'
  return new Fault(code, `${url} answered ${status} without a problem document`, { url, ...extras })
}

function resolveUrl(target: string, baseUrl: string): string {
  // Kept as sent: an account URL is compared byte for byte when it comes back as "kid".
  if (URL.canParse(target)) return target
  if (URL.canParse(target, baseUrl)) return new URL(target, baseUrl).href
  throw new Fault('ACME_PROTOCOL', `${baseUrl} answered with the unreadable URL ${target.slice(0, 200)}`)
}
