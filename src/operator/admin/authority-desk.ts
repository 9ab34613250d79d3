import type { Directory } from '../../acme/resource.ts'
import type { Clock } from '../../core/clock.ts'
import { Fault, reasonOf } from '../../core/fault.ts'
import type { AuthorityConfig } from '../config.ts'

/** What people want to know about the CAs behind us. */
export interface AuthorityDesk {
  list(): Promise<readonly AuthoritySummary[]>
  /** Lines of the zone file that keep everybody but these accounts from getting certificates (RFC 9115 §7.4, RFC 8657). */
  caa(): Promise<readonly string[]>
  /** Without a name: all of them. Fault NOT_FOUND for a name that is none. */
  test(name?: string): Promise<readonly AuthorityTest[]>
}

export interface AuthoritySummary {
  readonly name: string
  readonly kind: string
  readonly directory?: string
}

export interface AuthorityTest {
  readonly name: string
  readonly works: boolean
  readonly detail: string
  readonly milliseconds: number
}

const TEST_MS_MAX = 10_000

export function authorityDesk(options: {
  readonly authorities: readonly AuthorityConfig[]
  readonly zone: string
  readonly readDirectory: (
    authority: Exclude<AuthorityConfig, { kind: 'internal' }>,
    signal: AbortSignal,
  ) => Promise<Directory>
  /** Undefined: no account has been opened there yet. */
  readonly accountUrl?: (authority: string) => Promise<string | undefined>
  readonly clock: Clock
}): AuthorityDesk {
  const { authorities, zone, readDirectory, accountUrl, clock } = options

  const test = async (authority: AuthorityConfig): Promise<AuthorityTest> => {
    const { name } = authority
    const startMs = clock.monotonicMs()
    const verdict = (works: boolean, detail: string): AuthorityTest => ({
      name,
      works,
      detail,
      milliseconds: Math.round(clock.monotonicMs() - startMs),
    })
    if (authority.kind === 'internal') return verdict(true, 'a CA of our own; nothing to reach')
    try {
      await readDirectory(authority, AbortSignal.timeout(TEST_MS_MAX))
      return verdict(true, `${authority.directory} answers as an ACME directory`)
    } catch (error) {
      return verdict(false, reasonOf(error))
    }
  }
  const caaOf = async (authority: AuthorityConfig): Promise<readonly string[]> => {
    if (authority.kind === 'internal') return [`; ${authority.name}: a CA of our own looks at no CAA record`]
    try {
      const { meta } = await readDirectory(authority, AbortSignal.timeout(TEST_MS_MAX))
      const issuers = meta?.caaIdentities ?? []
      if (issuers.length === 0) return [`; ${authority.name}: the CA does not say which CAA name it goes by`]
      const account = await accountUrl?.(authority.name)
      const binding = account === undefined ? '' : `; accounturi=${account}`
      return [
        ...(account === undefined ? [`; ${authority.name}: add "; accounturi=URL" once its account is open`] : []),
        ...issuers.map((issuer) => `${zone}. CAA 0 issue "${issuer}${binding}; validationmethods=dns-01"`),
      ]
    } catch (error) {
      return [`; ${authority.name}: ${reasonOf(error).replaceAll('\n', ' ')}`]
    }
  }

  return {
    list: async () =>
      authorities.map((authority) => ({
        name: authority.name,
        kind: authority.kind,
        ...(authority.kind !== 'internal' ? { directory: authority.directory } : {}),
      })),
    async caa() {
      const advice = await Promise.all(
        authorities.map(async (authority) => [authority, await caaOf(authority)] as const),
      )
      const lines = advice.flatMap(([, each]) => each)
      if (authorities.every(({ kind }) => kind === 'internal')) return [...lines, `${zone}. CAA 0 issue ";"`]
      // One record that forbids wildcards alone would look like protection and give none.
      if (!hasRecord(lines)) return [...lines, NO_ADVICE]
      const without = advice.filter(([{ kind }, each]) => kind !== 'internal' && !hasRecord(each))
      const names = without.map(([{ name }]) => name).join(', ')
      const warning = `; do not publish these before ${names} has a record too: it could not issue any more`
      return [...lines, `${zone}. CAA 0 issuewild ";"`, ...(without.length > 0 ? [warning] : [])]
    },
    async test(name) {
      const wanted = authorities.filter((authority) => name === undefined || authority.name === name)
      if (wanted.length === 0) throw new Fault('NOT_FOUND', `there is no authority ${name}`)
      return Promise.all(wanted.map(test))
    },
  }
}

/** What begins with a semicolon is a comment. */
function hasRecord(lines: readonly string[]): boolean {
  return lines.some((line) => !line.startsWith(';'))
}

const NO_ADVICE =
  '; no CAA record can be advised: ask the CA for its CAA name, and write `CAA 0 issue "NAME; validationmethods=dns-01"` with it'
