import { beforeAll, describe, expect, it } from 'vitest'
import type { AccountRow, OrderRow } from '../../src/acme/server/rows.ts'
import { fromBase64url, toBase64url } from '../../src/core/bytes.ts'
import { systemClock } from '../../src/core/clock.ts'
import { createLog } from '../../src/core/log.ts'
import { createHttpTransport } from '../../src/net/http.ts'
import { acmeAuthority } from '../../src/operator/authority/acme.ts'
import { acmeAccount } from '../../src/operator/authority/acme-account.ts'
import type { Authority } from '../../src/operator/authority/authority.ts'
import { dnsUpdater } from '../../src/operator/authority/dns-01.ts'
import { type AuthorityPool, authorityPool } from '../../src/operator/authority/pool.ts'
import type { IssuanceRow, PublicationRow } from '../../src/operator/publication/rows.ts'
import { createPublisher } from '../../src/operator/publisher.ts'
import type { BudgetRow } from '../../src/operator/schedule/budget.ts'
import { sharedBudgets } from '../../src/operator/schedule/shared-budgets.ts'
import { createWorker } from '../../src/operator/worker.ts'
import { fromPem, parseCertificate, toPem } from '../../src/pki/certificate.ts'
import { createCsr, parseCsr } from '../../src/pki/csr.ts'
import { generateKey, sameKey, spkiOf } from '../../src/pki/key.ts'
import { createRoot, signLeaf } from '../../src/pki/sign.ts'
import { keptIn } from '../../src/store/kept.ts'
import { memoryJobs, memoryTable } from '../../src/store/memory.ts'
import { readPem } from '../../src/store/settings-file.ts'
import { type Daemon, eventually } from './support/daemon.ts'
import { type Knot, startKnot } from './support/knot.ts'
import { type Pebble, pebbleIn } from './support/pebble.ts'
import { openScene } from './support/scene.ts'

const ZONE = 'cpe.test'
const RENEWALS = 200
/** When this many are done, the primary dies in the middle of the others. */
const DONE_BEFORE = 60
const DAY_MS = 86_400_000
const clock = systemClock
const log = createLog('silent')

describe('two real CAs, of which the first dies in the middle of 200 renewals', () => {
  const scene = openScene()
  const publications = memoryTable<PublicationRow>()
  const issuances = memoryTable<IssuanceRow>()
  const jobs = memoryJobs()
  let primary: Daemon
  let pool: AuthorityPool
  let worker: ReturnType<typeof createWorker>
  let before: readonly { readonly id: string; readonly row: PublicationRow }[]

  const authorityOf = async (id: string, pebble: Pebble, knot: Knot): Promise<Authority> =>
    acmeAuthority({
      id,
      requestDates: true,
      dns: dnsUpdater({
        server: { host: '127.0.0.1', port: knot.port },
        zone: ZONE,
        key: { keyName: knot.tsig.name, algorithm: 'hmac-sha256', secret: Buffer.from(knot.tsig.secret, 'base64') },
        clock,
      }),
      account: acmeAccount({
        id: id,
        directoryUrl: pebble.directoryUrl,
        keep: keptIn(scene.directory),
        transport: createHttpTransport({ ca: await readPem(pebble.trust, 'trust'), userAgent: 'hearth-operator' }),
      }),
      clock,
      log,
    })

  beforeAll(async () => {
    const knot = await startKnot(scene, { [ZONE]: '' })
    const options = { dnsServer: knot.address, validityS: 86_400 }
    const pebbles = [await pebbleIn(scene, options, 'primary'), await pebbleIn(scene, options, 'backup')] as const
    primary = await pebbles[0].start()
    await pebbles[1].start()
    const authorities = [await authorityOf('primary', pebbles[0], knot), await authorityOf('backup', pebbles[1], knot)]
    const limits = new Map([['primary', { concurrent: 20 }]])
    pool = authorityPool({
      members: authorities.map((authority) => ({ authority, kind: 'acme' })),
      budgets: sharedBudgets({ table: memoryTable<BudgetRow>(), limits, urgentShare: 0.2, clock }),
      renewalsPerMinuteMax: 100_000,
      clock,
      log,
    })
    const accounts = memoryTable<AccountRow>()
    await accounts.insert('account', { status: 'valid', jwk: { kty: 'EC' }, contact: [], termsOfServiceAgreed: true })
    const publisher = createPublisher({
      accounts,
      orders: memoryTable<OrderRow>(),
      publications,
      issuances,
      jobs,
      pool,
      singleLifetimeS: 86_400,
      spread: 0.2,
      clock,
      log,
    })
    worker = createWorker({ jobs, publisher, clock, log })
    await publishDue()
    before = await publications.list({ limit: RENEWALS })
  })

  /** 200 certificates that are halfway through their lives and want to be renewed now. */
  async function publishDue(): Promise<void> {
    const nowMs = Math.floor(Date.now() / 1000) * 1000
    const keyPem = await generateKey('p256')
    const dates = { notBeforeMs: nowMs - DAY_MS, notAfterMs: nowMs + DAY_MS }
    const certificate = await createRoot({ commonName: 'Root of before', keyPem, ...dates })
    const window = { notBeforeMs: nowMs - DAY_MS / 2, notAfterMs: nowMs + DAY_MS / 2 }
    for (let index = 0; index < RENEWALS; index++) {
      const name = `cpe-${index}.${ZONE}`
      const key = await generateKey('p256')
      const leaf = await signLeaf({
        issuer: { certificate, keyPem },
        spki: spkiOf(key),
        dnsNames: [name],
        ...window,
      })
      await publications.insert(`publication-${index}`, {
        account: 'account',
        names: [name],
        csr: toBase64url(await createCsr({ keyPem: key, dnsNames: [name] })),
        getAllowed: true,
        terms: {
          kind: 'star',
          startMs: window.notBeforeMs,
          endMs: nowMs + 10 * DAY_MS,
          lifetimeS: 86_400,
          lifetimeAdjustS: 0,
        },
        edition: 1,
        index: 0,
        pem: toPem([leaf]),
        ...window,
      })
      await jobs.put(`renew/publication-${index}`, nowMs)
    }
  }

  it('has all of them renewed by the backup, at the same URLs, each for its own key and name', {
    timeout: 600_000,
  }, async () => {
    const stop = new AbortController()
    const running = worker.run(stop.signal)
    const renewed = async (): Promise<readonly PublicationRow[]> =>
      (await publications.list({ limit: 2 * RENEWALS })).map(({ row }) => row).filter(({ edition }) => edition === 2)
    await eventually(async () => expect((await renewed()).length).toBeGreaterThanOrEqual(DONE_BEFORE), 300_000)
    await primary.stop('SIGKILL')
    const byThen = (await renewed()).length
    await eventually(async () => expect((await renewed()).length).toBe(RENEWALS), 500_000)
    stop.abort()
    await running

    expect(byThen).toBeLessThan(RENEWALS)
    const after = await publications.list({ limit: 2 * RENEWALS })
    expect(after.map(({ id }) => id)).toEqual(before.map(({ id }) => id))
    for (const [index, { row }] of after.entries()) {
      const leaf = parseCertificate(fromPem(row.pem)[0]!)
      expect(leaf.dnsNames).toEqual(before[index]!.row.names)
      expect(sameKey(leaf.spki, parseCsr(fromBase64url(row.csr)!).spki)).toBe(true)
      expect(row.csr).toBe(before[index]!.row.csr)
    }
    const issuers = after.map(({ row }) => row.authority)
    expect(issuers.filter((id) => id === 'primary').length).toBeGreaterThanOrEqual(DONE_BEFORE)
    expect(issuers.filter((id) => id === 'backup').length).toBeGreaterThan(0)
    expect(await issuances.list({ limit: 10 })).toEqual([])
    expect(pool.failOvers()[0]).toMatchObject({ authority: 'primary', from: 'closed', to: 'open' })
  })
})
