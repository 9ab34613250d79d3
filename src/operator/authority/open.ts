import assert from 'node:assert'
import type { DnsChallenges } from '../../acme/client/certify.ts'
import type { Clock } from '../../core/clock.ts'
import type { Log } from '../../core/log.ts'
import { createHttpTransport } from '../../net/http.ts'
import type { Keep } from '../../store/kept.ts'
import { type AuthorityConfig, isForwarding } from '../config.ts'
import { acmeAuthority } from './acme.ts'
import { type AcmeAccount, acmeAccount } from './acme-account.ts'
import type { Authority, ForwardingAuthority } from './authority.ts'
import { openInternalAuthority } from './internal.ts'
import { delegationAuthority, starAuthority } from './star.ts'

export interface OpenedAuthorities {
  /** In order of preference. Empty when all orders are forwarded. */
  readonly issuing: readonly Authority[]
  readonly forwarding?: ForwardingAuthority
  /** By the name of the authority. */
  readonly accounts: ReadonlyMap<string, AcmeAccount>
}

/** The authorities of the settings. Nothing is asked of them yet. */
export async function openAuthorities(
  configs: readonly AuthorityConfig[],
  parts: { readonly dns: DnsChallenges | undefined; readonly keep: Keep; readonly clock: Clock; readonly log: Log },
): Promise<OpenedAuthorities> {
  const { keep, clock, log } = parts
  const accounts = new Map<string, AcmeAccount>()
  const issuing: Authority[] = []
  let forwarding: ForwardingAuthority | undefined
  for (const config of configs) {
    const { name: id, kind } = config
    if (kind === 'internal') {
      issuing.push(await openInternalAuthority(id, keep, clock))
      continue
    }
    const account = accountAt(config, keep)
    accounts.set(id, account)
    if (kind === 'delegation') {
      forwarding = delegationAuthority({ id, account, clock, log })
      continue
    }
    assert(parts.dns, 'the settings are refused when they give no way to do dns-01')
    const common = { id, account, dns: parts.dns, clock, log }
    if (isForwarding(kind)) forwarding = starAuthority(common)
    else issuing.push(acmeAuthority({ ...common, ...termsOf(config) }))
  }
  return { issuing, accounts, ...(forwarding ? { forwarding } : {}) }
}

type AcmeConfig = Exclude<AuthorityConfig, { kind: 'internal' }>

function accountAt({ name, directory, trust, eab }: AcmeConfig, keep: Keep): AcmeAccount {
  return acmeAccount({
    id: name,
    directoryUrl: directory,
    ...(eab ? { externalAccount: { kid: eab.kid, hmacKey: eab.key } } : {}),
    keep,
    transport: createHttpTransport({ ...(trust ? { ca: trust } : {}), userAgent: 'hearth-operator' }),
  })
}

function termsOf({ profile, preferredChain, requestDates }: AcmeConfig) {
  return {
    ...(profile === undefined ? {} : { profile }),
    ...(preferredChain === undefined ? {} : { preferredChain }),
    requestDates,
  }
}
