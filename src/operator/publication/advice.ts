import { boundedAskAgainMs } from '../../acme/client/renewal-info.ts'
import type { Clock } from '../../core/clock.ts'
import { explain, type Log } from '../../core/log.ts'
import type { Stored, Table } from '../../core/table.ts'
import { fromPem } from '../../pki/certificate.ts'
import { retryAfterOf } from '../authority/blame.ts'
import type { AuthorityPool } from '../authority/pool.ts'
import { momentWithin } from '../schedule/renewal.ts'
import { type PublicationRow, plannedIssueMs } from './rows.ts'

/** When it does not answer, or not when to come back. */
const ASK_AFTER_FAILURE_MS = 6 * 3_600_000
/** Renewals that a CA can bring about within one life. */
const ADVISED_PARTS_MAX = 10
const ASK_PATIENCE_MS = 30_000
/** A date that does not come: rows are JSON, which has no Infinity. */
const NEVER_MS = 8.64e15

/**
 * When a published certificate is renewed: by its plan (RFC 8739 §3.5), or sooner when its authority says so (RFC 9773). Such
 * advice never puts a renewal off, because routers were promised the plan.
 */
export function renewalAdvice(options: {
  readonly publications: Table<PublicationRow>
  readonly pool: AuthorityPool
  readonly clock: Clock
  readonly log: Log
}): {
  /** The row with what the authority says now, when it is time to ask. */
  asked(seen: Stored<PublicationRow>, signal: AbortSignal): Promise<Stored<PublicationRow>>
  /** When the next certificate is ordered; undefined: this is the last. */
  issueMs(seen: Stored<PublicationRow>): number | undefined
  /** When there is something to do: to order, or to ask. */
  nextStepMs(seen: Stored<PublicationRow>): number | undefined
} {
  const { publications, pool, clock, log } = options

  /** Asks the authority when it wants its certificate renewed, when that is due, and writes the answer down. */
  const asked = async (seen: Stored<PublicationRow>, signal: AbortSignal): Promise<Stored<PublicationRow>> => {
    const { row } = seen
    const authority = row.authority === undefined ? undefined : pool.find(row.authority)
    const nowMs = clock.nowMs()
    // A certificate that is due anyway needs no advice.
    if (!authority?.renewalWindow || nowMs < (row.renewal?.askAgainMs ?? 0) || nowMs >= issueMs(seen)!) return seen
    const patience = AbortSignal.any([signal, AbortSignal.timeout(ASK_PATIENCE_MS)])
    let askAfterMs = ASK_AFTER_FAILURE_MS
    const answer = await authority.renewalWindow(fromPem(row.pem)[0]!, patience).catch((error: unknown) => {
      log.info({ authority: authority.id, ...explain(error) }, 'no renewal information')
      // RFC 9773 §4.3.3.
      askAfterMs = boundedAskAgainMs(retryAfterOf(error) ?? ASK_AFTER_FAILURE_MS)
    })
    const renewal = answer
      ? { ...answer, askAgainMs: nowMs + boundedAskAgainMs(answer.askAgainMs - nowMs) }
      : { startMs: Infinity, endMs: Infinity, ...row.renewal, askAgainMs: nowMs + askAfterMs }
    const isKnown = Number.isFinite(renewal.startMs) && renewal.endMs > renewal.startMs
    const next = isKnown ? renewal : { ...renewal, startMs: NEVER_MS, endMs: NEVER_MS }
    return (await publications.replace(seen, { ...row, renewal: next })) ?? (await publications.find(seen.id)) ?? seen
  }

  /** When it wants its next certificate: by its plan, or sooner when the authority says so. */
  const issueMs = ({ id, row }: Stored<PublicationRow>): number | undefined => {
    const plannedMs = plannedIssueMs(row)
    if (plannedMs === undefined || !row.renewal) return plannedMs
    const { publishedMs = row.notBeforeMs, notBeforeMs, notAfterMs } = row
    // A CA that always says "now" must not make us renew for ever.
    const earliestMs = publishedMs + (notAfterMs - notBeforeMs) / ADVISED_PARTS_MAX
    return Math.min(plannedMs, Math.max(earliestMs, momentWithin(row.renewal, id)))
  }
  const nextStepMs = (seen: Stored<PublicationRow>): number | undefined => {
    const dueMs = issueMs(seen)
    const { authority, renewal } = seen.row
    const asks = authority !== undefined && pool.find(authority)?.renewalWindow !== undefined
    // RFC 9773 §4.3: once right after issuance.
    return dueMs === undefined || !asks ? dueMs : Math.min(dueMs, renewal?.askAgainMs ?? clock.nowMs())
  }

  return { asked, issueMs, nextStepMs }
}
