import { randomBytes } from 'node:crypto'
import type { PreparedAnswer } from '../../../dns/answer.ts'
import { EXTENDED_ERROR, RCODE } from '../../../dns/codes.ts'
import { deniesItsName, writeDenialBelow } from '../../../dns/denial.ts'
import type { ExtendedError } from '../../../dns/edns.ts'
import { isUnder } from '../../../dns/name.ts'
import { MessageView } from '../../../dns/view.ts'
import { HEADER_BYTES } from '../../../dns/wire.ts'
import type { Answer, Query } from '../resolver.ts'
import { AnswerBuffer, HeldAnswer } from './held-answer.ts'
import { bitsOf } from './key.ts'
import { lifetimeOf } from './lifetime.ts'
import { Numbered } from './numbered.ts'
import { QuestionHash } from './question-hash.ts'
import { AnswerStore } from './store.ts'

/** Scopes come from the settings. Questions of more than these are not cached; the number shares sixteen bits with DO and CD. */
const SCOPES_MAX = 1 << 14
const BITS = 2
/** Upstreams come from the settings too; beyond these `cache show` does not say which it was. */
const SOURCES_MAX = 255
/** What a stale answer says of itself (RFC 8767 §4). */
export const STALE_TTL_S = 30
const STALE: readonly ExtendedError[] = [{ code: EXTENDED_ERROR.STALE_ANSWER }]
const STALE_NXDOMAIN: readonly ExtendedError[] = [{ code: EXTENDED_ERROR.STALE_NXDOMAIN }]

/** An upstream's answer on its way into the cache. */
export interface NewAnswer {
  readonly prepared: PreparedAnswer
  readonly variant: number
  readonly storedMs: number
  readonly from: string
  readonly extendedErrors?: readonly ExtendedError[]
}

/** What the cache holds, by question: which answer serves which, and how it is written for its asker. */
export class CachedAnswers {
  readonly store: AnswerStore
  readonly staleS: number
  readonly #cutsBelow: boolean
  readonly #routedDomains: readonly string[]
  readonly #scopes = new Numbered(SCOPES_MAX)
  readonly #sources = new Numbered(SOURCES_MAX)
  readonly #held = new HeldAnswer()
  readonly #denial = new HeldAnswer()
  readonly #buffer = new AnswerBuffer()

  constructor(options: {
    readonly bytesMax: number
    readonly staleS: number
    /** Whether an NXDOMAIN denies the names below it (RFC 8020). */
    readonly cutsBelow: boolean
    /** Asked of others than the names above them, whose denials say nothing about them. */
    readonly routedDomains: readonly string[]
    readonly monotonicMs: () => number
  }) {
    this.staleS = options.staleS
    this.#cutsBelow = options.cutsBelow
    this.#routedDomains = options.routedDomains
    this.#scopes.numberOf('')
    this.store = new AnswerStore({
      bytesMax: options.bytesMax,
      hash: new QuestionHash(randomBytes(8)),
      isWorthless: (held) => ageS(held, options.monotonicMs()) >= held.lifetimeS + options.staleS,
    })
  }

  /** DO, CD and the scope of the client as a number; -1 when there are too many scopes. */
  variantOf({ view, client }: Pick<Query, 'view' | 'client'>): number {
    return this.variant(bitsOf(view), client.scope ?? '')
  }
  variant(bits: number, scope: string): number {
    if (scope === '') return bits
    const number = this.#scopes.numberOf(scope)
    return number === undefined ? -1 : (number << BITS) | bits
  }
  /** The other way round. */
  particulars({ variant, source }: HeldAnswer): {
    readonly bits: number
    readonly scope: string
    readonly from: string
  } {
    return {
      bits: variant & ((1 << BITS) - 1),
      scope: this.#scopes.textOf(variant >> BITS),
      from: this.#sources.textOf(source - 1),
    }
  }

  /** The answer to exactly this question, of whatever age. What `find` returns is one cursor: right until the next call. */
  find(view: MessageView, variant: number): HeldAnswer | undefined {
    const { wire, questionEnd, questionType } = view
    return this.store.find(wire, HEADER_BYTES, questionEnd - 4, questionType, variant, this.#held)
      ? this.#held
      : undefined
  }

  /** A denial, still fresh, of the name or of one above it. */
  findDenial(view: MessageView, variant: number, nowMs: number): HeldAnswer | undefined {
    const { wire, questionEnd } = view
    const nameEnd = questionEnd - 4
    const denial = this.#denial
    // From the name itself up to the one below the root: at most 127 labels.
    for (let at = HEADER_BYTES; wire[at] !== 0; at += wire[at]! + 1) {
      const isThere = this.store.find(wire, at, nameEnd, 0, variant, denial)
      if (isThere && ageS(denial, nowMs) < denial.lifetimeS) return denial
      if (!this.#cutsBelow) break
    }
    return undefined
  }

  /** An answer no longer fresh that may still be given (RFC 8767): the younger one of the question's own and its name's denial. */
  findStale(view: MessageView, variant: number, nowMs: number): HeldAnswer | undefined {
    if (this.staleS === 0) return undefined
    const own = this.find(view, variant)
    const { wire, questionEnd } = view
    const isDenied = this.store.find(wire, HEADER_BYTES, questionEnd - 4, 0, variant, this.#denial)
    const held = isDenied && !(own && own.storedMs > this.#denial.storedMs) ? this.#denial : own
    return held && ageS(held, nowMs) < held.lifetimeS + this.staleS ? held : undefined
  }

  /** The answer as this asker gets it. It lives in a buffer that the next one is written to. Undefined: it cannot be made. */
  answer(held: HeldAnswer, view: MessageView, nowMs: number): Answer | undefined {
    const age = ageS(held, nowMs)
    const length =
      held.questionEnd === view.questionEnd
        ? held.write(this.#buffer, view, age)
        : writeDenialBelow(MessageView.over(held.message)!, this.#buffer.octets, view, age)
    if (length < 0) return undefined
    const wire = this.#buffer.octets.subarray(0, length)
    const freshS = held.lifetimeS - age
    if (!held.hasErrors) return { kind: 'answer', wire, from: 'cache', freshS }
    return { kind: 'answer', wire, from: 'cache', freshS, extendedErrors: held.extendedErrors }
  }

  /** As `answer`, past its time. It may be kept for as long as its TTLs say (RFC 8484 §5.1). */
  staleAnswer(held: HeldAnswer, view: MessageView): Answer {
    const length = held.write(this.#buffer, view, 0, STALE_TTL_S)
    const wire = this.#buffer.octets.subarray(0, length)
    const extendedErrors = (wire[3]! & 0x0f) === RCODE.NXDOMAIN ? STALE_NXDOMAIN : STALE
    return { kind: 'answer', wire, from: 'cache', freshS: STALE_TTL_S, extendedErrors }
  }

  /** Takes an answer that is no failure in place of what was held, fresh or stale (RFC 8767 §4), even if it cannot be kept. */
  keep({ prepared, variant, storedMs, from, extendedErrors = [] }: NewAnswer): void {
    const view = MessageView.over(prepared.wire)!
    const isDenial = deniesItsName(prepared) && !this.#isAboveRoute(view.questionName)
    const lifetimeS = lifetimeOf(prepared)
    // Type 0 stands for denials here, and nobody asks for it.
    const canBeKept = lifetimeS > 0 && (isDenial || view.questionType !== 0)
    if (isDenial || !canBeKept) this.#forget(view, view.questionType, variant)
    if (!isDenial || !canBeKept) this.#forget(view, 0, variant)
    if (!canBeKept) return
    const source = (this.#sources.numberOf(from) ?? -1) + 1
    this.store.put(prepared, { variant, isDenial, storedMs, lifetimeS, source, extendedErrors })
  }

  /** The answer to this question, and the denial of its name. */
  forget(view: MessageView, variant: number): void {
    this.#forget(view, view.questionType, variant)
    this.#forget(view, 0, variant)
  }

  #isAboveRoute(name: string): boolean {
    return this.#routedDomains.some((domain) => isUnder(domain, name) && !isUnder(name, domain))
  }

  #forget({ wire, questionEnd }: MessageView, type: number, variant: number): void {
    if (this.store.find(wire, HEADER_BYTES, questionEnd - 4, type, variant, this.#held)) this.store.remove(this.#held)
  }
}

/** Whole seconds since it was stored. */
export function ageS(held: HeldAnswer, nowMs: number): number {
  return Math.floor((nowMs - held.storedMs) / 1000)
}
