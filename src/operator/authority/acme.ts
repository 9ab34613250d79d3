import type { AcmeTransport } from '../../acme/client/exchange.ts'
import { type DnsChallenges, obtainWithDns01 } from '../../acme/client/obtain.ts'
import { openAcme } from '../../acme/client/plumbing.ts'
import type { Clock } from '../../core/clock.ts'
import type { Log } from '../../core/log.ts'
import { fromPem } from '../../pki/certificate.ts'
import { checkedKey, generateKey } from '../../pki/key.ts'
import type { Keep } from '../../store/kept.ts'
import { type Authority, ISSUE_MS_MAX } from './authority.ts'

export interface AcmeAuthorityOptions {
  readonly id: string
  readonly directoryUrl: string
  readonly externalAccount?: { readonly kid: string; readonly hmacKey: string }
  readonly profile?: string
  /** Ask for the dates of RFC 8739 §3.5 (RFC 8555 §7.4 `notAfter`); most public CAs refuse such orders. */
  readonly requestDates: boolean
  readonly dns: DnsChallenges
  /** Holds the account key. */
  readonly keep: Keep
  readonly transport: AcmeTransport
  readonly clock: Clock
  readonly log: Log
}

/** An ordinary RFC 8555 CA. Control of the names is shown by dns-01 in the operator's own zone. */
export function acmeAuthority(options: AcmeAuthorityOptions): Authority {
  const { id, dns, clock, log } = options
  return {
    id,
    async issue(wish, { signal }) {
      const client = await openAcme({
        directoryUrl: options.directoryUrl,
        accountKeyPem: await options.keep(`authority-${id}.key`, checkedKey, () => generateKey('p256')),
        ...(options.externalAccount ? { externalAccount: options.externalAccount } : {}),
        transport: options.transport,
        userAgent: 'hearth-operator',
      })
      const pem = await obtainWithDns01({
        client,
        names: wish.names,
        csr: wish.csr,
        dns,
        ...(options.profile === undefined ? {} : { profile: options.profile }),
        ...(options.requestDates ? { notAfterMs: wish.notAfterMs } : {}),
        clock,
        signal,
        timeoutMs: ISSUE_MS_MAX,
        log,
      })
      return fromPem(pem)
    },
  }
}
