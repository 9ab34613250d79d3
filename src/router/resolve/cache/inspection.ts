import { Fault } from '../../../core/fault.ts'
import { CLASS, className, rcodeName, typeName } from '../../../dns/codes.ts'
import { buildMessage, parseMessage, recordText } from '../../../dns/message.ts'
import { lowerName, nameToWire } from '../../../dns/name.ts'
import { MessageView } from '../../../dns/view.ts'
import { HEADER_BYTES } from '../../../dns/wire.ts'
import type { Cache, CacheStatus } from '../cache.ts'
import type { Explain, Reason } from '../resolver.ts'
import { ageS, type CachedAnswers, STALE_TTL_S } from './answers.ts'
import { AnswerBuffer, type HeldAnswer } from './held-answer.ts'
import { cacheKey } from './key.ts'

/** What people may ask of the cache and have it do. Nothing here is asked upstream, and looking counts as no hit. */

/** More variants of one name than this tell a person nothing more. */
const SHOWN_MAX = 100

export interface ShownAnswer {
  readonly name: string
  /** `any` for a denial of the name itself. */
  readonly type: string
  readonly class: string
  readonly rcode: string
  readonly dnssecOk: boolean
  readonly checkingDisabled: boolean
  readonly scope?: string
  readonly state: 'fresh' | 'stale'
  /** Seconds until its end; for a stale one until it is of no use any more. */
  readonly leftS: number
  readonly from: string
  readonly hits: number
  /** Answer and authority as in a zone file, the TTLs as they would be given now. */
  readonly records: readonly string[]
}

/** Everything held for the name, of all types, DO, CD and scopes. Throws USAGE for what is no name. */
export function showCache({ answers }: Cache, name: string, nowMs: number): readonly ShownAnswer[] {
  const asked = nameOctets(name)
  const shown: ShownAnswer[] = []
  for (const held of answers.store.all()) {
    if (shown.length === SHOWN_MAX) break
    if (Buffer.compare(asked, nameOf(held)) !== 0) continue
    const answer = shownAnswer(answers, held, nowMs)
    if (answer) shown.push(answer)
  }
  return shown.sort((a, b) => (a.type < b.type ? -1 : 1))
}

/** Forgets everything, or the name and all below it, failures too. Returns how many answers that were. */
export function flushCache({ answers, failures }: Cache, name?: string): number {
  const { store } = answers
  if (name === undefined) {
    const count = store.entries
    store.clear()
    failures.clear()
    return count
  }
  const zone = nameOctets(name)
  let count = 0
  for (const held of store.all()) {
    if (!isAtOrBelow(nameOf(held), zone)) continue
    store.remove(held)
    count++
  }
  failures.forgetWhere((failed) => isAtOrBelow(failed, zone))
  return count
}

/** `hitRate` is of the questions answered fresh or passed on; absent before the first. */
export interface CacheStats extends CacheStatus {
  readonly hitRate?: number
}

export function cacheStats(cache: Cache): CacheStats {
  const status = cache.status()
  const asked = status.hits + status.misses
  return asked === 0 ? status : { ...status, hitRate: status.hits / asked }
}

/** As Explain, of clients of a scope. */
export type ExplainScoped = (...of: [...Parameters<Explain>, scope?: string]) => Reason

/** What the cache would do with a question without DO and CD. */
export function explainCache(
  { answers, failures }: Pick<Cache, 'answers' | 'failures'>,
  monotonicMs: () => number,
): ExplainScoped {
  const layer = 'cache'
  return ({ name, type }, address, scope) => {
    const view = MessageView.over(buildMessage({ questions: [{ name, type, class: CLASS.IN }] }))!
    const nowMs = monotonicMs()
    const variant = answers.variant(0, scope ?? '')
    const own = answers.find(view, variant)
    const ownLeftS = own ? own.lifetimeS - ageS(own, nowMs) : 0
    if (ownLeftS > 0) return { layer, says: `held, ${ownLeftS} s left`, decides: true }
    const denial = answers.findDenial(view, variant, nowMs)
    if (denial) {
      const left = denial.lifetimeS - ageS(denial, nowMs)
      const denied = MessageView.over(denial.message)!.questionName
      return { layer, says: `${denied} is known not to exist, ${left} s left`, decides: true }
    }
    const stale = answers.findStale(view, variant, nowMs)
    if (stale) {
      const over = ageS(stale, nowMs) - stale.lifetimeS
      return { layer, says: `held, ended ${over} s ago; given when no fresh answer comes`, decides: false }
    }
    const client = { address, transport: 'udp', ...(scope === undefined ? {} : { scope }) } as const
    const failure = failures.find(cacheKey({ view, client }), nowMs)
    if (!failure) return { layer, says: 'not held', decides: false }
    const again = Math.ceil(failure.leftMs / 1000)
    return { layer, says: `failed lately (${rcodeName(failure.rcode)}), asked again in ${again} s`, decides: true }
  }
}

function shownAnswer(answers: CachedAnswers, held: HeldAnswer, nowMs: number): ShownAnswer | undefined {
  const view = MessageView.over(held.message)!
  const leftS = held.lifetimeS - ageS(held, nowMs)
  const isFresh = leftS > 0
  if (!isFresh && leftS + answers.staleS <= 0) return undefined
  const copy = new AnswerBuffer()
  const length = held.write(copy, view, ageS(held, nowMs), isFresh ? undefined : STALE_TTL_S)
  const message = parseMessage(copy.octets.subarray(0, length))
  const { bits, scope, from } = answers.particulars(held)
  return {
    name: view.questionName,
    type: held.isDenial ? 'any' : typeName(view.questionType),
    class: className(view.questionClass),
    rcode: rcodeName(view.rcode),
    dnssecOk: (bits & 1) !== 0,
    checkingDisabled: (bits & 2) !== 0,
    ...(scope === '' ? {} : { scope }),
    state: isFresh ? 'fresh' : 'stale',
    leftS: isFresh ? leftS : leftS + answers.staleS,
    from,
    hits: held.hits,
    records: message ? [...message.answers, ...message.authorities].map(recordText) : [],
  }
}

function nameOctets(name: string): Uint8Array {
  const wire = nameToWire(name)
  if (!wire) throw new Fault('USAGE', `${name} is not a domain name`)
  return lowerName(wire)
}

/** In lower case, as the store keeps it. */
function nameOf(held: HeldAnswer): Uint8Array {
  return held.message.subarray(HEADER_BYTES, held.questionEnd - 4)
}

/** Both in lower case. */
function isAtOrBelow(name: Uint8Array, zone: Uint8Array): boolean {
  const start = name.length - zone.length
  let at = 0
  while (at < start) at += name[at]! + 1 // a name has at most 127 labels
  return at === start && Buffer.compare(name.subarray(start), zone) === 0
}
