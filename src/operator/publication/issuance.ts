import { window } from '../../acme/star.ts'
import { fromBase64url } from '../../core/bytes.ts'
import type { Clock } from '../../core/clock.ts'
import { Fault, reasonOf } from '../../core/fault.ts'
import type { Stored, Table } from '../../core/table.ts'
import type { Audit } from '../audit/audit.ts'
import { type CertificateWish, ISSUE_MS_MAX } from '../authority/authority.ts'
import type { AuthorityPool } from '../authority/pool.ts'
import { attemptOver, Overtaken, writeDown } from './attempt.ts'
import { checkIssued } from './fit.ts'
import { type IssuanceAttempt, type IssuanceRow, namesOfRow, type PublicationTerms, planOf } from './rows.ts'

/** The certificate that is wanted next at one URL. */
export interface Wanted {
  readonly publication: string
  readonly edition: number
  readonly names: readonly string[]
  /** DER, base64url. */
  readonly csr: string
  /** From 0 up to 1. */
  readonly urgency: number
  /** What it takes the place of, and who issued that. */
  readonly replaces?: { readonly authority: string; readonly leaf: Uint8Array }
  /** Asked for at the start of a fresh attempt; one that is under way keeps its own. */
  readonly terms: () => { readonly terms: PublicationTerms; readonly index: number }
}

export interface Issued {
  /** DER, leaf first. Checked. */
  readonly chain: readonly Uint8Array[]
  readonly authority: string
  readonly terms: PublicationTerms
  readonly index: number
}

/** Nobody failed: the budgets are used up until then. */
export class NotNow extends Error {
  readonly untilMs: number

  constructor(untilMs: number) {
    super('the budgets of the authorities are used up for now')
    this.untilMs = untilMs
  }
}

/** More rounds than authorities are a bug. */
const ROUNDS_MAX = 32
/** Of what a CA said, on record. */
const REASON_CHARS_MAX = 300

/**
 * Brings one certificate through its authorities so that a crash at any moment loses no order and places no second one
 * (RFC 9115 §2.2): what is about to be done at a CA is written down first, by compare-and-swap, and whoever takes over
 * goes on from there. One authority is left for another only after that has been written down.
 */
export function issuances(options: {
  readonly table: Table<IssuanceRow>
  readonly pool: AuthorityPool
  /** Given: who refused, and was passed over, is put on record there. An outage is so by itself, once for all orders. */
  readonly audit?: Pick<Audit, 'record'> | undefined
  readonly clock: Clock
}): {
  /** Throws NotNow, Overtaken, or a Fault that says why nobody issued. */
  obtain(wanted: Wanted, signal: AbortSignal): Promise<Issued>
  /** Counts a failed try and returns how many there have been in a row. */
  countFailure(publication: string): Promise<number>
  /** To be called when the certificate is published, or wanted no longer. */
  forget(publication: string): Promise<void>
} {
  const { table, pool, audit, clock } = options

  const write = (seen: Stored<IssuanceRow>, next: IssuanceRow): Promise<Stored<IssuanceRow>> =>
    writeDown(table, seen, next)
  const begin = async ({ publication, edition, names }: Wanted): Promise<Stored<IssuanceRow>> => {
    const fresh: IssuanceRow = { edition, failures: 0, passedOver: [], names: namesOfRow(names) }
    const seen = (await table.find(publication)) ?? (await table.insert(publication, fresh))
    if (!seen) throw new Overtaken()
    // Left by an edition that has been published since.
    return seen.row.edition === edition ? seen : write(seen, fresh)
  }
  const withoutAttempt = ({ attempt: _attempt, ...kept }: IssuanceRow, passedOver: readonly string[]): IssuanceRow => ({
    ...kept,
    passedOver,
  })

  /** The wish of an order that may exist is kept as it was; one that nobody placed, or that is out of date, is made anew. */
  const takenUp = (begun: IssuanceAttempt, wanted: Wanted): IssuanceAttempt => {
    const { wish, order, placingSinceMs = 0 } = begun
    const nowMs = clock.nowMs()
    const mayExist = order !== undefined || nowMs - placingSinceMs < ISSUE_MS_MAX
    const isGood = wish && mayExist && window(planOf(wish.terms), wish.index).notAfterMs > nowMs
    return { ...begun, taken: begun.taken + 1, ...(isGood ? {} : { wish: wanted.terms() }) }
  }

  return {
    async obtain(wanted, signal) {
      const { publication: holder, names } = wanted
      const reasons: string[] = []
      let seen = await begin(wanted)
      for (let round = 0; round < ROUNDS_MAX; round++) {
        const { attempt: begun, passedOver } = seen.row
        const choice = await pool.choose({
          holder,
          names,
          urgency: wanted.urgency,
          ...(wanted.replaces ? { renewalAt: wanted.replaces.authority } : {}),
          ...(begun ? { begunAt: begun.authority } : {}),
          passedOver,
        })
        if (choice.kind === 'none') {
          if (choice.because === 'budget') throw new NotNow(choice.untilMs)
          // The next try begins with everybody again; what is under way stays where it is.
          if (choice.because === 'refused') await write(seen, withoutAttempt(seen.row, []))
          throw new Fault(
            'AUTHORITY_UNAVAILABLE',
            `no authority issued for ${names.join(', ')}: ${reasons.join('; ') || 'all of them are out'}`,
          )
        }
        const { id } = choice.authority
        try {
          seen = await write(seen, {
            ...withoutAttempt(
              seen.row,
              begun && begun.authority !== id ? [...passedOver, begun.authority] : passedOver,
            ),
            attempt:
              begun?.authority === id ? takenUp(begun, wanted) : { authority: id, taken: 0, wish: wanted.terms() },
          })
        } catch (error) {
          await pool.released(id, holder)
          throw error
        }
        const { terms, index } = seen.row.attempt!.wish!
        const wish: CertificateWish = {
          names,
          csr: fromBase64url(wanted.csr)!,
          ...window(planOf(terms), index),
          ...(wanted.replaces?.authority === id ? { replaces: wanted.replaces.leaf } : {}),
        }
        const handle = attemptOver(table, seen, clock, signal)
        try {
          const chain = await choice.authority.issue(wish, handle.attempt)
          checkIssued(chain, wish, clock.nowMs())
          await pool.succeeded(id, holder)
          return { chain, authority: id, terms, index }
        } catch (error) {
          seen = handle.latest()
          if (signal.aborted || error instanceof Overtaken) {
            await pool.released(id, holder)
            throw error
          }
          const blame = await pool.failed(id, holder, error)
          reasons.push(`${id}: ${reasonOf(error)}`)
          // Without DNS no other CA would issue either, and the order there is still good.
          if (blame === 'ours') throw error
          // An outage leaves the order where it is, unless `choose` finds somebody else.
          if (blame === 'outage') continue
          await audit?.record({
            event: 'authority-passed-over',
            by: 'service',
            device: names[0]!,
            authority: id,
            reason: reasonOf(error).slice(0, REASON_CHARS_MAX),
          })
          seen = await write(seen, withoutAttempt(seen.row, [...seen.row.passedOver, id]))
        }
      }
      throw new Error(`the authorities sent ${names.join(', ')} around in a circle`)
    },

    async countFailure(publication) {
      const seen = await table.find(publication)
      if (!seen) return 1
      const failures = seen.row.failures + 1
      await table.replace(seen, { ...seen.row, failures })
      return failures
    },

    async forget(publication) {
      const seen = await table.find(publication)
      if (seen) await table.remove(seen)
    },
  }
}
