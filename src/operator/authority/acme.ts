import { type DnsChallenges, obtainWithDns01 } from '../../acme/client/certify.ts'
import { refusalsAsFaults } from '../../acme/client/refusal.ts'
import { renewalWindow } from '../../acme/client/renewal-info.ts'
import { AcmeProblem } from '../../acme/problem.ts'
import { toBase64url } from '../../core/bytes.ts'
import type { Clock } from '../../core/clock.ts'
import { Fault } from '../../core/fault.ts'
import type { Log } from '../../core/log.ts'
import { certId, fromPem } from '../../pki/certificate.ts'
import { REVOCATION_REASONS, type RevocationReason } from '../../pki/revocation-reason.ts'
import type { AcmeAccount } from './acme-account.ts'
import { type Authority, ISSUE_MS_MAX } from './authority.ts'

export interface AcmeAuthorityOptions {
  readonly id: string
  readonly account: AcmeAccount
  readonly profile?: string
  /** Common name of the issuer at the top of the chain that is wanted. */
  readonly preferredChain?: string
  /** Ask for the dates of RFC 8739 §3.5 (RFC 8555 §7.4 `notAfter`); most public CAs refuse such orders. */
  readonly requestDates: boolean
  readonly dns: DnsChallenges
  readonly clock: Clock
  readonly log: Log
}

/** An ordinary RFC 8555 CA. Control of the names is shown by dns-01 in the operator's own zone. */
export function acmeAuthority(options: AcmeAuthorityOptions): Authority {
  const { id, account, dns, clock, log } = options
  return {
    id,
    issue: (wish, attempt) =>
      account.with(async (client) => {
        const pem = await obtainWithDns01({
          client,
          names: wish.names,
          csr: wish.csr,
          dns,
          ...(options.profile === undefined ? {} : { profile: options.profile }),
          ...(options.preferredChain === undefined ? {} : { preferredChain: options.preferredChain }),
          ...(options.requestDates ? { notAfterMs: wish.notAfterMs } : {}),
          ...(wish.replaces ? { replaces: certId(wish.replaces) } : {}),
          ...attempt,
          clock,
          timeoutMs: ISSUE_MS_MAX,
          log,
        })
        return fromPem(pem)
      }),
    async renewalWindow(leaf, signal) {
      const window = await account.with((client) => refusalsAsFaults(() => renewalWindow(client, leaf, signal)))
      return window && { ...window, askAgainMs: clock.nowMs() + window.askAgainAfterMs }
    },
    revoke: (leaf, reason, signal) =>
      account.with((client) =>
        refusalsAsFaults(async () => {
          const { revokeCert } = await client.directory(signal)
          if (revokeCert === undefined) throw new Fault('ACME_REFUSED', `${id} has no revokeCert`)
          await client.account(signal)
          await client.post(revokeCert, revocationOf(leaf, reason), signal).catch(async (error: unknown) => {
            const type = error instanceof AcmeProblem ? error.type : undefined
            // Better revoked without a reason than not revoked.
            if (type === 'badRevocationReason') await client.post(revokeCert, revocationOf(leaf, 'unspecified'), signal)
            else if (type !== 'alreadyRevoked') throw error
          })
        }),
      ),
  }
}

/** RFC 5280 §5.3.1: a code that says nothing should be left out. */
function revocationOf(leaf: Uint8Array, reason: RevocationReason): object {
  const certificate = toBase64url(leaf)
  return reason === 'unspecified' ? { certificate } : { certificate, reason: REVOCATION_REASONS[reason] }
}
