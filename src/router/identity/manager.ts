import type { Clock } from '../../core/clock.ts'
import { Fault, type FaultCode, reasonOf } from '../../core/fault.ts'
import { explain, type Log } from '../../core/log.ts'
import { toPem } from '../../pki/certificate.ts'
import { checkIdentity } from '../../pki/chain.ts'
import { createCsr } from '../../pki/csr.ts'
import type { Identity, Issuer } from '../../pki/issuer.ts'
import { generateKey, spkiOf } from '../../pki/key.ts'
import type { TlsMaterial } from '../../net/tls.ts'
import { type Credential, loadCredential, saveCredential } from './saved.ts'
import { jitteredMs, retryDelayMs } from './schedule.ts'
import { selfSigned } from './self-signed.ts'

/** The wall clock may step at any time, so no sleep is longer before dates are looked at again. */
const LOOK_AGAIN_MS = 30_000
/** One whole order: account, delegation, finalize, issuance at the CA behind the operator. */
const ORDER_MS_MAX = 300_000
const DAY_MS = 86_400_000

export interface IdentityManagerOptions {
  readonly name: string
  readonly issuer: Issuer
  readonly stateDir: string
  /** Roots an issued chain may lead to (DER). */
  readonly anchors: () => readonly Uint8Array[]
  /** Shows the certificate on every listener, or throws and leaves all of them as they were. */
  readonly present: (material: TlsMaterial) => void
  /** Called after every change of what is served, and when the last good certificate has run out. */
  readonly onChange: (identity: Identity | undefined) => void
  readonly clock: Clock
  readonly log: Log
  readonly random?: () => number
}

export type IdentityState = 'waiting-for-first' | 'serving' | 'renewing' | 'expired'

export interface IdentityStatus {
  readonly name: string
  readonly solution: string
  readonly state: IdentityState
  readonly notBefore?: string
  readonly notAfter?: string
  readonly next: { readonly action: 'order' | 'fetch' | 'none'; readonly at?: string }
  readonly renewals: number
  readonly lastError?: { readonly code?: FaultCode; readonly message: string; readonly hint?: string; readonly at: string }
}

/** Which certificate is served and when it changes. The old one stays until the new one has passed every check. */
export class IdentityManager {
  readonly #options: IdentityManagerOptions
  readonly #random: () => number
  #current: Credential | undefined
  #nextAtMs = 0
  #failures = 0
  #renewals = 0
  #working = false
  #lastError: IdentityStatus['lastError']
  #wake = new AbortController()
  #forced = false

  constructor(options: IdentityManagerOptions) {
    this.#options = options
    this.#random = options.random ?? Math.random
  }

  /** What to serve at once, without waiting for the network: the last good certificate, or a self-signed one. */
  async start(): Promise<TlsMaterial> {
    const { stateDir, log } = this.#options
    const saved = await loadCredential(stateDir, (file, reason) =>
      log.error({ ...explain(reason), file }, 'the saved identity cannot be read; it was moved aside and a new one is ordered'),
    )
    if (saved) {
      try {
        this.#check(saved)
        this.#current = saved
        this.#nextAtMs = saved.identity.renewAtMs
        log.info({ until: new Date(saved.identity.notAfterMs).toISOString() }, 'serving the saved certificate')
        return materialOf(saved)
      } catch (error) {
        // Not valid any more, but its order may still renew: a fetch brings the next certificate for the same key.
        log.warn(explain(error), 'the saved certificate cannot be served')
        if (saved.identity.star) this.#expired = saved
      }
    }
    return selfSigned(stateDir, this.#options.name, this.#options.clock)
  }
  /** A STAR credential whose certificate has run out; its URL may hold a newer one. */
  #expired: Credential | undefined

  /** The identity being served, unless it is only the self-signed stand-in. */
  get identity(): Identity | undefined {
    return this.#current?.identity
  }

  /** Orders, fetches and expires until the signal says stop. Never throws. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options
    this.#options.onChange(this.identity)
    while (!signal.aborted) {
      await this.#expireIfDue()
      const nowMs = clock.nowMs()
      if (this.#forced || nowMs >= this.#nextAtMs) {
        this.#forced = false
        await this.#renew(signal)
        continue
      }
      const untilMs = Math.min(this.#nextAtMs, this.#current?.identity.notAfterMs ?? Number.POSITIVE_INFINITY)
      await this.#sleep(Math.min(Math.max(untilMs - nowMs, 1), LOOK_AGAIN_MS), signal)
    }
  }

  /** Renews now; resolves when this try has ended, with its error or nothing. */
  async renewNow(): Promise<IdentityStatus['lastError']> {
    const before = this.#attempts
    this.#forced = true
    this.#wake.abort()
    while (this.#attempts === before) await this.#options.clock.sleep(20)
    return this.#lastError
  }
  #attempts = 0

  status(): IdentityStatus {
    const { name, issuer, clock } = this.#options
    const identity = this.identity
    const shown = identity ?? this.#expired?.identity
    return {
      name,
      solution: issuer.id,
      state: this.#working ? 'renewing' : identity ? 'serving' : this.#expired ? 'expired' : 'waiting-for-first',
      ...(shown
        ? { notBefore: new Date(shown.notBeforeMs).toISOString(), notAfter: new Date(shown.notAfterMs).toISOString() }
        : {}),
      next: {
        action: this.#mayFetch(clock.nowMs()) ? 'fetch' : 'order',
        at: new Date(Math.max(this.#nextAtMs, clock.nowMs())).toISOString(),
      },
      renewals: this.#renewals,
      ...(this.#lastError ? { lastError: this.#lastError } : {}),
    }
  }

  async #renew(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#options
    this.#working = true
    try {
      const next = await this.#next(AbortSignal.any([signal, AbortSignal.timeout(ORDER_MS_MAX)]))
      if (next) await this.#adopt(next)
      else this.#retryLater()
    } catch (error) {
      if (signal.aborted) return
      this.#lastError = {
        ...(error instanceof Fault ? { code: error.code, hint: error.hint } : {}),
        message: reasonOf(error),
        at: new Date(clock.nowMs()).toISOString(),
      }
      this.#retryLater()
      log.warn(
        { ...explain(error), nextTry: new Date(this.#nextAtMs).toISOString() },
        this.#current ? 'renewal failed; the old certificate stays in use' : 'no certificate yet',
      )
    } finally {
      this.#working = false
      this.#attempts++
    }
  }

  /** The next credential: from the running STAR order while it lasts, else from a new order. Undefined: not there yet. */
  async #next(signal: AbortSignal): Promise<Credential | undefined> {
    const { issuer, name, clock } = this.#options
    const renewable = this.#current ?? this.#expired
    if (renewable && this.#mayFetch(clock.nowMs())) {
      try {
        const identity = await issuer.refresh!(renewable.identity, signal)
        if (!identity) checkNotOverdue(renewable.identity, clock.nowMs())
        return identity && { identity, keyPem: renewable.keyPem }
      } catch (error) {
        if (!(error instanceof Fault) || error.code !== 'ORDER_ENDED') throw error
        this.#orderEnded = true
        this.#options.log.warn(explain(error), 'the running order has ended, a new one is placed')
      }
    }
    const names = [name]
    let keyPem = ''
    const identity = await issuer.issue(
      names,
      async (plan) => {
        keyPem = await generateKey(plan.keyType)
        return createCsr({ ...plan, keyPem, dnsNames: names })
      },
      signal,
    )
    return { identity, keyPem }
  }

  /** A STAR order is followed until its last certificate is in hand; then, or when it was ended, a new order is placed. */
  #mayFetch(nowMs: number): boolean {
    const renewable = this.#current ?? this.#expired
    const star = renewable?.identity.star
    return star !== undefined && !this.#orderEnded && nowMs < star.endMs && renewable!.identity.notAfterMs < star.endMs
  }
  /** The operator ended the order we followed (RFC 8739 §3.1.2). */
  #orderEnded = false

  async #adopt(next: Credential): Promise<void> {
    const { clock, log, stateDir, present, onChange } = this.#options
    this.#check(next)
    await saveCredential(stateDir, next)
    present(materialOf(next))
    const { identity } = next
    const lifetimeMs = identity.notAfterMs - identity.notBeforeMs
    this.#current = next
    this.#expired = undefined
    this.#orderEnded = false
    this.#failures = 0
    this.#lastError = undefined
    this.#renewals++
    this.#nextAtMs = Math.max(jitteredMs(identity.renewAtMs, lifetimeMs, this.#random()), clock.nowMs() + 1_000)
    log.info(
      { names: identity.names, until: new Date(identity.notAfterMs).toISOString(), next: new Date(this.#nextAtMs).toISOString() },
      'serving a new certificate',
    )
    onChange(identity)
  }

  #check({ identity, keyPem }: Credential): void {
    checkIdentity({
      chain: identity.chain,
      spki: spkiOf(keyPem),
      names: [this.#options.name],
      nowMs: this.#options.clock.nowMs(),
      anchors: this.#options.anchors(),
    })
  }

  #retryLater(): void {
    const identity = (this.#current ?? this.#expired)?.identity
    const lifetimeMs = identity ? identity.notAfterMs - identity.notBeforeMs : DAY_MS
    this.#failures++
    this.#nextAtMs = this.#options.clock.nowMs() + retryDelayMs(this.#failures, lifetimeMs, this.#random())
  }

  /** An expired certificate is never shown: the self-signed stand-in takes over and nothing is advertised. */
  async #expireIfDue(): Promise<void> {
    const { clock, log, stateDir, name, present, onChange } = this.#options
    if (!this.#current || clock.nowMs() < this.#current.identity.notAfterMs) return
    this.#expired = this.#current
    this.#current = undefined
    log.error({ since: new Date(this.#expired.identity.notAfterMs).toISOString() }, 'the certificate has expired')
    present(await selfSigned(stateDir, name, clock))
    onChange(undefined)
  }

  /** Sleeps until the time is over, `renewNow` wakes it, or the signal ends it. */
  async #sleep(ms: number, signal: AbortSignal): Promise<void> {
    await this.#options.clock.sleep(ms, AbortSignal.any([signal, this.#wake.signal])).catch(() => {})
    if (this.#wake.signal.aborted) this.#wake = new AbortController()
  }
}

/** A successor may come a little late; with a quarter of the lifetime left it is time to complain (RFC 8739 §3.3 wants it there at half). */
function checkNotOverdue({ notAfterMs, star }: Identity, nowMs: number): void {
  const lateMs = notAfterMs - (star!.lifetimeS * 1000) / 4
  if (nowMs < lateMs) return
  const until = new Date(notAfterMs).toISOString()
  throw new Fault('CERT_OVERDUE', `the operator has not published the certificate that follows the one until ${until}`)
}

function materialOf({ identity, keyPem }: Credential): TlsMaterial {
  return { keyPem, chainPem: toPem(identity.chain) }
}
