import { buildDate, parseDateMs } from '../../acme/resource.ts'
import { Fault } from '../../core/fault.ts'
import { type OperationTable, operation, type Role } from './operation.ts'
import { AFTER, LIMIT, nextAfter, PAGE_MAX } from './properties.ts'
import { type AdminTokens, TOKEN_NAME } from './tokens.ts'

export interface TokenSummary {
  readonly name: string
  readonly role: Role
  readonly added: string
  readonly expires?: string
}

const ROLES = ['read', 'operate'] as const satisfies Role[]
const NAME = {
  type: 'string',
  description: 'name of the token; it stands in the audit log beside what was done with it',
  maxLength: 64,
  pattern: TOKEN_NAME.source,
  required: true,
} as const

export function tokenOperations(tokens: AdminTokens) {
  return {
    'token-add': operation({
      summary: 'make a token for the admin API; it is shown this once',
      role: 'operate',
      input: {
        name: NAME,
        role: { type: 'string', description: 'what it may do', maxLength: 7, enum: ROLES, required: true },
        expires: { type: 'string', description: 'when it ends (RFC 3339); never unless given', maxLength: 40 },
      },
      async run(
        { name, role, expires },
        { by },
      ): Promise<{ name: string; role: Role; token: string; expires?: string }> {
        const expiresMs = expires === undefined ? undefined : parseDateMs(expires)
        if (expires !== undefined && expiresMs === undefined)
          throw new Fault('USAGE', `expires: expected a time such as 2027-01-10T00:00:00Z, got ${expires}`)
        const token = await tokens.add(name, { role, by, ...(expiresMs === undefined ? {} : { expiresMs }) })
        return { name, role, token, ...(expires === undefined ? {} : { expires }) }
      },
    }),
    'token-list': operation({
      summary: 'the tokens of the admin API, without their secrets',
      role: 'read',
      input: { after: AFTER, limit: LIMIT },
      async run({ after, limit = PAGE_MAX }): Promise<{ tokens: readonly TokenSummary[]; next?: string }> {
        const page = await tokens.list({ limit, ...(after === undefined ? {} : { after }) })
        return {
          tokens: page.map(({ id, row: { role, createdMs, expiresMs } }) => ({
            name: id,
            role,
            added: date(createdMs),
            ...(expiresMs === undefined ? {} : { expires: date(expiresMs) }),
          })),
          ...nextAfter(page, limit),
        }
      },
    }),
    'token-remove': operation({
      summary: 'end a token of the admin API',
      role: 'operate',
      input: { name: NAME },
      async run({ name }, { by }): Promise<{ name: string }> {
        await tokens.remove(name, { by })
        return { name }
      },
    }),
  } satisfies OperationTable
}

function date(ms: number): string {
  return buildDate(Math.floor(ms / 1000) * 1000)
}
