import type { Clock } from '../../core/clock.ts'
import { Fault, reasonOf } from '../../core/fault.ts'
import { explain, type Log } from '../../core/log.ts'
import { CLASS, TYPE } from '../../dns/codes.ts'
import { buildMessage, type Message, parseMessage } from '../../dns/message.ts'
import { MessageView } from '../../dns/view.ts'
import { endpointText } from '../../net/bind.ts'
import type { Outcome, Query, Upstream } from '../resolve/resolver.ts'
import { type Designation, designationsIn } from './designations.ts'

/** What the first questions wait for: whether they may go encrypted (RFC 9462 §4: ask before anything else). */
const FIRST_LOOK_MS = 1_000
/** One answer of the look, and the first answer of the encrypted upstream, connecting included. */
const ANSWER_MS = 3_000
/** The encrypted upstream has this long; what is left of the deadline belongs to the plain one. */
const ENCRYPTED_MS = 2_000
/** Bounds of the TTL after which the plain upstream is asked again, and how soon that is after nothing came of it. */
const AGAIN_MS_MIN = 60_000
const AGAIN_MS_MAX = 86_400_000
const NOTHING_MS = 300_000
/** Designations tried in one look; the operator has put the best first. */
const TRIED_MAX = 4
const ADDRESSES_MAX = 4

export interface UpgradeOptions {
  readonly plain: Upstream
  /** Of the plain upstream: the certificate has to carry it (RFC 9462 §4.2). */
  readonly address: string
  /** Makes the upstream of a URL whose host is `address`, at these addresses instead. */
  readonly encrypted: (url: string, addresses: readonly string[]) => Upstream
  readonly clock: Clock
  readonly log: Log
}

/**
 * A plain upstream that is asked for its encrypted self (RFC 9462) and replaced by it while it works. Only verified
 * designations are used: a certificate of a trusted CA for the address that was asked. Without one it stays plain, as the
 * settings have it. What one network designates is forgotten with `reset`, and never used for another resolver.
 */
export class UpgradingUpstream implements Upstream {
  readonly id: string
  readonly #options: UpgradeOptions
  #current: Encrypted | undefined
  #isTested = false
  #looking: Promise<void> | undefined
  #isFirstLook = true
  #lookAtMs = Number.NEGATIVE_INFINITY
  #told = ''
  /** Counts resets: a look that began before one has seen another network. */
  #network = 0

  constructor(options: UpgradeOptions) {
    this.id = options.plain.id
    this.#options = options
  }

  /** The URL in use instead of the plain one. */
  get designated(): string | undefined {
    return this.#current?.url
  }

  async resolve(query: Query, signal: AbortSignal): Promise<Outcome> {
    const { clock, plain } = this.#options
    if (!this.#looking && clock.monotonicMs() >= this.#lookAtMs) this.#looking = this.#look()
    if (this.#looking && this.#isFirstLook) await this.#firstLook()
    const encrypted = this.#current
    if (!encrypted) return plain.resolve(query, signal)
    try {
      const deadlineMs = Math.min(query.deadlineMs, clock.monotonicMs() + ENCRYPTED_MS)
      return await encrypted.upstream.resolve({ ...query, deadlineMs }, signal)
    } catch (error) {
      // An answer that did not come in time may be the fault of the name.
      if (error instanceof Fault && error.code === 'UPSTREAM_TIMEOUT') void this.#test(encrypted)
      else this.#drop(encrypted, error)
      return plain.resolve(query, signal)
    }
  }

  reset(): void {
    this.#network++
    this.#replace(undefined)
    this.#lookAtMs = Number.NEGATIVE_INFINITY
    this.#looking = undefined
    this.#isFirstLook = true
    this.#options.plain.reset?.()
  }

  close(): void {
    this.#network++
    this.#replace(undefined)
    this.#options.plain.close?.()
  }

  async #firstLook(): Promise<void> {
    const over = new AbortController()
    const patience = this.#options.clock.sleep(FIRST_LOOK_MS, over.signal).catch(() => {})
    await Promise.race([this.#looking, patience])
    over.abort()
    this.#isFirstLook = false
  }

  async #look(): Promise<void> {
    const network = this.#network
    const { clock } = this.#options
    let againMs = NOTHING_MS
    try {
      const { designations, ttlMs } = await this.#ask()
      const found = await this.#firstThatWorks(designations)
      if (network !== this.#network) return found.upstream.close?.()
      this.#replace(found)
      this.#tell(found.url, { designated: found.url }, 'upstream is asked encrypted from now on (DDR)')
      againMs = Math.min(Math.max(ttlMs, AGAIN_MS_MIN), AGAIN_MS_MAX)
    } catch (error) {
      if (network !== this.#network) return
      this.#replace(undefined)
      this.#tell(reasonOf(error), explain(error), 'upstream stays plain')
    }
    this.#lookAtMs = clock.monotonicMs() + againMs
    this.#looking = undefined
    this.#isFirstLook = false
  }

  async #ask(): Promise<{ readonly designations: readonly Designation[]; readonly ttlMs: number }> {
    const message = await this.#askPlain('_dns.resolver.arpa', TYPE.SVCB)
    const designations = designationsIn(message)
    if (designations.length === 0)
      throw new Fault('UPSTREAM_BROKEN', `${this.id} names no encrypted resolver that we could use`)
    return { designations, ttlMs: 1000 * Math.min(...message.answers.map(({ ttl }) => ttl)) }
  }

  /** Throws the Fault of the last one. */
  async #firstThatWorks(designations: readonly Designation[]): Promise<Encrypted> {
    let reason: unknown
    for (const designation of designations.slice(0, TRIED_MAX)) {
      const { scheme, port, path } = designation
      const at = endpointText({ host: this.#options.address, port })
      const url = `${scheme}://${at}${scheme === 'https' ? path : ''}`
      let upstream: Upstream | undefined
      try {
        const addresses = await this.#addressesOf(designation)
        upstream = this.#options.encrypted(url, addresses)
        await upstream.resolve(this.#question('.', TYPE.NS), NOBODYS_SIGNAL)
        return { url: `${url} at ${addresses.join(', ')}`, upstream }
      } catch (error) {
        upstream?.close?.()
        reason = error
      }
    }
    throw reason
  }

  async #addressesOf({ target, addresses }: Designation): Promise<readonly string[]> {
    if (addresses.length > 0) return addresses.slice(0, ADDRESSES_MAX)
    const answers = await Promise.all([TYPE.AAAA, TYPE.A].map((type) => this.#askPlain(target, type)))
    const found = answers.flatMap((message) =>
      message.answers.flatMap(({ data }) => ('address' in data ? [data.address] : [])),
    )
    if (found.length === 0) throw new Fault('UPSTREAM_BROKEN', `${this.id} knows no address of ${target}`)
    return found.slice(0, ADDRESSES_MAX)
  }

  async #askPlain(name: string, type: number): Promise<Message> {
    const outcome = await this.#options.plain.resolve(this.#question(name, type), NOBODYS_SIGNAL)
    const message = outcome.kind === 'answer' ? parseMessage(outcome.wire) : undefined
    if (!message) throw new Fault('UPSTREAM_BROKEN', `${this.id} sent an answer about ${name} that cannot be read`)
    return message
  }

  #question(name: string, type: number): Query {
    const wire = buildMessage({ recursionDesired: true, questions: [{ name, type, class: CLASS.IN }] })
    const deadlineMs = this.#options.clock.monotonicMs() + ANSWER_MS
    return { view: MessageView.over(wire)!, client: OURSELVES, deadlineMs }
  }

  async #test(encrypted: Encrypted): Promise<void> {
    if (this.#isTested) return
    this.#isTested = true
    try {
      await encrypted.upstream.resolve(this.#question('.', TYPE.NS), NOBODYS_SIGNAL)
    } catch (error) {
      this.#drop(encrypted, error)
    }
    this.#isTested = false
  }

  #drop(encrypted: Encrypted, error: unknown): void {
    if (this.#current !== encrypted) return
    this.#replace(undefined)
    this.#lookAtMs = this.#options.clock.monotonicMs() + NOTHING_MS
    this.#tell(reasonOf(error), explain(error), 'upstream is plain again: its encrypted self stopped answering')
  }

  #replace(next: Encrypted | undefined): void {
    this.#current?.upstream.close?.()
    this.#current = next
  }

  /** Once for each turn of events: looks that find the same say nothing. */
  #tell(what: string, facts: object, words: string): void {
    if (this.#told === what) return
    this.#told = what
    this.#options.log.info({ upstream: this.id, ...facts }, words)
  }
}

interface Encrypted {
  /** With its addresses, for people. */
  readonly url: string
  readonly upstream: Upstream
}

const OURSELVES = { address: '127.0.0.1', transport: 'udp' } as const
const NOBODYS_SIGNAL = new AbortController().signal
