import type { Clock } from '../../core/clock.ts'
import { Fault, type FaultCode, reasonOf } from '../../core/fault.ts'
import { explain, type Log } from '../../core/log.ts'
import type { TlsMaterial } from '../../net/tls.ts'
import { toPem } from '../../pki/certificate.ts'
import { checkIdentity } from '../../pki/chain.ts'
import { createCsr } from '../../pki/csr.ts'
import type { Identity, Issuer } from '../../pki/issuer.ts'
import { generateKey, spkiOf } from '../../pki/key.ts'
import { type Credential, loadCredential, saveCredential } from './saved.ts'
import { jitteredMs, retryDelayMs } from './schedule.ts'
import { selfSigned } from './self-signed.ts'

/** The wall clock may step at any time, so no sleep is longer before dates are looked at again. */
const LOOK_AGAIN_MS = 30_000
/** One whole order: account, delegation, finalize, issuance at the CA behind the operator. */
const ORDER_MS_MAX = 300_000
/** Between a renewal and the next, whatever the dates of a certificate say. */
const RENEWALS_APART_MS = 1_000
const DAY_MS = 86_400_000
/** How early a certificate that has no successor is withdrawn: by this share of its lifetime, at most a minute. */
const WITHDRAW_SHARE = 0.05
const WITHDRAW_MS_MAX = 60_000

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
  readonly lastError?: {
    readonly code?: FaultCode
    readonly message: string
    readonly hint?: string
    readonly at: string
  }
}

/** Which certificate is served and when it changes. The old one stays until the new one has passed every check. */
export class IdentityManager {
  readonly #options: IdentityManagerOptions
  readonly #random: () => number
  #current: Credential | undefined
  /** A credential whose certificate has run out: its order may hold a newer one, and the clock may have been wrong. */
  #expired: Credential | undefined
  /** On the wall clock, because a certificate says so; 0 until there is one. */
  #renewAtMs = 0
  /** On the monotonic clock: a step of the wall clock must not put a failed try off by years. */
  #notBeforeMs = 0
  #failures = 0
  #renewals = 0
  #working = false
  #lastError: IdentityStatus['lastError']
  #wake = new AbortController()
  /** Those who want a renewal now, waiting for its end. */
  #askers: ((error: IdentityStatus['lastError']) => void)[] = []
  /** The operator ended the order we followed (RFC 8739 §3.1.2). */
  #orderEnded = false
  #hasEnded = false

  constructor(options: IdentityManagerOptions) {
    this.#options = options
    this.#random = options.random ?? Math.random
  }

  /** What to serve at once, without waiting for the network: the last good certificate, or a self-signed one. */
  async start(): Promise<TlsMaterial> {
    const { stateDir, log } = this.#options
    const saved = await loadCredential(stateDir, (file, reason) =>
      log.error(
        { ...explain(reason), file },
        'the saved identity cannot be read; it was moved aside and a new one is ordered',
      ),
    )
    if (saved) {
      try {
        this.#check(saved)
        this.#current = saved
        this.#renewAtMs = saved.identity.renewAtMs
        log.info({ until: new Date(saved.identity.notAfterMs).toISOString() }, 'serving the saved certificate')
        return materialOf(saved)
      } catch (error) {
        log.warn(explain(error), 'the saved certificate cannot be served')
        // Its order may still renew: a fetch brings the next certificate for the same key. Any other fault would come again.
        if (error instanceof Fault && (error.code === 'CERT_DATES' || error.code === 'CERT_CHAIN'))
          this.#expired = saved
      }
    }
    return selfSigned(stateDir, this.#options.name, this.#options.clock)
  }

  /** The identity being served, unless it is only the self-signed stand-in. */
  get identity(): Identity | undefined {
    return this.#current?.identity
  }

  /** Orders, fetches and expires until the signal says stop. Never throws. */
  async run(signal: AbortSignal): Promise<void> {
    signal.addEventListener('abort', () => this.#wake.abort(), { once: true })
    this.#options.onChange(this.identity)
    let renewal: Promise<void> | undefined
    while (!signal.aborted) {
      await this.#followDates()
      if (!renewal && (this.#askers.length > 0 || this.#dueInMs() <= 0))
        // Beside this loop: a certificate must be withdrawn in time even while an operator keeps us waiting.
        renewal = this.#renew(signal).then(() => {
          renewal = undefined
          if (!signal.aborted) for (const tell of this.#askers.splice(0)) tell(this.#lastError)
          this.#wake.abort()
        })
      await this.#sleep(renewal !== undefined)
    }
    await renewal
    this.#hasEnded = true
    for (const tell of this.#askers.splice(0)) tell(this.#stopping())
  }

  /** Renews now; resolves when the try has ended, with its error or nothing. One that is under way serves as well. */
  renewNow(): Promise<IdentityStatus['lastError']> {
    if (this.#hasEnded) return Promise.resolve(this.#stopping())
    return new Promise((resolve) => {
      this.#askers.push(resolve)
      this.#wake.abort()
    })
  }

  #stopping(): IdentityStatus['lastError'] {
    return { message: 'the router is stopping', at: this.#timeText(this.#options.clock.nowMs()) }
  }

  #timeText(ms: number): string {
    return new Date(ms).toISOString()
  }

  /** Both clocks have to agree: the certificate wants its successor, and the last failed try is long enough ago. */
  #dueInMs(): number {
    const { clock } = this.#options
    return Math.max(this.#renewAtMs - clock.nowMs(), this.#notBeforeMs - clock.monotonicMs())
  }

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
        at: this.#timeText(clock.nowMs() + Math.max(0, this.#dueInMs())),
      },
      renewals: this.#renewals,
      ...(this.#lastError ? { lastError: this.#lastError } : {}),
    }
  }

  async #renew(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#options
    const [limit, over] = [new AbortController(), new AbortController()]
    const tooLong = new Fault('ACME_TIMEOUT', `no certificate in ${ORDER_MS_MAX / 1000} s`)
    clock.sleep(ORDER_MS_MAX, over.signal).then(
      () => limit.abort(tooLong),
      () => {},
    )
    const stopped = new Promise<never>((_, fail) => {
      signal.addEventListener('abort', () => fail(signal.reason), { signal: over.signal })
    })
    this.#working = true
    try {
      // Whoever stops the router does not wait for an issuer that does not hear.
      const next = await Promise.race([this.#next(AbortSignal.any([signal, limit.signal])), stopped])
      this.#lastError = undefined
      if (next) await this.#adopt(next)
      else this.#retryLater()
    } catch (error) {
      if (signal.aborted) return
      const reason = limit.signal.aborted && !(error instanceof Fault) ? tooLong : error
      this.#noteError(reason)
      // What was fetched for a certificate that has run out did not pass either: nothing better will come from there.
      if (!this.#current && reason instanceof Fault && reason.code.startsWith('CERT_')) this.#orderEnded = true
      this.#retryLater()
      log.warn(
        { ...explain(reason), nextTry: this.#timeText(clock.nowMs() + this.#dueInMs()) },
        this.#current ? 'renewal failed; the old certificate stays in use' : 'no certificate yet',
      )
    } finally {
      over.abort()
      this.#working = false
    }
  }

  #noteError(error: unknown): void {
    this.#lastError = {
      ...(error instanceof Fault ? { code: error.code, hint: error.hint } : {}),
      message: reasonOf(error),
      at: this.#timeText(this.#options.clock.nowMs()),
    }
  }

  /** The next credential: from the running STAR order while it lasts, else from a new order. Undefined: not there yet. */
  async #next(signal: AbortSignal): Promise<Credential | undefined> {
    const { issuer, name, clock } = this.#options
    const renewable = this.#current ?? this.#expired
    if (renewable && this.#mayFetch(clock.nowMs())) {
      try {
        const identity = await issuer.refresh!(renewable.identity, signal)
        if (identity) return { identity, keyPem: renewable.keyPem }
        checkNotOverdue(renewable.identity, clock.nowMs())
        if (this.#current) return undefined
      } catch (error) {
        if (!this.#isDead(error)) throw error
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

  /**
   * Whether this order will bring nothing any more. With its certificate run out, every refusal says so; a server out of
   * reach says nothing: after an outage a million routers must fetch, not order.
   */
  #isDead(error: unknown): boolean {
    if (!(error instanceof Fault)) return false
    if (error.code === 'ORDER_ENDED') return true
    return this.#current === undefined && error.code !== 'HTTP_UNREACHABLE' && error.code !== 'ACME_UNREACHABLE'
  }

  /** A STAR order is followed until its last certificate is in hand; then, or when it was ended, a new order is placed. */
  #mayFetch(nowMs: number): boolean {
    const renewable = this.#current ?? this.#expired
    const star = renewable?.identity.star
    return star !== undefined && !this.#orderEnded && nowMs < star.endMs && renewable!.identity.notAfterMs < star.endMs
  }

  async #adopt(next: Credential): Promise<void> {
    const { clock, log, stateDir, present, onChange } = this.#options
    this.#check(next)
    // Shown first: what no listener can show must not be what the next start begins with.
    present(materialOf(next))
    const { identity } = next
    const lifetimeMs = identity.notAfterMs - identity.notBeforeMs
    this.#current = next
    this.#expired = undefined
    this.#orderEnded = false
    this.#failures = 0
    this.#renewals++
    this.#renewAtMs = jitteredMs(identity.renewAtMs, lifetimeMs, this.#random())
    this.#notBeforeMs = clock.monotonicMs() + RENEWALS_APART_MS
    log.info(
      {
        names: identity.names,
        until: new Date(identity.notAfterMs).toISOString(),
        next: this.#timeText(clock.nowMs() + this.#dueInMs()),
      },
      'serving a new certificate',
    )
    onChange(identity)
    try {
      await saveCredential(stateDir, next)
    } catch (error) {
      this.#noteError(error)
      log.error(explain(error), 'the new certificate is served, but it could not be saved: a restart begins without it')
    }
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
    this.#notBeforeMs = this.#options.clock.monotonicMs() + retryDelayMs(this.#failures, lifetimeMs, this.#random())
  }

  /** What has run out is withdrawn; what is good after all, because the clock was wrong, is shown again. */
  async #followDates(): Promise<void> {
    const nowMs = this.#options.clock.nowMs()
    if (this.#current && nowMs >= withdrawAtMs(this.#current.identity)) await this.#withdraw(this.#current)
    else if (this.#expired && isWithin(this.#expired.identity, nowMs)) this.#showAgain(this.#expired)
  }

  /** An expired certificate is never shown: a self-signed stand-in takes over in time and nothing is advertised. */
  async #withdraw(expired: Credential): Promise<void> {
    const { clock, log, stateDir, name, present, onChange } = this.#options
    this.#expired = expired
    this.#current = undefined
    log.error({ end: this.#timeText(expired.identity.notAfterMs) }, 'the certificate has run out')
    onChange(undefined)
    try {
      const standIn = await selfSigned(stateDir, name, clock)
      // A renewal may have been faster.
      if (!this.#current) present(standIn)
    } catch (error) {
      log.error(explain(error), 'there is no self-signed certificate to show instead')
    }
  }

  #showAgain(again: Credential): void {
    const { log, present, onChange } = this.#options
    try {
      this.#check(again)
      present(materialOf(again))
    } catch {
      return // as before: its order is followed, or a new one placed
    }
    this.#current = again
    this.#expired = undefined
    this.#renewAtMs = again.identity.renewAtMs
    log.info(
      { until: this.#timeText(again.identity.notAfterMs) },
      'the certificate is valid after all and served again',
    )
    onChange(again.identity)
  }

  /** Sleeps until something is due, `renewNow` asks for it, a renewal has ended, or the router stops. */
  async #sleep(isRenewing: boolean): Promise<void> {
    const { clock } = this.#options
    const withdrawInMs = this.#current ? withdrawAtMs(this.#current.identity) - clock.nowMs() : LOOK_AGAIN_MS
    const dueInMs = isRenewing ? LOOK_AGAIN_MS : this.#dueInMs()
    const ms = Math.max(1, Math.min(dueInMs, withdrawInMs, LOOK_AGAIN_MS))
    await clock.sleep(ms, this.#wake.signal).catch(() => {})
    if (this.#wake.signal.aborted) this.#wake = new AbortController()
  }
}

/** When to stop showing it: a handshake under way, or on a client whose clock is a little fast, must not end in the past. */
function withdrawAtMs({ notBeforeMs, notAfterMs }: Identity): number {
  return notAfterMs - Math.min(WITHDRAW_MS_MAX, (notAfterMs - notBeforeMs) * WITHDRAW_SHARE)
}

function isWithin(identity: Identity, nowMs: number): boolean {
  return nowMs >= identity.notBeforeMs && nowMs < withdrawAtMs(identity)
}

/** It should be there at half of the lifetime (RFC 8739 §3.3); with a quarter left it is time to complain. */
function checkNotOverdue({ notAfterMs, star }: Identity, nowMs: number): void {
  const lateMs = notAfterMs - (star!.lifetimeS * 1000) / 4
  if (nowMs < lateMs) return
  const until = new Date(notAfterMs).toISOString()
  throw new Fault('CERT_OVERDUE', `the operator has not published the certificate that follows the one until ${until}`)
}

function materialOf({ identity, keyPem }: Credential): TlsMaterial {
  return { keyPem, chainPem: toPem(identity.chain) }
}
