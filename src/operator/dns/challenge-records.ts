import type { DnsChallenges } from '../../acme/client/certify.ts'
import type { Clock } from '../../core/clock.ts'
import { Fault } from '../../core/fault.ts'
import { allRows, type Table } from '../../core/table.ts'

/** One row for each owner name. */
export interface ChallengeRow {
  readonly values: readonly { readonly value: string; readonly untilMs: number }[]
}

/** The TXT records our own DNS server shows: in a table, so that every instance shows the same. */
export interface ChallengeRecords extends DnsChallenges {
  /** Letter case aside. Empty: the name has no record now. */
  find(owner: string): Promise<readonly string[]>
  /** True when a name below this one has a record, so that this one exists too (RFC 8020 §2). */
  hasBelow(name: string): Promise<boolean>
  /** Removes what the instance that made it did not live to remove. */
  sweep(): Promise<void>
}

/** No CA takes longer over a challenge; the instance that set it removes it much earlier. */
const LIFETIME_MS = 3_600_000
/** Several orders for one name at a time are retries; then the oldest record is of no use. Sixteen fit into 1232 octets. */
const VALUES_MAX = 16
/** Others may write to the same row in between, but each write is an order of the same name. */
const ATTEMPTS_MAX = 20
const SWEEP_PAGE = 200

export function challengeRecords(table: Table<ChallengeRow>, clock: Clock): ChallengeRecords {
  const current = ({ values }: ChallengeRow): ChallengeRow['values'] =>
    values.filter(({ untilMs }) => untilMs > clock.nowMs())

  const change = async (id: string, decide: (values: ChallengeRow['values']) => ChallengeRow['values']) => {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const seen = await table.find(id)
      const values = decide(seen ? current(seen.row) : [])
      if (!seen && values.length === 0) return
      if (!seen) {
        if (await table.insert(id, { values })) return
      } else if (values.length === 0 ? await table.remove(seen) : await table.replace(seen, { values })) return
    }
    throw new Fault('STORE_UNAVAILABLE', `the record at ${nameOf(id)} is changed by others all the time`)
  }

  return {
    async present(owner, value) {
      const untilMs = clock.nowMs() + LIFETIME_MS
      await change(idOf(owner), (values) =>
        [...values.filter((other) => other.value !== value), { value, untilMs }].slice(-VALUES_MAX),
      )
    },
    cleanup: (owner, value) => change(idOf(owner), (values) => values.filter((other) => other.value !== value)),
    async find(owner) {
      const seen = await table.find(idOf(owner))
      return seen ? current(seen.row).map(({ value }) => value) : []
    },
    async hasBelow(name) {
      const start = `${idOf(name)}.`
      const [next] = await table.list({ after: start, limit: 1 })
      return next?.id.startsWith(start) === true
    },
    async sweep() {
      for await (const seen of allRows(table, { limit: SWEEP_PAGE }))
        if (current(seen.row).length < seen.row.values.length) await change(seen.id, (all) => all)
    },
  }
}

/** Labels from the root down, so that all names below a name follow each other in the order of ids. */
function idOf(name: string): string {
  return name.toLowerCase().split('.').toReversed().join('.')
}

function nameOf(id: string): string {
  return id.split('.').toReversed().join('.')
}
