import type { AcmeRequest, AcmeResponse } from '../acme/server/exchange.ts'
import { Urls } from '../acme/server/urls.ts'

/** What one instance does of the whole: `api` ACME, `publish` nothing but plain GET of certificates, `worker` the jobs. */
export const ROLES = ['api', 'worker', 'publish'] as const
export type Role = (typeof ROLES)[number]

type Handle = (request: AcmeRequest) => Promise<AcmeResponse>

/** The requests of these roles; undefined when none of them answers any. */
export function servedBy(roles: readonly Role[], handle: Handle, baseUrl: string): Handle | undefined {
  if (roles.includes('api')) return handle
  if (!roles.includes('publish')) return undefined
  const urls = new Urls(baseUrl)
  return async (request) =>
    request.method !== 'POST' && urls.route(request)?.name === 'certificate' ? handle(request) : NOT_HERE
}

const NOT_HERE: AcmeResponse = {
  status: 404,
  headers: { 'Content-Type': 'text/plain' },
  body: 'this instance serves published certificates only\n',
}
