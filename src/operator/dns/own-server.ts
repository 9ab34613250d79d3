import type { DnsChallenges } from '../../acme/client/certify.ts'
import type { Clock } from '../../core/clock.ts'
import { explain, type Log } from '../../core/log.ts'
import type { Table } from '../../core/table.ts'
import type { Endpoint } from '../../net/bind.ts'
import { type ChallengeRecords, type ChallengeRow, challengeRecords } from './challenge-records.ts'
import { challengeZoneResponder } from './respond.ts'
import { openDnsServer } from './server.ts'

const SWEEP_EVERY_MS = 600_000

/** dns-01 by the DNS server inside this service. */
export interface OwnServer extends DnsChallenges {
  readonly endpoints: readonly Endpoint[]
  close(): Promise<void>
}

/** Starts the server. Any number of instances over one table answer alike. */
export async function openOwnServer(options: {
  readonly zone: string
  readonly ns: string
  readonly listen: readonly Endpoint[]
  readonly table: Table<ChallengeRow>
  readonly clock: Clock
  readonly log: Log
}): Promise<OwnServer> {
  const { zone, ns, listen, table, clock, log } = options
  const records = challengeRecords(table, clock)
  const server = await openDnsServer({ listen, respond: challengeZoneResponder({ zone, ns, records }), log })
  log.info({ zone, addresses: server.endpoints }, 'serving the zone for challenges')
  const stopping = new AbortController()
  const sweeping = sweepRegularly(records, { clock, log, signal: stopping.signal })
  return {
    endpoints: server.endpoints,
    present: (owner, value, signal) => records.present(owner, value, signal),
    cleanup: (owner, value) => records.cleanup(owner, value),
    async close() {
      stopping.abort()
      await server.close()
      await sweeping
    },
  }
}

async function sweepRegularly(
  records: ChallengeRecords,
  { clock, log, signal }: { readonly clock: Clock; readonly log: Log; readonly signal: AbortSignal },
): Promise<void> {
  while (!signal.aborted) {
    await records
      .sweep()
      .catch((error: unknown) => log.warn(explain(error), 'old challenge records could not be removed'))
    // Told to stop: the loop sees it.
    await clock.sleep(SWEEP_EVERY_MS, signal).catch(() => {})
  }
}
