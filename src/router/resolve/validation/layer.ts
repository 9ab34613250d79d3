import type { Clock } from '../../../core/clock.ts'
import { explain, type Log } from '../../../core/log.ts'
import { buildReply, type PreparedAnswer, prepareAnswer } from '../../../dns/answer.ts'
import { CLASS, EXTENDED_ERROR, RCODE } from '../../../dns/codes.ts'
import { canonicalName, nameText } from '../../../dns/dnssec/name.ts'
import { rewriteAnswer } from '../../../dns/dnssec/rewrite.ts'
import { readRrsets } from '../../../dns/dnssec/rrset.ts'
import { isUnaskedProof } from '../../../dns/dnssec-records.ts'
import type { ExtendedError } from '../../../dns/edns.ts'
import type { Layer } from '../chain.ts'
import type { Answer, Explain, Outcome, Query, Resolver } from '../resolver.ts'
import type { TrackedAnchor, TrustAnchors } from './anchors.ts'
import { Asker } from './asker.ts'
import { Judge, type Verdict } from './judge.ts'
import { isRefused, type Refused, Zones } from './zones.ts'

export interface ValidationStatus {
  readonly secure: number
  readonly insecure: number
  readonly bogus: number
  readonly indeterminate: number
  /** Steps down the tree that are remembered. */
  readonly zones: number
  readonly anchors: readonly TrackedAnchor[]
}

export interface Validation {
  readonly layer: Layer
  readonly explain: Explain
  status(): ValidationStatus
  /** Every step down the tree is taken anew; goes with flushing the cache. */
  forget(): void
  /** Looks at the anchors' own keys from time to time, so that no roll-over is missed (RFC 5011 §2.3). Ends with the signal. */
  run(signal: AbortSignal): Promise<void>
  /** When the roll-overs seen so far are in their file. */
  saved(): Promise<void>
}

/** Half the TTL of the root's keys, the time RFC 5011 §2.3 gives, is a day. */
const REFRESH_MS = 12 * 3_600_000
/** After start or a failure; the first look waits until the clock may be trusted. RFC 5011 §2.3 allows an hour. */
const RETRY_MS = 3_600_000
const REFRESH_DEADLINE_MS = 10_000

/**
 * DNSSEC validation on top of forwarding (RFC 4035 §5). The upstream is asked with DO and CD; keys and delegations are
 * fetched through `next`. What is proven gets AD, what is unsigned passes, what is forged becomes SERVFAIL with the
 * reason. A client that sets CD judges for itself. Belongs below the cache, which rewrites the answer for each asker.
 */
export function withValidation(options: {
  readonly anchors: TrustAnchors
  readonly clock: Clock
  readonly log: Log
  /** While false nothing is checked and nothing is called authentic: a router without a battery starts in 1970. */
  readonly isClockTrusted: () => boolean
  /** Called once the clock is trusted: what was let through unchecked until then should be forgotten. */
  readonly onClockTrusted?: () => void
  /** Layers below that answer by themselves: there is nothing to check in what they say. */
  readonly ownAnswers?: readonly string[]
}): Validation {
  const { anchors, clock, log, onClockTrusted, ownAnswers = [] } = options
  const zones = new Zones(anchors, clock)
  const counts = { secure: 0, insecure: 0, bogus: 0, indeterminate: 0 }
  let below: Resolver | undefined
  let wasTrusted = options.isClockTrusted()

  const isClockTrusted = (): boolean => {
    const isTrusted = options.isClockTrusted()
    if (isTrusted && !wasTrusted) onClockTrusted?.()
    wasTrusted = isTrusted
    return isTrusted
  }

  const validate = async (asker: Asker, query: Query): Promise<Outcome> => {
    const outcome = await asker.forward(query.view)
    if (outcome.kind !== 'answer') return outcome
    const prepared = outcome.prepared ?? prepareAnswer(outcome.wire)
    const { rcode } = prepared ?? { rcode: RCODE.SERVFAIL }
    const isJudged = rcode === RCODE.NOERROR || rcode === RCODE.NXDOMAIN
    if (!prepared || !isJudged || ownAnswers.includes(outcome.from)) return unchecked(outcome)
    const verdict = await judge(asker, query, prepared)
    counts[verdict.kind]++
    return answerFor(query, outcome, prepared, verdict)
  }

  const judge = async (asker: Asker, { view }: Query, prepared: PreparedAnswer): Promise<Verdict> => {
    const sets = readRrsets(prepared)
    if (!sets) return MALFORMED
    const name = view.questionKey.slice(0, -TYPE_AND_CLASS_BYTES)
    const nowS = Math.floor(clock.nowMs() / 1000) >>> 0
    const judged = { name, type: view.questionType, rcode: prepared.rcode, sets }
    const verdict = await new Judge({ zones, anchors }, asker, nowS).judge(judged)
    if (verdict.kind === 'bogus')
      log.debug({ name: nameText(name), type: judged.type, ...verdict.error }, 'bogus answer')
    return verdict
  }

  return {
    layer(next) {
      below = next
      return {
        id: 'validation',
        resolve(query, signal) {
          const { view } = query
          if (view.checkingDisabled || view.questionClass !== CLASS.IN || view.signed || !isClockTrusted()) {
            const outcome = next.resolve(query, signal)
            return outcome instanceof Promise ? outcome.then(unchecked) : unchecked(outcome)
          }
          return validate(new Asker(next, query, signal), query)
        },
      }
    },
    explain({ name }) {
      const wanted = canonicalName(name)
      const anchor = wanted === undefined ? undefined : anchors.closest(wanted)
      const isChecked = anchor?.kind === 'positive' && options.isClockTrusted()
      const why = !anchor ? 'no trust anchor is above it' : `${anchor.kind} trust anchor ${nameText(anchor.zone)}`
      const says = isChecked
        ? `signatures are checked: ${why}`
        : `signatures are not checked: ${anchor?.kind === 'positive' ? 'the clock is not trusted yet' : why}`
      return { layer: 'validation', says, decides: false }
    },
    status: () => ({ ...counts, zones: zones.size, anchors: anchors.status() }),
    forget: () => zones.forget(),
    saved: () => anchors.saved(),
    async run(signal) {
      while (!signal.aborted) {
        const isDone = isClockTrusted() && below !== undefined && (await refreshAll(below, signal))
        await clock.sleep(isDone ? REFRESH_MS : RETRY_MS, signal).catch(() => {})
      }
    },
  }

  /** False when the keys of a zone could not be had. */
  async function refreshAll(next: Resolver, signal: AbortSignal): Promise<boolean> {
    let isDone = true
    for (const zone of anchors.zones) {
      const client = { address: '127.0.0.1', transport: 'udp' } as const
      const asker = new Asker(next, { client, deadlineMs: clock.monotonicMs() + REFRESH_DEADLINE_MS }, signal)
      try {
        const state = await zones.refresh(zone, asker)
        if (!isRefused(state)) continue
        log.warn({ zone: nameText(zone), ...state.error }, 'a trust anchor leads to no keys')
      } catch (error) {
        log.warn({ zone: nameText(zone), ...explain(error) }, 'a trust anchor was not looked at')
      }
      isDone = false
    }
    return isDone
  }
}

const TYPE_AND_CLASS_BYTES = 4

const MALFORMED: Refused = {
  kind: 'bogus',
  error: { code: EXTENDED_ERROR.INVALID_DATA, text: 'the answer holds malformed records' },
}

function answerFor(query: Query, outcome: Answer, prepared: PreparedAnswer, verdict: Verdict): Answer {
  if (isRefused(verdict)) return refusal(query, outcome.from, verdict.error)
  const isSecure = verdict.kind === 'secure'
  const proven = new Set(isSecure ? verdict.proven.flatMap(({ set }) => set.starts) : [])
  const ttlCaps = new Map(
    isSecure ? verdict.proven.flatMap(({ set, ttlS }) => set.ttlOffsets.map((offset) => [offset, ttlS])) : [],
  )
  const { dnssecOk, questionType } = query.view
  const wire = rewriteAnswer(prepared, {
    authenticData: isSecure,
    ttlCaps,
    // AD speaks of answer and authority, so nothing unproven may stand there (RFC 4035 §3.2.3).
    leavesOut: ({ nameStart, type, section }) =>
      (!dnssecOk && isUnaskedProof(type, questionType)) ||
      (isSecure && section !== 'additional' && !proven.has(nameStart)),
  })
  const rewritten = wire && prepareAnswer(wire, 'authenticated')
  if (!rewritten) return refusal(query, outcome.from, MALFORMED.error)
  const foreign = (outcome.extendedErrors ?? []).filter(({ code }) => !DNSSEC_ERRORS.has(code))
  const extendedErrors = verdict.kind === 'insecure' && verdict.error ? [...foreign, verdict.error] : foreign
  return {
    kind: 'answer',
    wire: rewritten.wire,
    from: outcome.from,
    prepared: rewritten,
    ...(extendedErrors.length > 0 ? { extendedErrors } : {}),
  }
}

/** What a validating upstream says of an answer that we have judged ourselves would only confuse. */
const DNSSEC_ERRORS: ReadonlySet<number> = new Set([
  EXTENDED_ERROR.UNSUPPORTED_DNSKEY_ALGORITHM,
  EXTENDED_ERROR.UNSUPPORTED_DS_DIGEST,
  EXTENDED_ERROR.DNSSEC_INDETERMINATE,
  EXTENDED_ERROR.DNSSEC_BOGUS,
  EXTENDED_ERROR.SIGNATURE_EXPIRED,
  EXTENDED_ERROR.SIGNATURE_NOT_YET_VALID,
  EXTENDED_ERROR.DNSKEY_MISSING,
  EXTENDED_ERROR.RRSIGS_MISSING,
  EXTENDED_ERROR.NO_ZONE_KEY_BIT,
  EXTENDED_ERROR.NSEC_MISSING,
  EXTENDED_ERROR.SIGNATURE_EXPIRED_BEFORE_VALID,
  EXTENDED_ERROR.UNSUPPORTED_NSEC3_ITERATIONS,
])

function refusal(query: Query, from: string, error: ExtendedError): Answer {
  const isPlain = error.code === EXTENDED_ERROR.DNSSEC_BOGUS || error.code === EXTENDED_ERROR.DNSSEC_INDETERMINATE
  return {
    kind: 'answer',
    wire: buildReply(query.view, { rcode: RCODE.SERVFAIL }),
    from,
    extendedErrors: isPlain ? [error] : [error, { code: EXTENDED_ERROR.DNSSEC_BOGUS }],
  }
}

/** An upstream's AD is its own opinion; with validation here, only ours counts. */
function unchecked(outcome: Outcome): Outcome {
  if (outcome.kind !== 'answer' || outcome.verbatim || (outcome.wire[3]! & AD) === 0) return outcome
  const wire = Uint8Array.from(outcome.wire)
  wire[3] = wire[3]! & ~AD
  const { prepared } = outcome
  return { ...outcome, wire, ...(prepared ? { prepared: { ...prepared, wire } } : {}) }
}
const AD = 0x20
