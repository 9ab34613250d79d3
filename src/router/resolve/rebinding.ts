import assert from 'node:assert'
import { prepareAnswer } from '../../dns/answer.ts'
import { EXTENDED_ERROR } from '../../dns/codes.ts'
import { noData } from './authored.ts'
import type { Layer } from './chain.ts'
import { nameKey, nameOfQuestion } from './name-key.ts'
import { nameSet } from './name-set.ts'
import { findPrivateAddress, withoutAdditionals } from './rebinding/find-private.ts'
import type { Answer, Explain, Outcome, Query } from './resolver.ts'

/** How long clients keep that there is nothing; whoever adds an exemption waits no longer. */
const TTL_S = 60
/** Its answers are made to be looked at (RFC 8880 §7.1). */
const ALWAYS_EXEMPT = ['ipv4only.arpa']

export interface RebindingOptions {
  /** At and below these names private addresses are nobody's attack. */
  readonly exempt: readonly string[]
  /** 127/8 is what block lists for mail servers answer with. */
  readonly loopbackAllowed: boolean
}

export interface Rebinding {
  readonly layer: Layer
  readonly explain: Explain
  /** Answers withheld so far. */
  readonly withheld: number
}

/**
 * Keeps names of the Internet from leading into the home: a page from outside whose name suddenly means 192.168.1.1 could
 * talk to the router as if it came from there. An answer with such an address becomes NODATA with extended error 17; one
 * that has it only in its additional section loses that section. The question's name decides about exemptions: an alias
 * must not borrow those of its target.
 *
 * It stands below cache and dedup, so a hit costs nothing, and above validation, which has to see what was signed.
 */
export function withRebindingFilter(options: RebindingOptions): Rebinding {
  const { loopbackAllowed } = options
  const exemptionOf = nameSet([...options.exempt, ...ALWAYS_EXEMPT])
  let withheld = 0

  const filtered = (query: Query, outcome: Outcome): Outcome => {
    // Somebody who signs does not ask on behalf of a page: what is signed stays whole (RFC 5625 §4.5).
    if (outcome.kind !== 'answer' || outcome.verbatim) return outcome
    const { questionEnd, questionKey } = query.view
    const section = findPrivateAddress(outcome.wire, questionEnd, loopbackAllowed)
    if (section === undefined || exemptionOf(nameOfQuestion(questionKey)) !== undefined) return outcome
    withheld++
    return section === 'answer' ? refusal(query) : cut(outcome, questionEnd)
  }

  return {
    get withheld() {
      return withheld
    },
    explain: ({ name }) => {
      const exemption = exemptionOf(nameKey(name))
      const says =
        exemption === undefined
          ? 'an answer with a private address would be withheld'
          : `private addresses are let through: at or below ${exemption}`
      return { layer: 'rebinding', says, decides: false }
    },
    layer: (next) => ({
      id: 'rebinding',
      resolve(query, signal) {
        const outcome = next.resolve(query, signal)
        return outcome instanceof Promise
          ? outcome.then((settled) => filtered(query, settled))
          : filtered(query, outcome)
      },
    }),
  }
}

/**
 * The names that may lead into this home by their nature: the router's own, and the operator's zone above it, where public
 * records of other routers point to private addresses too (dns §9.9). A zone of one label is nobody's alone.
 */
export function ownExemptions(ownName: string): readonly string[] {
  const zone = ownName.slice(ownName.indexOf('.') + 1)
  return zone.includes('.') ? [ownName, zone] : [ownName]
}

function refusal({ view }: Query): Answer {
  return {
    kind: 'answer',
    wire: noData(view, TTL_S),
    from: 'rebinding',
    freshS: TTL_S,
    extendedErrors: [{ code: EXTENDED_ERROR.FILTERED, text: 'private address (rebinding protection)' }],
  }
}

/** AD was judged when the answer arrived, so it stays. */
function cut(answer: Answer, questionEnd: number): Answer {
  const prepared = prepareAnswer(withoutAdditionals(answer.wire, questionEnd), 'authenticated')
  assert(prepared, `${answer.from} made a message that is none`)
  return { ...answer, wire: prepared.wire, prepared }
}
