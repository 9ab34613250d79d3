import type { Clock } from '../../core/clock.ts'
import type { HttpRequest, HttpResponse } from '../../net/http.ts'
import { failedLogins } from './failed-logins.ts'
import type { Caller, Role } from './operation.ts'
import { problem } from './problem.ts'
import type { AdminTokens } from './tokens.ts'

/** Who asks, or the answer to somebody we do not know. */
export type Access = (request: HttpRequest) => Promise<Caller | HttpResponse>

/**
 * A bearer token (RFC 6750 §2.1), or a client certificate that leads to `admin.client-ca`. Nothing that a browser sends by
 * itself opens anything, so no page of somebody else can act for its reader.
 */
export function adminAccess(options: {
  readonly tokens: Pick<AdminTokens, 'check'>
  /** Role of those with a client certificate. */
  readonly clientRole: Role
  readonly clock: Clock
}): Access {
  const { tokens, clientRole, clock } = options
  const failures = failedLogins(clock)
  return async ({ headers, remoteAddress, clientName }) => {
    const blockedMs = failures.blockedMs(remoteAddress)
    if (blockedMs > 0)
      return problem(429, 'too many wrong tokens from this address', {
        headers: { 'retry-after': String(Math.ceil(blockedMs / 1000)) },
      })
    const [, token] = /^Bearer ([\w.~+/-]+=*)$/i.exec(headers['authorization'] ?? '') ?? []
    if (token !== undefined) {
      const known = await tokens.check(token)
      if (known) return { by: `token ${known.name}`, role: known.role }
      failures.failed(remoteAddress)
      return refused('this token is unknown or has expired', ', error="invalid_token"')
    }
    if (clientName !== undefined) return { by: `certificate ${clientName}`, role: clientRole }
    if (headers['authorization'] !== undefined) failures.failed(remoteAddress)
    return refused('send a token: `Authorization: Bearer ...`; `hearth-operator token add` makes one')
  }
}

function refused(detail: string, error = ''): HttpResponse {
  return problem(401, detail, { headers: { 'www-authenticate': `Bearer realm="hearth-operator"${error}` } })
}
