import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { Fault } from '../../../src/core/fault.ts'
import type { TlsMaterial } from '../../../src/net/tls.ts'
import { parseCertificate } from '../../../src/pki/certificate.ts'
import { parseCsr } from '../../../src/pki/csr.ts'
import type { CsrMaker, Identity, Issuer } from '../../../src/pki/issuer.ts'
import { IdentityManager } from '../../../src/router/identity/manager.ts'
import { silentLog } from '../../support/log.ts'
import { ManualClock, settle } from '../../support/manual-clock.ts'
import { within } from '../../support/sockets.ts'
import { type LeafWish, TestAuthority } from '../../support/tls.ts'

const NAME = 'dns.test'
const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const YEAR_MS = 365 * 24 * HOUR_MS
const NOW_MS = Date.UTC(2026, 10, 24)

let authority: TestAuthority
beforeAll(async () => {
  authority = await TestAuthority.create(NOW_MS)
})

/** Issues certificates of one hour that renew by themselves for ten, unless the test wants something else. */
class ScriptedIssuer implements Issuer {
  readonly id = 'scripted'
  readonly calls: { readonly what: 'issue' | 'refresh'; readonly atMs: number }[] = []
  /** What the next certificates look like. */
  wish: LeafWish = {}
  star = true
  /** Thrown instead of an answer. */
  failure: Error | undefined
  /** Refreshing finds the next certificate, or none yet. */
  published = true
  /** Held back until the test says so. */
  gate: Promise<void> | undefined
  atOnce = 0
  atOnceMost = 0
  readonly #clock: ManualClock
  readonly #endMs: number

  constructor(clock: ManualClock) {
    this.#clock = clock
    this.#endMs = clock.nowMs() + 10 * HOUR_MS
  }

  async issue(names: readonly string[], createCsr: CsrMaker, signal: AbortSignal): Promise<Identity> {
    return this.#counted('issue', async () => {
      await this.#mayFail(signal)
      const { spki } = parseCsr(await createCsr({ keyType: 'p256' }))
      return this.#identity(names, spki)
    })
  }

  async refresh(current: Identity, signal: AbortSignal): Promise<Identity | undefined> {
    return this.#counted('refresh', async () => {
      await this.#mayFail(signal)
      return this.published ? this.#identity(current.names, parseCertificate(current.chain[0]!).spki) : undefined
    })
  }

  countOf(what: 'issue' | 'refresh'): number {
    return this.calls.filter((call) => call.what === what).length
  }

  async #counted<T>(what: 'issue' | 'refresh', work: () => Promise<T>): Promise<T> {
    this.calls.push({ what, atMs: this.#clock.monotonicMs() })
    this.atOnceMost = Math.max(this.atOnceMost, ++this.atOnce)
    try {
      return await work()
    } finally {
      this.atOnce--
    }
  }

  async #mayFail(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    await this.gate
    if (this.failure) throw this.failure
  }

  async #identity(names: readonly string[], spki: Uint8Array): Promise<Identity> {
    const notBeforeMs = this.wish.notBeforeMs ?? this.#clock.nowMs()
    const notAfterMs = this.wish.notAfterMs ?? notBeforeMs + HOUR_MS
    const { chain } = await authority.leaf({ spki, dnsNames: [NAME], ...this.wish, notBeforeMs, notAfterMs })
    const star = { url: 'https://acme.test/star/1', lifetimeS: 3600, lifetimeAdjustS: 1800, endMs: this.#endMs }
    return {
      names,
      chain,
      notBeforeMs,
      notAfterMs,
      renewAtMs: (notBeforeMs + notAfterMs) / 2,
      ...(this.star ? { star } : {}),
    }
  }
}

interface World {
  readonly clock: ManualClock
  readonly issuer: ScriptedIssuer
  readonly stateDir: string
}

async function world(nowMs = NOW_MS): Promise<World & { boot: (options?: BootOptions) => Promise<Booted> }> {
  const clock = new ManualClock(nowMs)
  const stateDir = await mkdtemp(join(tmpdir(), 'hearth-identity-'))
  onTestFinished(() => rm(stateDir, { recursive: true, force: true }))
  const parts = { clock, issuer: new ScriptedIssuer(clock), stateDir }
  return { ...parts, boot: (options) => boot(parts, options) }
}

interface BootOptions {
  readonly name?: string
  readonly random?: () => number
  /** Thrown when a certificate is to be shown. */
  readonly presentFailure?: () => Error | undefined
}

interface Booted {
  readonly manager: IdentityManager
  /** What clients are shown, newest last. */
  readonly shown: TlsMaterial[]
  /** What may be advertised, newest last. */
  readonly advertised: (Identity | undefined)[]
  /** Until all that is due now has been done. */
  idle(): Promise<void>
  /** Lets time pass in steps of at most ten seconds. */
  pass(ms: number): Promise<void>
  stop(): Promise<void>
}

/** A run of the router's identity manager. */
async function boot({ clock, issuer, stateDir }: World, options: BootOptions = {}): Promise<Booted> {
  const { name = NAME, random = () => 0, presentFailure = () => undefined } = options
  const shown: TlsMaterial[] = []
  const advertised: (Identity | undefined)[] = []
  const manager = new IdentityManager({
    name,
    issuer,
    stateDir,
    anchors: () => [authority.rootDer],
    present: (material) => {
      const failure = presentFailure()
      if (failure) throw failure
      shown.push(material)
    },
    onChange: (identity) => advertised.push(identity),
    clock,
    log: silentLog,
    random,
  })
  shown.push(await manager.start())
  const stopping = new AbortController()
  let isOver = false
  const running = manager.run(stopping.signal).finally(() => (isOver = true))
  const idle = async (): Promise<void> => {
    const isBusy = (): boolean => !isOver && (clock.sleeping === 0 || manager.status().state === 'renewing')
    for (let turn = 0; isBusy() && turn < 10_000; turn++) await settle()
    if (isBusy()) throw new Error('the manager does not come to rest')
  }
  const stop = async (): Promise<void> => {
    stopping.abort()
    await within('the end of the manager', running)
  }
  onTestFinished(stop)
  await idle()
  return {
    manager,
    shown,
    advertised,
    idle,
    stop,
    async pass(ms) {
      for (let left = ms; left > 0; left -= 10_000) {
        await clock.advance(Math.min(left, 10_000))
        await idle()
      }
    },
  }
}

const isSelfSigned = ({ chainPem }: TlsMaterial): boolean => chainPem.match(/BEGIN CERTIFICATE/g)?.length === 1
const savedIn = async (stateDir: string): Promise<{ notAfter: string }> =>
  JSON.parse(await readFile(join(stateDir, 'identity.json'), 'utf8')) as { notAfter: string }
/** For what takes real time: making a certificate. */
async function eventually(isSo: () => boolean): Promise<void> {
  for (let turn = 0; !isSo() && turn < 1_000; turn++) await settle()
}
const fault = (code: ConstructorParameters<typeof Fault>[0]): Fault => new Fault(code, `scripted ${code}`)

describe('the first certificate', () => {
  it('is ordered at once; until then a self-signed one is shown and nothing advertised', async () => {
    const { boot, issuer, stateDir, clock } = await world()
    const { manager, shown, advertised } = await boot()
    expect(issuer.calls).toEqual([{ what: 'issue', atMs: 0 }])
    expect(shown.map(isSelfSigned)).toEqual([true, false])
    expect(advertised.map((identity) => identity?.names)).toEqual([undefined, [NAME]])
    expect(manager.status()).toEqual({
      name: NAME,
      solution: 'scripted',
      state: 'serving',
      notBefore: new Date(NOW_MS).toISOString(),
      notAfter: new Date(NOW_MS + HOUR_MS).toISOString(),
      next: { action: 'fetch', at: new Date(NOW_MS + HOUR_MS / 2).toISOString() },
      renewals: 1,
    })
    expect((await savedIn(stateDir)).notAfter).toBe(new Date(clock.nowMs() + HOUR_MS).toISOString())
  })

  it('is tried again with growing distances while it cannot be had', async () => {
    const { boot, issuer } = await world()
    issuer.failure = fault('ACME_UNREACHABLE')
    const { manager, pass, shown } = await boot({ random: () => 0.999_999 })
    expect(manager.status()).toMatchObject({
      state: 'waiting-for-first',
      next: { action: 'order' },
      lastError: {
        code: 'ACME_UNREACHABLE',
        message: 'scripted ACME_UNREACHABLE',
        hint: expect.stringContaining('ACME server'),
      },
    })
    await pass(40 * MINUTE_MS)
    const minutes = issuer.calls.map(({ atMs }) => Math.round(atMs / MINUTE_MS))
    expect(minutes).toEqual([0, 1, 3, 7, 15, 31])
    issuer.failure = undefined
    await pass(33 * MINUTE_MS)
    expect(manager.status()).toMatchObject({ state: 'serving', renewals: 1 })
    expect(manager.status().lastError).toBeUndefined()
    expect(shown.map(isSelfSigned)).toEqual([true, false])
  })
})

describe('a restart', () => {
  it('shows the saved certificate without any network, until its renewal is due', async () => {
    const { boot, issuer } = await world()
    const first = await boot()
    await first.stop()
    issuer.failure = fault('ACME_UNREACHABLE')
    const { shown, advertised, manager, pass } = await boot()
    expect(shown).toEqual([first.shown.at(-1)])
    expect(advertised.map((identity) => identity?.names)).toEqual([[NAME]])
    expect(manager.status()).toMatchObject({ state: 'serving', renewals: 0 })
    await pass(29 * MINUTE_MS)
    expect(issuer.calls.length).toBe(1)
    await pass(2 * MINUTE_MS)
    expect(issuer.countOf('refresh')).toBeGreaterThan(0)
  })

  it('after the end of the certificate fetches the next one of the same order', async () => {
    const { boot, issuer, clock } = await world()
    const first = await boot()
    await first.stop()
    clock.step(2 * HOUR_MS)
    const { shown, manager } = await boot()
    expect(shown.map(isSelfSigned)).toEqual([true, false])
    expect(issuer.calls.map(({ what }) => what)).toEqual(['issue', 'refresh'])
    expect(shown[1]?.keyPem).toBe(first.shown[1]?.keyPem)
    expect(manager.status().state).toBe('serving')
  })

  it('under another name orders anew: the old order is not followed', async () => {
    const { boot, issuer } = await world()
    await (await boot()).stop()
    issuer.wish = { dnsNames: ['other.test'] }
    const { manager, shown } = await boot({ name: 'other.test' })
    expect(issuer.calls.map(({ what }) => what)).toEqual(['issue', 'issue'])
    expect(manager.status()).toMatchObject({ state: 'serving', name: 'other.test' })
    expect(shown.map(isSelfSigned)).toEqual([true, false])
  })

  it('with a damaged file moves that aside and orders anew', async () => {
    const { boot, issuer, stateDir } = await world()
    await (await boot()).stop()
    await writeFile(join(stateDir, 'identity.json'), '{"names":')
    const { manager } = await boot()
    expect(issuer.countOf('issue')).toBe(2)
    expect(manager.status().state).toBe('serving')
    expect(await readFile(join(stateDir, 'identity.json.damaged'), 'utf8')).toBe('{"names":')
    expect((await readdir(stateDir)).toSorted()).toEqual(['identity.json', 'identity.json.damaged', 'self-signed.key'])
  })
})

describe('renewal', () => {
  it('fetches the next certificate at half of the lifetime, for the same key, again and again', async () => {
    const { boot, issuer, stateDir } = await world()
    const { shown, manager, advertised, pass } = await boot()
    await pass(2 * HOUR_MS + MINUTE_MS)
    expect(issuer.calls.map(({ what, atMs }) => [what, atMs / MINUTE_MS])).toEqual([
      ['issue', 0],
      ['refresh', 30],
      ['refresh', 60],
      ['refresh', 90],
      ['refresh', 120],
    ])
    expect(new Set(shown.slice(1).map(({ keyPem }) => keyPem)).size).toBe(1)
    expect(new Set(shown.map(({ chainPem }) => chainPem)).size).toBe(6)
    expect([manager.status().renewals, advertised.length]).toEqual([5, 6])
    expect((await savedIn(stateDir)).notAfter).toBe(manager.status().notAfter)
  })

  it('is spread over a twentieth of the lifetime', async () => {
    const { boot, issuer } = await world()
    const { pass } = await boot({ random: () => 0.999_999 })
    await pass(32 * MINUTE_MS)
    expect(issuer.calls.length).toBe(1)
    await pass(2 * MINUTE_MS)
    expect(issuer.calls.length).toBe(2)
  })

  it('orders anew, with a new key, what does not renew by itself', async () => {
    const { boot, issuer } = await world()
    issuer.star = false
    const { shown, pass } = await boot()
    await pass(31 * MINUTE_MS)
    expect(issuer.calls.map(({ what }) => what)).toEqual(['issue', 'issue'])
    expect(new Set(shown.map(({ keyPem }) => keyPem)).size).toBe(3)
  })

  it('orders anew once the last certificate of an order is in hand', async () => {
    const { boot, issuer } = await world()
    issuer.wish = { notAfterMs: NOW_MS + 10 * HOUR_MS }
    const { pass, manager } = await boot()
    expect(manager.status().next.action).toBe('order')
    await pass(5 * HOUR_MS + MINUTE_MS)
    expect(issuer.calls.map(({ what }) => what)).toEqual(['issue', 'issue'])
  })

  it('asks again with back-off while the next certificate is not there, and complains when it is overdue', async () => {
    const { boot, issuer } = await world()
    const { pass, manager } = await boot({ random: () => 0.999_999 })
    issuer.published = false
    await pass(44 * MINUTE_MS)
    expect(manager.status()).toMatchObject({ state: 'serving', renewals: 1 })
    expect(manager.status().lastError).toBeUndefined()
    const asked = issuer.countOf('refresh')
    expect(asked).toBeGreaterThan(3)
    expect(asked).toBeLessThan(14)
    await pass(6 * MINUTE_MS)
    expect(manager.status().lastError?.code).toBe('CERT_OVERDUE')
    issuer.published = true
    await pass(4 * MINUTE_MS)
    expect(manager.status()).toMatchObject({ state: 'serving', renewals: 2 })
    expect(manager.status().lastError).toBeUndefined()
  })

  it('places a new order when the operator has ended the running one, and keeps to it', async () => {
    const { boot, issuer } = await world()
    const { pass, manager, shown } = await boot()
    issuer.failure = fault('ORDER_ENDED')
    await pass(30 * MINUTE_MS)
    expect(issuer.calls.slice(0, 3).map(({ what }) => what)).toEqual(['issue', 'refresh', 'issue'])
    await pass(5 * MINUTE_MS)
    expect(issuer.calls.slice(3).every(({ what }) => what === 'issue')).toBe(true)
    expect(manager.status().next.action).toBe('order')
    issuer.failure = undefined
    await pass(5 * MINUTE_MS)
    expect(manager.status()).toMatchObject({ state: 'serving', renewals: 2, next: { action: 'fetch' } })
    expect(shown[2]?.keyPem).not.toBe(shown[1]?.keyPem)
  })
})

describe('a certificate that must not be served', () => {
  const later = NOW_MS + 31 * MINUTE_MS
  it.each([
    ['another name', { dnsNames: ['other.test'] }, 'CERT_NAME_MISMATCH'],
    ['no longer valid', { notBeforeMs: later - 3 * HOUR_MS, notAfterMs: later - 2 * HOUR_MS }, 'CERT_DATES'],
    ['not valid yet', { notBeforeMs: later + HOUR_MS, notAfterMs: later + 2 * HOUR_MS }, 'CERT_DATES'],
  ] as const)('%s is refused, the old one stays and the error shows', async (_, wish, code) => {
    const { boot, issuer, stateDir } = await world()
    const { pass, manager, shown, advertised } = await boot()
    const before = { saved: await savedIn(stateDir), shown: [...shown], advertised: [...advertised] }
    issuer.wish = wish
    await pass(31 * MINUTE_MS)
    expect(issuer.countOf('refresh')).toBeGreaterThan(0)
    expect(manager.status()).toMatchObject({ state: 'serving', renewals: 1, lastError: { code } })
    expect({ saved: await savedIn(stateDir), shown, advertised }).toEqual(before)
  })

  it('another key is refused', async () => {
    const { boot, issuer } = await world()
    const other = parseCertificate((await authority.leaf()).chain[0]!)
    issuer.wish = { spki: other.spki }
    const { manager, shown } = await boot()
    expect(manager.status()).toMatchObject({ state: 'waiting-for-first', lastError: { code: 'CERT_KEY_MISMATCH' } })
    expect(shown.map(isSelfSigned)).toEqual([true])
  })

  it('one that the listeners cannot show is refused, and not saved for the next start', async () => {
    const { boot, stateDir } = await world()
    let failure: Error | undefined
    const { pass, manager, shown, advertised } = await boot({ presentFailure: () => failure })
    const before = await savedIn(stateDir)
    failure = new Error('ca md too weak')
    await pass(31 * MINUTE_MS)
    expect(manager.status()).toMatchObject({ state: 'serving', renewals: 1, lastError: { message: 'ca md too weak' } })
    expect(await savedIn(stateDir)).toEqual(before)
    expect([shown.length, advertised.length]).toEqual([2, 2])
    failure = undefined
    await pass(5 * MINUTE_MS)
    expect(manager.status()).toMatchObject({ state: 'serving', renewals: 2 })
  })
})

describe('the end of a certificate', () => {
  it('brings the self-signed one and nothing is advertised; the next one brings all back', async () => {
    const { boot, issuer } = await world()
    const { pass, manager, shown, advertised } = await boot()
    issuer.failure = fault('ACME_UNREACHABLE')
    await pass(58 * MINUTE_MS)
    expect(manager.status().state).toBe('serving')
    await pass(2 * MINUTE_MS)
    expect(manager.status()).toMatchObject({
      state: 'expired',
      notAfter: new Date(NOW_MS + HOUR_MS).toISOString(),
      lastError: { code: 'ACME_UNREACHABLE' },
    })
    expect(manager.identity).toBeUndefined()
    expect(shown.map(isSelfSigned)).toEqual([true, false, true])
    expect(advertised.map((identity) => identity !== undefined)).toEqual([false, true, false])
    await pass(HOUR_MS)
    expect(shown.length).toBe(3)
    issuer.failure = undefined
    await pass(5 * MINUTE_MS)
    expect(manager.status().state).toBe('serving')
    expect(shown.map(isSelfSigned)).toEqual([true, false, true, false])
    expect(advertised.at(-1)?.names).toEqual([NAME])
    expect(issuer.calls.at(-1)?.what).toBe('refresh')
  })

  it('gives up an order that has no next certificate, and orders anew', async () => {
    const { boot, issuer } = await world()
    const { pass, manager } = await boot()
    issuer.published = false
    await pass(HOUR_MS + 10 * MINUTE_MS)
    expect(manager.status().state).toBe('serving')
    expect(issuer.countOf('issue')).toBe(2)
  })

  it('gives up an order whose next certificate does not pass', async () => {
    const { boot, issuer } = await world()
    const { pass, manager } = await boot()
    issuer.wish = { dnsNames: ['other.test'] }
    await pass(HOUR_MS + MINUTE_MS)
    issuer.wish = {}
    issuer.published = false
    await pass(10 * MINUTE_MS)
    expect(manager.status().state).toBe('serving')
    expect(issuer.countOf('issue')).toBeGreaterThan(1)
  })

  it('is noticed while a renewal hangs, and what the renewal brings in the end is shown', async () => {
    const { boot, issuer, clock } = await world()
    issuer.wish = { notAfterMs: NOW_MS + 4 * MINUTE_MS }
    const { idle, manager, shown, advertised } = await boot()
    let open = (): void => {}
    issuer.gate = new Promise((resolve) => (open = resolve))
    issuer.wish = {}
    await clock.advance(2 * MINUTE_MS + 1_000)
    expect(manager.status().state).toBe('renewing')
    for (let turn = 0; turn < 12; turn++) await clock.advance(10_000)
    await eventually(() => shown.length === 3)
    expect(shown.map(isSelfSigned)).toEqual([true, false, true])
    expect(advertised.at(-1)).toBeUndefined()
    open()
    await idle()
    expect(shown.map(isSelfSigned)).toEqual([true, false, true, false])
    expect(manager.status().state).toBe('serving')
  })

  it('is told even when no self-signed one can be made, and the manager goes on', async () => {
    const { boot, issuer, stateDir } = await world()
    const { pass, manager, advertised } = await boot()
    issuer.failure = fault('ACME_UNREACHABLE')
    await rm(stateDir, { recursive: true })
    await writeFile(stateDir, 'in the way')
    await pass(HOUR_MS)
    expect(advertised.at(-1)).toBeUndefined()
    expect(manager.status().state).toBe('expired')
    issuer.failure = undefined
    await pass(5 * MINUTE_MS)
    expect(manager.status().state).toBe('serving')
  })
})

describe('a disk that cannot be written', () => {
  it('does not keep a new certificate from being served; the error shows', async () => {
    const { boot, stateDir } = await world()
    const { pass, manager, shown } = await boot()
    await rm(stateDir, { recursive: true })
    await writeFile(stateDir, 'in the way')
    await pass(31 * MINUTE_MS)
    expect(shown.length).toBe(3)
    expect(manager.status()).toMatchObject({ state: 'serving', renewals: 2 })
    expect(manager.status().lastError).toBeDefined()
    await pass(20 * MINUTE_MS)
    expect(shown.length).toBe(3)
  })
})

describe('steps of the wall clock', () => {
  it('years ahead and back: the certificate is withdrawn and comes back, without a new one', async () => {
    const { boot, issuer, clock } = await world()
    const { pass, manager, shown, advertised } = await boot()
    issuer.failure = fault('ACME_UNREACHABLE')
    clock.step(10 * YEAR_MS)
    await pass(MINUTE_MS)
    expect([manager.status().state, isSelfSigned(shown.at(-1)!), advertised.at(-1)]).toEqual([
      'expired',
      true,
      undefined,
    ])
    clock.step(-10 * YEAR_MS)
    await pass(MINUTE_MS)
    expect(manager.status()).toMatchObject({ state: 'serving', renewals: 1 })
    expect(shown.at(-1)).toEqual(shown[1])
    expect(advertised.at(-1)?.names).toEqual([NAME])
    issuer.failure = undefined
    await pass(35 * MINUTE_MS)
    expect(manager.status()).toMatchObject({ state: 'serving', renewals: 2 })
  })

  it('back by years: a failed try is not put off by them', async () => {
    const { boot, issuer, clock } = await world(NOW_MS + 10 * YEAR_MS)
    issuer.failure = fault('ACME_UNREACHABLE')
    const { pass, manager } = await boot()
    clock.step(-10 * YEAR_MS)
    issuer.failure = undefined
    await pass(2 * MINUTE_MS)
    expect(manager.status().state).toBe('serving')
  })

  it('a clock that starts in 1970: the saved certificate is served as soon as the time is known', async () => {
    const { boot, issuer, clock } = await world()
    await (await boot()).stop()
    issuer.failure = fault('ACME_UNREACHABLE')
    clock.step(-clock.nowMs())
    const { pass, manager, shown } = await boot()
    expect(isSelfSigned(shown[0]!)).toBe(true)
    clock.step(NOW_MS + 10 * MINUTE_MS - clock.nowMs())
    await pass(MINUTE_MS)
    expect(manager.status()).toMatchObject({ state: 'serving', renewals: 0 })
    expect(isSelfSigned(shown.at(-1)!)).toBe(false)
  })

  it('back by years while serving: goes on serving', async () => {
    const { boot, clock } = await world()
    const { pass, manager, shown } = await boot()
    clock.step(-5 * YEAR_MS)
    await pass(HOUR_MS)
    expect(manager.status().state).toBe('serving')
    expect(shown.length).toBe(2)
    clock.step(5 * YEAR_MS)
    await pass(MINUTE_MS)
    expect(manager.status().state).toBe('serving')
  })
})

describe('renewNow', () => {
  it('renews at once, and resolves with nothing when that went well', async () => {
    const { boot, issuer } = await world()
    const { manager } = await boot()
    expect(await within('the renewal', manager.renewNow())).toBeUndefined()
    expect(issuer.calls.map(({ what }) => what)).toEqual(['issue', 'refresh'])
    expect(manager.status().renewals).toBe(2)
  })

  it('resolves with the error, and what is served stays', async () => {
    const { boot, issuer } = await world()
    const { manager, pass } = await boot()
    issuer.failure = fault('ACME_REFUSED')
    expect(await within('the renewal', manager.renewNow())).toMatchObject({ code: 'ACME_REFUSED' })
    expect(manager.status().state).toBe('serving')
    issuer.failure = undefined
    await pass(31 * MINUTE_MS)
    expect(manager.status().lastError).toBeUndefined()
  })

  it('when there is no newer one leaves the ordinary time of renewal as it was', async () => {
    const { boot, issuer } = await world()
    const { manager, pass } = await boot()
    issuer.published = false
    expect(await within('the renewal', manager.renewNow())).toBeUndefined()
    expect(manager.status().next.at).toBe(new Date(NOW_MS + HOUR_MS / 2).toISOString())
    await pass(29 * MINUTE_MS)
    expect(issuer.countOf('refresh')).toBe(1)
  })

  it('several at once and one under way are one flight', async () => {
    const { boot, issuer } = await world()
    const { manager, idle } = await boot()
    let open = (): void => {}
    issuer.gate = new Promise((resolve) => (open = resolve))
    const asked = [manager.renewNow(), manager.renewNow()]
    await settle()
    expect(manager.status().state).toBe('renewing')
    asked.push(manager.renewNow())
    await settle()
    expect(issuer.countOf('refresh')).toBe(1)
    open()
    expect(await within('the renewals', Promise.all(asked))).toEqual([undefined, undefined, undefined])
    await idle()
    expect([issuer.atOnceMost, issuer.countOf('refresh')]).toEqual([1, 1])
  })

  it('after the end resolves with an error instead of never', async () => {
    const { boot } = await world()
    const { manager, stop } = await boot()
    await stop()
    expect(await within('the renewal', manager.renewNow(), 500)).toMatchObject({
      message: expect.stringContaining('stopping'),
    })
  })
})

describe('the end of the run', () => {
  it('comes at once while it sleeps', async () => {
    const { boot, clock } = await world()
    const { stop } = await boot()
    await within('the end', stop(), 500)
    expect(clock.sleeping).toBe(0)
  })

  it('comes at once while an order hangs; its result is not taken any more, and who waits for it is told', async () => {
    const { boot, issuer } = await world()
    const { manager, stop, shown } = await boot()
    let open = (): void => {}
    issuer.gate = new Promise((resolve) => (open = resolve))
    const asked = manager.renewNow()
    await settle()
    await within('the end', stop(), 500)
    expect(await within('the renewal', asked, 500)).toMatchObject({ message: expect.stringContaining('stopping') })
    open()
    await settle()
    expect(shown.length).toBe(2)
  })
})

it('an order that takes over five minutes is given up as ACME_TIMEOUT', async () => {
  const { boot, issuer, clock } = await world()
  const { manager, idle } = await boot()
  issuer.refresh = (_current, signal) =>
    new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
  const asked = manager.renewNow()
  await settle()
  await clock.advance(5 * MINUTE_MS)
  expect(await within('the renewal', asked, 500)).toMatchObject({ code: 'ACME_TIMEOUT' })
  await idle()
  expect(manager.status().state).toBe('serving')
})
