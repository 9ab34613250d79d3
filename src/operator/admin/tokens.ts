import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { fromBase64url, toBase64url } from '../../core/bytes.ts'
import type { Clock } from '../../core/clock.ts'
import { Fault } from '../../core/fault.ts'
import type { Stored, Table } from '../../core/table.ts'
import type { Audit } from '../audit/audit.ts'
import type { Role } from './operation.ts'

/** What opens the admin API. Id: its name. The token itself is shown once and kept nowhere. */
export interface TokenRow {
  /** SHA-256 of the secret half, base64url. The secret has 256 random bits: there is nothing to slow a guesser down for. */
  readonly hash: string
  readonly role: Role
  readonly createdMs: number
  /** Absent: it does not expire. */
  readonly expiresMs?: number
}

export interface AdminTokens {
  /** The token, `NAME.SECRET`. Fault CONFLICT when the name is taken. */
  add(name: string, options: { readonly role: Role; readonly expiresMs?: number; readonly by: string }): Promise<string>
  list(page: { readonly after?: string; readonly limit: number }): Promise<readonly Stored<TokenRow>[]>
  /** Fault NOT_FOUND. It opens nothing from then on. */
  remove(name: string, options: { readonly by: string }): Promise<void>
  /** Undefined: unknown, wrong or expired; which of them is not told. */
  check(token: string): Promise<{ readonly name: string; readonly role: Role } | undefined>
}

export const TOKEN_NAME = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/
const SECRET_BYTES = 32
const TOKEN_CHARACTERS_MAX = 256
/** Compared with when there is no such token, so that the answer takes as long. */
const NO_HASH = Buffer.alloc(SECRET_BYTES)

export function adminTokens(options: {
  readonly table: Table<TokenRow>
  readonly audit: Pick<Audit, 'record'>
  readonly clock: Clock
}): AdminTokens {
  const { table, audit, clock } = options
  return {
    async add(name, { role, expiresMs, by }) {
      const secret = randomBytes(SECRET_BYTES)
      const row: TokenRow = {
        hash: toBase64url(sha256(secret)),
        role,
        createdMs: clock.nowMs(),
        ...(expiresMs === undefined ? {} : { expiresMs }),
      }
      if (await table.find(name)) throw new Fault('CONFLICT', `there is a token ${name} already`)
      await audit.record({ event: 'token-added', by, token: name, reason: `role ${role}` })
      if (!(await table.insert(name, row))) throw new Fault('CONFLICT', `there is a token ${name} already`)
      return `${name}.${toBase64url(secret)}`
    },
    list: (page) => table.list(page),
    async remove(name, { by }) {
      const found = await table.find(name)
      if (!found) throw new Fault('NOT_FOUND', `there is no token ${name}`)
      await audit.record({ event: 'token-removed', by, token: name })
      // False: somebody else has removed it.
      await table.remove(found)
    },
    async check(token) {
      const dot = token.lastIndexOf('.')
      if (dot < 1 || token.length > TOKEN_CHARACTERS_MAX) return undefined
      const name = token.slice(0, dot)
      if (!TOKEN_NAME.test(name)) return undefined
      const secret = fromBase64url(token.slice(dot + 1))
      const found = await table.find(name)
      const hash = found ? Buffer.from(found.row.hash, 'base64url') : NO_HASH
      const isRight = timingSafeEqual(sha256(secret ?? NO_HASH), hash)
      if (!found || !isRight || !secret) return undefined
      const { role, expiresMs } = found.row
      return expiresMs !== undefined && clock.nowMs() >= expiresMs ? undefined : { name, role }
    },
  }
}

function sha256(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest()
}
