import { STATUS_CODES } from 'node:http'
import { Fault, type FaultCode } from '../../core/fault.ts'
import type { HttpResponse } from '../../net/http.ts'

/** Problem details (RFC 9457) of the admin API: the status is of HTTP, `code` is the fault's name. */
export function problem(
  status: number,
  detail: string,
  more: { readonly code?: FaultCode; readonly hint?: string; readonly headers?: Readonly<Record<string, string>> } = {},
): HttpResponse {
  const { headers = {}, ...words } = more
  return {
    status,
    headers: { 'content-type': 'application/problem+json', 'cache-control': 'no-store', ...headers },
    body: JSON.stringify({ type: 'about:blank', title: STATUS_CODES[status], status, detail, ...words }),
  }
}

/** Faults that are the caller's affair; all others are ours. */
const STATUS: Partial<Record<FaultCode, number>> = {
  USAGE: 400,
  NAMES_REFUSED: 422,
  NOT_ALLOWED: 403,
  NOT_FOUND: 404,
  CONFLICT: 409,
  STORE_UNAVAILABLE: 503,
}
const OTHER_FAULT = 502

/** Undefined: a bug of ours, of which the caller learns nothing. */
export function problemOfFault(thrown: unknown): HttpResponse | undefined {
  if (!(thrown instanceof Fault)) return undefined
  const { code, message, hint } = thrown
  return problem(STATUS[code] ?? OTHER_FAULT, message, code === 'USAGE' ? { code } : { code, hint })
}
