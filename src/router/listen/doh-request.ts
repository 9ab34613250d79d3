import { fromBase64url } from '../../core/bytes.ts'

export const DOH_PATH = '/dns-query'
export const DOH_MEDIA_TYPE = 'application/dns-message'
const MESSAGE_BYTES_MIN = 12
export const MESSAGE_BYTES_MAX = 65_535

/** The HTTP side of one request, of either HTTP version. */
export interface DohRequest {
  readonly method: string
  /** Path with query string. */
  readonly path: string
  readonly contentType: string | undefined
  readonly accept: string | undefined
}

/** HTTP errors are for HTTP trouble; any DNS answer, SERVFAIL included, is a 200 (RFC 8484 §4.2.1). */
export type DohVerdict =
  | { readonly kind: 'query'; readonly wire: Uint8Array }
  | { readonly kind: 'body-wanted' }
  | {
      readonly kind: 'refused'
      readonly status: number
      readonly text: string
      readonly headers?: Record<string, string>
    }

const refused = (status: number, text: string, headers?: Record<string, string>): DohVerdict =>
  headers ? { kind: 'refused', status, text, headers } : { kind: 'refused', status, text }

/** Judges a request before its body is read (RFC 8484 §4.1). */
export function judgeRequest(request: DohRequest): DohVerdict {
  const mark = request.path.indexOf('?')
  const path = mark < 0 ? request.path : request.path.slice(0, mark)
  if (path !== DOH_PATH) return refused(404, `DNS queries are answered at ${DOH_PATH}`)
  if (request.method !== 'GET' && request.method !== 'HEAD' && request.method !== 'POST')
    return refused(405, 'use GET or POST', { allow: 'GET, HEAD, POST' })
  if (!accepts(request.accept)) return refused(406, `answers are ${DOH_MEDIA_TYPE}`)
  if (request.method === 'POST')
    return mediaType(request.contentType) === DOH_MEDIA_TYPE
      ? { kind: 'body-wanted' }
      : refused(415, `the body must be ${DOH_MEDIA_TYPE}`)
  const value = mark < 0 ? undefined : dnsParameter(request.path.slice(mark + 1))
  const wire = value === undefined ? undefined : fromBase64url(value)
  if (!wire) return refused(400, 'the dns parameter must be a DNS message in base64url without padding')
  return judgeBody(wire)
}

/** Judges the bytes of a message, from the body or the dns parameter. */
export function judgeBody(wire: Uint8Array): DohVerdict {
  if (wire.length < MESSAGE_BYTES_MIN) return refused(400, 'this is too short for a DNS message')
  if (wire.length > MESSAGE_BYTES_MAX) return refused(413, 'this is too long for a DNS message')
  return { kind: 'query', wire }
}

/** The value as sent: base64url needs no percent-decoding, and `+` must not become a space. */
function dnsParameter(query: string): string | undefined {
  if (query.startsWith('dns=') && !query.includes('&')) return query.slice(4)
  return query
    .split('&', QUERY_PARTS_MAX)
    .find((part) => part.startsWith('dns='))
    ?.slice(4)
}
const QUERY_PARTS_MAX = 16

function mediaType(header: string | undefined): string | undefined {
  return header?.split(';', 1)[0]!.trim().toLowerCase()
}

function accepts(header: string | undefined): boolean {
  if (header === undefined || header === DOH_MEDIA_TYPE || header === '*/*') return true
  return header.split(',').some((part) => [DOH_MEDIA_TYPE, 'application/*', '*/*'].includes(mediaType(part) ?? ''))
}
