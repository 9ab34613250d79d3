import { beforeEach, describe, expect, it } from 'vitest'
import { cancelOrder } from '../../src/acme/server/order-state.ts'
import type { AccountRow, OrderRow } from '../../src/acme/server/rows.ts'
import { toBase64url } from '../../src/core/bytes.ts'
import { Fault } from '../../src/core/fault.ts'
import { createLog } from '../../src/core/log.ts'
import type { AuditEvent } from '../../src/operator/audit/entry.ts'
import type { CertificateWish } from '../../src/operator/authority/authority.ts'
import { revokeLater } from '../../src/operator/publication/revocation.ts'
import type { IssuanceRow, PublicationRow } from '../../src/operator/publication/rows.ts'
import { createPublisher } from '../../src/operator/publisher.ts'
import { createWorker } from '../../src/operator/worker.ts'
import { fromPem } from '../../src/pki/certificate.ts'
import { createCsr } from '../../src/pki/csr.ts'
import { generateKey, spkiOf } from '../../src/pki/key.ts'
import { createRoot, signLeaf } from '../../src/pki/sign.ts'
import { memoryJobs, memoryTable } from '../../src/store/memory.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { poolOf } from './support/pool.ts'

const DAY_MS = 86_400_000
const NAME = 'cpe-1.cpe.example'
const START_MS = Date.UTC(2027, 0, 10)

/** RFC 8739 §3.5: start 10 Jan, end 20 Jan, lifetime 4 d, adjust 3 d. */
const TERMS = { startMs: START_MS, endMs: Date.UTC(2027, 0, 20), lifetimeS: 4 * 86_400, lifetimeAdjustS: 3 * 86_400 }

const rootKey = await generateKey('p256')
const root = await createRoot({
  commonName: 'Test root',
  keyPem: rootKey,
  notBeforeMs: START_MS - DAY_MS,
  notAfterMs: START_MS + 365 * DAY_MS,
})
const deviceKey = await generateKey('p256')
const csr = await createCsr({ keyPem: deviceKey, dnsNames: [NAME] })

/** A publisher with its worker over memory, in front of a CA whose wishes are kept and which can be made to fail. */
function createWorld() {
  const clock = new ManualClock(START_MS)
  const accounts = memoryTable<AccountRow>()
  const orders = memoryTable<OrderRow>()
  const publications = memoryTable<PublicationRow>()
  const jobs = memoryJobs()
  const wishes: CertificateWish[] = []
  const events: AuditEvent[] = []
  const world = {
    clock,
    accounts,
    orders,
    publications,
    jobs,
    wishes,
    events,
    revoked: [] as { readonly leaf: Uint8Array; readonly reason: string }[],
    /** What the CA says about renewal, and how often it was asked. */
    ari: undefined as (() => { startMs: number; endMs: number; askAgainMs: number }) | undefined,
    asked: 0,
    failure: undefined as Error | undefined,
    /** What the CA makes of the dates it is asked for. */
    datesOf: (wish: CertificateWish) => ({ notBeforeMs: wish.notBeforeMs, notAfterMs: wish.notAfterMs }),
    publisher: undefined as unknown as ReturnType<typeof createPublisher>,
    stop: new AbortController(),
    running: Promise.resolve(),
    start() {
      world.stop = new AbortController()
      world.running = createWorker({ jobs, publisher: world.publisher, clock, log }).run(world.stop.signal)
    },
    async end() {
      world.stop.abort()
      await world.running
    },
  }
  const log = createLog('silent')
  world.publisher = createPublisher({
    accounts,
    orders,
    publications,
    issuances: memoryTable<IssuanceRow>(),
    jobs,
    audit: { record: async (event) => void events.push(event) },
    pool: poolOf(clock, {
      id: 'test',
      async issue(wish) {
        if (world.failure) throw world.failure
        wishes.push(wish)
        const { names: dnsNames } = wish
        const dates = world.datesOf(wish)
        const issuer = { certificate: root, keyPem: rootKey }
        return [await signLeaf({ issuer, spki: spkiOf(deviceKey), dnsNames, ...dates })]
      },
      async revoke(leaf, reason) {
        if (world.failure) throw world.failure
        world.revoked.push({ leaf, reason })
      },
      async renewalWindow() {
        if (!world.ari) return undefined
        world.asked++
        return world.ari()
      },
    }),
    singleLifetimeS: 7 * 86_400,
    spread: 0,
    clock,
    log,
  })
  return world
}

async function placeOrder(
  world: ReturnType<typeof createWorld>,
  id: string,
  kind: 'star' | 'single' = 'star',
): Promise<void> {
  await world.accounts.insert('account-1', ACCOUNT)
  await world.orders.insert(id, {
    account: 'account-1',
    status: 'processing',
    identifiers: [NAME],
    delegation: NAME,
    star: kind === 'star',
    ...(kind === 'star' ? { autoRenewal: TERMS } : {}),
    allowCertificateGet: true,
    expiresMs: TERMS.endMs,
    csr: toBase64url(csr),
  })
  await world.publisher.enqueue(id)
}

const ACCOUNT: AccountRow = { status: 'valid', jwk: { kty: 'EC' }, contact: [], termsOfServiceAgreed: true }

/** Lets time pass: most of it at once, because the worker looks every second. */
async function pass(clock: ManualClock, ms: number): Promise<void> {
  clock.step(ms - 2_000)
  await clock.advance(2_000)
}

/** Certificates take real time to sign, which the manual clock does not see. */
async function eventually(check: () => Promise<boolean>): Promise<void> {
  for (let turn = 0; turn < 200; turn++) {
    if (await check()) return
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  throw new Error('it did not happen')
}

const datesOf = (wishes: readonly CertificateWish[]): string[] =>
  wishes.map(({ notBeforeMs, notAfterMs }) =>
    [notBeforeMs, notAfterMs].map((ms) => new Date(ms).toISOString().slice(5, 10)).join('→'),
  )

let world: ReturnType<typeof createWorld>
beforeEach(() => {
  world = createWorld()
  return () => world.end()
})

const published = async (): Promise<PublicationRow | undefined> => (await world.publications.list({ limit: 1 }))[0]?.row

describe('a STAR order (RFC 8739)', () => {
  it('becomes valid with its first certificate, which every later one replaces at the same id, on the dates of §3.5', async () => {
    await placeOrder(world, 'order-1')
    world.start()
    await eventually(async () => (await world.orders.find('order-1'))?.row.status === 'valid')
    const certificateId = (await world.orders.find('order-1'))!.row.certificate!

    await pass(world.clock, DAY_MS)
    await eventually(async () => (await published())?.index === 1)
    await pass(world.clock, 4 * DAY_MS)
    await eventually(async () => (await published())?.index === 2)
    await pass(world.clock, 14 * DAY_MS)

    expect(datesOf(world.wishes)).toEqual(['01-10→01-14', '01-11→01-18', '01-15→01-20'])
    expect((await world.publications.list({ limit: 10 })).map(({ id }) => id)).toEqual([certificateId])
  })

  it('has its first certificate on record, and no renewal', async () => {
    await placeOrder(world, 'order-1')
    world.start()
    await eventually(async () => (await world.orders.find('order-1'))?.row.status === 'valid')
    await pass(world.clock, DAY_MS)
    await eventually(async () => (await published())?.index === 1)
    expect(world.events).toEqual([
      {
        event: 'certificate-published',
        by: 'service',
        account: 'account-1',
        order: 'order-1',
        device: NAME,
        authority: 'test',
      },
    ])
  })

  it('says when the next certificate appears, and after its end that it is over', async () => {
    await placeOrder(world, 'order-1')
    world.start()
    await eventually(async () => (await world.orders.find('order-1'))?.row.status === 'valid')
    const id = (await world.orders.find('order-1'))!.row.certificate!
    const first = (await world.publisher.certificates.read(id))!
    expect(new Date(first.nextChangeMs).toISOString()).toBe('2027-01-11T00:00:00.000Z')
    expect(first).toMatchObject({ account: 'account-1', getAllowed: true })
    expect(first.ended).toBeUndefined()
    await pass(world.clock, 10 * DAY_MS)
    expect((await world.publisher.certificates.read(id))!.ended).toBe('autoRenewalExpired')
  })

  it('issues only the certificate that is due after a long downtime', async () => {
    await placeOrder(world, 'order-1')
    world.start()
    await eventually(async () => (await world.orders.find('order-1'))?.row.status === 'valid')
    await world.end()
    await pass(world.clock, 6 * DAY_MS)
    world.start()
    await eventually(async () => (await published())?.index === 2)
    expect(datesOf(world.wishes)).toEqual(['01-10→01-14', '01-15→01-20'])
  })
})

describe('renewals', () => {
  const firstIsOut = async (): Promise<void> => {
    await placeOrder(world, 'order-1')
    world.start()
    await eventually(async () => (await world.orders.find('order-1'))?.row.status === 'valid')
  }

  it('end with the order, even when the last ones could not be issued', async () => {
    await firstIsOut()
    world.failure = new Fault('AUTHORITY_UNAVAILABLE', 'the CA is down')
    await pass(world.clock, 30 * DAY_MS)
    world.failure = undefined
    await world.clock.advance(3_600_000)
    expect(world.wishes.length).toBe(1)
    expect(await world.jobs.take(Number.MAX_SAFE_INTEGER, 1, 10)).toEqual([])
  })

  it('exist before their order is valid, so that no crash in between loses them', async () => {
    await placeOrder(world, 'order-1')
    const { replace } = world.orders
    world.orders.replace = () => Promise.reject(new Error('the store went away'))
    await world.publisher.work('issue/order-1', AbortSignal.timeout(5_000))
    world.orders.replace = replace
    expect((await world.jobs.take(Number.MAX_SAFE_INTEGER, 1, 10)).some((job) => job.startsWith('renew/'))).toBe(true)
  })

  it('come after two thirds of the real life when a CA makes its certificates shorter than planned', async () => {
    world.datesOf = (wish) => ({ notBeforeMs: wish.notBeforeMs, notAfterMs: wish.notBeforeMs + 18 * 3_600_000 })
    await firstIsOut()
    const id = (await world.orders.find('order-1'))!.row.certificate!
    const { nextChangeMs } = (await world.publisher.certificates.read(id))!
    expect(new Date(nextChangeMs).toISOString()).toBe('2027-01-10T12:00:00.000Z')
    await pass(world.clock, 13 * 3_600_000)
    await eventually(async () => world.wishes.length >= 2)
  })

  it('stop when the account was deactivated (RFC 9115 §7.2)', async () => {
    await firstIsOut()
    const account = (await world.accounts.find('account-1'))!
    await world.accounts.replace(account, { ...account.row, status: 'deactivated' })
    await pass(world.clock, 2 * DAY_MS)
    await world.clock.advance(60_000)
    expect(world.wishes.length).toBe(1)
  })
})

describe('an order without auto-renewal (RFC 9115 §2.3.3)', () => {
  it('gets one certificate and no renewal', async () => {
    await placeOrder(world, 'order-1', 'single')
    world.start()
    await eventually(async () => (await world.orders.find('order-1'))?.row.status === 'valid')
    await pass(world.clock, 30 * DAY_MS)
    expect(datesOf(world.wishes)).toEqual(['01-10→01-17'])
  })
})

describe('ending', () => {
  const valid = async (kind: 'star' | 'single' = 'star'): Promise<string> => {
    await placeOrder(world, 'order-1', kind)
    world.start()
    await eventually(async () => (await world.orders.find('order-1'))?.row.status === 'valid')
    return (await world.orders.find('order-1'))!.row.certificate!
  }
  const signal = AbortSignal.timeout(60_000)

  it('of a STAR order: no renewal follows, and its URL answers autoRenewalCanceled (RFC 8739 §3.1.2)', async () => {
    const id = await valid()
    const usableUntilMs = await world.publisher.cancel('order-1', 'superseded', signal)
    expect(usableUntilMs).toBe((await published())!.notAfterMs)
    expect((await world.orders.find('order-1'))!.row.status).toBe('canceled')
    expect((await world.publisher.certificates.read(id))!.ended).toBe('autoRenewalCanceled')
    await pass(world.clock, 2 * DAY_MS)
    expect(world.wishes.length).toBe(1)
    expect(world.revoked).toEqual([])
    expect(await world.publisher.cancel('order-1', 'superseded', signal)).toBe(usableUntilMs)
  })

  it('of a single certificate: it is revoked at the authority that issued it', async () => {
    const id = await valid('single')
    expect(await world.publisher.cancel('order-1', 'superseded', signal)).toBeUndefined()
    expect(world.revoked).toEqual([{ leaf: fromPem((await published())!.pem)[0], reason: 'superseded' }])
    expect((await world.orders.find('order-1'))!.row.status).toBe('valid')
    expect((await world.publisher.certificates.read(id))!.ended).toBeUndefined()
  })

  it('of a single certificate is on record once its CA has heard of it, once, however often it is repeated', async () => {
    await valid('single')
    world.failure = new Fault('ACME_UNREACHABLE', 'connection refused')
    await expect(world.publisher.cancel('order-1', 'keyCompromise', signal)).rejects.toThrow('connection refused')
    expect(world.events.map(({ event }) => event)).toEqual(['certificate-published'])
    world.failure = undefined
    for (let n = 0; n < 2; n++) expect(await world.publisher.cancel('order-1', 'keyCompromise', signal)).toBeUndefined()
    expect(world.events.slice(1)).toEqual([
      {
        event: 'certificate-revoked',
        by: 'service',
        account: 'account-1',
        order: 'order-1',
        device: NAME,
        authority: 'test',
        reason: 'keyCompromise',
      },
    ])
    expect(world.revoked.length).toBe(1)
  })

  it('of a certificate that has run out: no CA is asked, which would refuse', async () => {
    await valid('single')
    await pass(world.clock, 8 * DAY_MS)
    world.failure = new Fault('ACME_REFUSED', 'certificate has expired')
    expect(await world.publisher.cancel('order-1', 'superseded', signal)).toBeUndefined()
  })

  it('of a STAR order by whoever moves its row: the URL and the renewals follow', async () => {
    const id = await valid()
    await cancelOrder(world.orders, 'order-1')
    expect((await world.publisher.certificates.read(id))!.ended).toBe('autoRenewalCanceled')
    await pass(world.clock, 2 * DAY_MS)
    expect(world.wishes.length).toBe(1)
  })

  it('by a job: the certificate is revoked, tried again until the CA has heard of it', async () => {
    const id = await valid('single')
    world.failure = new Fault('ACME_UNREACHABLE', 'connection refused')
    await revokeLater(world)(id, 'affiliationChanged')
    await world.clock.advance(2_000)
    expect(world.revoked).toEqual([])
    world.failure = undefined
    await world.clock.advance(62_000)
    expect(world.revoked).toEqual([{ leaf: fromPem((await published())!.pem)[0], reason: 'affiliationChanged' }])
    expect(world.events.at(-1)).toMatchObject({ event: 'certificate-revoked', reason: 'affiliationChanged' })
    expect((await world.jobs.take(Number.MAX_SAFE_INTEGER, 1, 10)).filter((job) => job.startsWith('revoke/'))).toEqual(
      [],
    )
  })

  it('of an order that is still under way: it becomes invalid and gets nothing', async () => {
    world.failure = new Fault('AUTHORITY_UNAVAILABLE', 'the CA is down')
    await placeOrder(world, 'order-1')
    await world.publisher.work('issue/order-1', signal)
    await world.publisher.cancel('order-1', 'superseded', signal)
    world.failure = undefined
    world.start()
    await world.clock.advance(60_000)
    expect((await world.orders.find('order-1'))!.row.status).toBe('invalid')
    expect(world.wishes).toEqual([])
  })

  it('of an account: its STAR certificates are shown to nobody any more (RFC 9115 §7.2)', async () => {
    const id = await valid()
    const account = (await world.accounts.find('account-1'))!
    await world.accounts.replace(account, { ...account.row, status: 'deactivated' })
    expect((await world.publisher.certificates.read(id))!.ended).toBe('autoRenewalCanceled')
  })

  it('of an account with an order under way: it fails before a CA is asked', async () => {
    await placeOrder(world, 'order-1')
    const account = (await world.accounts.find('account-1'))!
    await world.accounts.replace(account, { ...account.row, status: 'deactivated' })
    await world.publisher.work('issue/order-1', signal)
    expect((await world.orders.find('order-1'))!.row).toMatchObject({ status: 'invalid', error: { status: 403 } })
    expect(world.wishes).toEqual([])
  })
})

describe('a CA that says when it wants a certificate renewed (RFC 9773)', () => {
  const HOUR_MS = 3_600_000

  it('is asked once after issuance and then when it said, and its window brings the renewal forward', async () => {
    world.ari = () => ({
      startMs: START_MS + 10 * HOUR_MS,
      endMs: START_MS + 12 * HOUR_MS,
      askAgainMs: world.clock.nowMs() + 6 * HOUR_MS,
    })
    await placeOrder(world, 'order-1')
    world.start()
    await eventually(async () => (await world.orders.find('order-1'))?.row.status === 'valid')
    await world.clock.advance(60_000)
    expect(world.asked).toBe(1)
    await pass(world.clock, 5 * HOUR_MS)
    expect(world.asked).toBe(1)
    await pass(world.clock, 7 * HOUR_MS)
    await eventually(async () => (await published())?.edition === 2)
    expect(world.wishes.length).toBe(2)
    expect(world.wishes[1]!.replaces).toBeDefined()
  })

  it('is not believed beyond what RFC 8739 promises: the plan comes first', async () => {
    world.ari = () => ({
      startMs: START_MS + 3 * DAY_MS,
      endMs: START_MS + 3 * DAY_MS + HOUR_MS,
      askAgainMs: world.clock.nowMs() + DAY_MS,
    })
    await placeOrder(world, 'order-1')
    world.start()
    await eventually(async () => (await world.orders.find('order-1'))?.row.status === 'valid')
    await world.clock.advance(60_000)
    await pass(world.clock, DAY_MS)
    await eventually(async () => (await published())?.index === 1)
    expect(datesOf(world.wishes)).toEqual(['01-10→01-14', '01-11→01-18'])
  })

  it('changes nothing when it does not answer', async () => {
    world.ari = () => {
      throw new Fault('ACME_UNREACHABLE', 'no renewal information')
    }
    await placeOrder(world, 'order-1')
    world.start()
    await eventually(async () => (await world.orders.find('order-1'))?.row.status === 'valid')
    await world.clock.advance(60_000)
    await pass(world.clock, DAY_MS)
    await eventually(async () => (await published())?.index === 1)
    expect(world.asked).toBeLessThan(8)
  })

  it.each([
    [HOUR_MS, HOUR_MS],
    [1_000, 60_000],
    [30 * DAY_MS, DAY_MS],
  ])(
    'is left alone for as long as it says when it refuses (Retry-After %i ms: %i ms)',
    async (retryAfterMs, apartMs) => {
      world.ari = () => {
        throw new Fault('ACME_REFUSED', 'rateLimited: come back later', { status: 429, retryAfterMs })
      }
      await placeOrder(world, 'order-1')
      world.start()
      await eventually(async () => (await published())?.renewal !== undefined)
      expect((await published())!.renewal!.askAgainMs - world.clock.nowMs()).toBeGreaterThan(apartMs - 5_000)
      expect((await published())!.renewal!.askAgainMs - world.clock.nowMs()).toBeLessThanOrEqual(apartMs)
    },
  )
})

describe('failures', () => {
  it('are tried again, and the order is valid in the end', async () => {
    world.failure = new Fault('AUTHORITY_UNAVAILABLE', 'the CA is down')
    await placeOrder(world, 'order-1')
    world.start()
    await eventually(async () => world.clock.sleeping > 0)
    await world.clock.advance(1_000)
    expect((await world.orders.find('order-1'))?.row.status).toBe('processing')
    world.failure = undefined
    await world.clock.advance(10_000)
    await eventually(async () => (await world.orders.find('order-1'))?.row.status === 'valid')
  })

  it('in a row end a first order with a problem that names no secret of ours', async () => {
    world.failure = new Fault('AUTHORITY_UNAVAILABLE', 'the CA at https://ca.example/account/17 is down')
    await placeOrder(world, 'order-1')
    world.start()
    for (let minute = 0; minute < 10; minute++) await world.clock.advance(60_000)
    const order = (await world.orders.find('order-1'))!.row
    expect(order.status).toBe('invalid')
    expect(order.error).toMatchObject({ type: 'urn:ietf:params:acme:error:serverInternal', status: 500 })
    expect(JSON.stringify(order.error)).not.toContain('ca.example')
    expect(world.events).toMatchObject([
      { event: 'order-failed', order: 'order-1', device: NAME, reason: expect.stringContaining('is down') },
    ])
  })

  it('of a renewal leave the published certificate in place, and a later try replaces it', async () => {
    await placeOrder(world, 'order-1')
    world.start()
    await eventually(async () => (await world.orders.find('order-1'))?.row.status === 'valid')
    world.failure = new Fault('AUTHORITY_UNAVAILABLE', 'the CA is down')
    await pass(world.clock, DAY_MS + 60_000)
    expect((await published())?.index).toBe(0)
    expect((await world.orders.find('order-1'))?.row.status).toBe('valid')
    world.failure = undefined
    await pass(world.clock, 20 * 60_000)
    await eventually(async () => (await published())?.index === 1)
  })

  it('of the process lose nothing: an order left at processing is taken up again', async () => {
    await placeOrder(world, 'order-1')
    await world.jobs.finish('issue/order-1') // the job was lost before it was written
    await world.publisher.resume()
    world.start()
    await eventually(async () => (await world.orders.find('order-1'))?.row.status === 'valid')
  })

  it('a step repeated after a crash publishes nothing twice', async () => {
    await placeOrder(world, 'order-1')
    await world.publisher.work('issue/order-1', AbortSignal.timeout(5_000))
    await world.publisher.work('issue/order-1', AbortSignal.timeout(5_000))
    expect(world.wishes.length).toBe(1)
    expect((await world.publications.list({ limit: 10 })).length).toBe(1)
  })
})
