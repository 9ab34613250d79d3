import { rewrite } from '../../acme/server/rewrite.ts'
import type { Clock } from '../../core/clock.ts'
import type { Jobs, Table } from '../../core/table.ts'
import { fromPem } from '../../pki/certificate.ts'
import type { RevocationReason } from '../../pki/revocation-reason.ts'
import type { Audit } from '../audit/audit.ts'
import type { AuthorityPool } from '../authority/pool.ts'
import type { PublicationRow } from './rows.ts'

export const REVOKE = 'revoke/'

/**
 * Has a published certificate revoked by a worker, which tries until the CA has heard of it. Resolves when that is sure to
 * happen. The reason is in the row, where the worker finds it; the last one given before the CA has heard of any counts.
 */
export function revokeLater(options: {
  readonly publications: Table<PublicationRow>
  readonly jobs: Pick<Jobs, 'put'>
  readonly clock: Clock
}): (publicationId: string, reason: RevocationReason) => Promise<void> {
  const { publications, jobs, clock } = options
  return async (id, reason) => {
    await giveReason(publications, id, reason)
    await jobs.put(REVOKE + id, clock.nowMs())
  }
}

/**
 * Revokes a published certificate at the CA that issued it (RFC 8555 §7.6), and puts that on record. Without a reason: the
 * one in the row. May be repeated. False: whoever issued it takes no revocations.
 */
export function revokeAtIssuer(options: {
  readonly publications: Table<PublicationRow>
  readonly pool: Pick<AuthorityPool, 'find'>
  readonly audit?: Pick<Audit, 'record'> | undefined
  readonly clock: Clock
}): (publicationId: string, reason: RevocationReason | undefined, signal: AbortSignal) => Promise<boolean> {
  const { publications, pool, audit, clock } = options
  return async (id, given, signal) => {
    const row = await giveReason(publications, id, given)
    const { authority, account, order, names, pem, notAfterMs, revocation } = row
    // CAs do not revoke what has run out, and nobody believes it.
    if (revocation?.doneMs !== undefined || notAfterMs <= clock.nowMs()) return true
    const issuer = authority === undefined ? undefined : pool.find(authority)
    if (!issuer?.revoke) return false
    const { reason } = revocation ?? UNSPECIFIED
    await issuer.revoke(fromPem(pem)[0]!, reason, signal)
    await audit?.record({
      event: 'certificate-revoked',
      by: 'service',
      account,
      ...(order === undefined ? {} : { order }),
      ...(names[0] === undefined ? {} : { device: names[0] }),
      authority: issuer.id,
      reason,
    })
    await rewrite(publications, id, (now) => ({ ...now, revocation: { reason, doneMs: clock.nowMs() } }))
    return true
  }
}

const UNSPECIFIED: NonNullable<PublicationRow['revocation']> = { reason: 'unspecified' }

async function giveReason(
  publications: Table<PublicationRow>,
  id: string,
  reason: RevocationReason | undefined,
): Promise<PublicationRow> {
  const { row } = await rewrite(publications, id, (seen) =>
    reason === undefined || seen.revocation?.doneMs !== undefined || seen.revocation?.reason === reason
      ? undefined
      : { ...seen, revocation: { reason } },
  )
  return row
}
