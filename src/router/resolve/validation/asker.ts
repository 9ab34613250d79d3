import { type PreparedAnswer, prepareAnswer } from '../../../dns/answer.ts'
import { CLASS, EXTENDED_ERROR, RCODE, rcodeName, typeName } from '../../../dns/codes.ts'
import { Budget } from '../../../dns/dnssec/budget.ts'
import { type CanonicalName, nameText, octetsOf } from '../../../dns/dnssec/name.ts'
import { type Rrset, readRrsets } from '../../../dns/dnssec/rrset.ts'
import { type ExtendedError, writeOpt } from '../../../dns/edns.ts'
import { MessageView } from '../../../dns/view.ts'
import { HEADER_BYTES, putUint16 } from '../../../dns/wire.ts'
import type { Outcome, Query, Resolver } from '../resolver.ts'

/** A question for keys or delegations that the upstream answered, or why it did not. */
export type Reply =
  | { readonly kind: 'reply'; readonly rcode: number; readonly sets: readonly Rrset[] }
  | { readonly kind: 'failure'; readonly error: ExtendedError }

/** DS and DNSKEY down to a name of four labels make eight; a reverse IPv6 name with many labels in one zone makes 32. */
const SUB_QUESTIONS_MAX = 40
const OPT_BYTES = 11
const UDP_SIZE = 1232
const FLAGS_RD_CD = 0x0110

/** What one client's question may cost in further questions and in arithmetic. */
export class Asker {
  readonly budget = new Budget()
  readonly #next: Resolver
  readonly #waiting: Omit<Query, 'view'>
  readonly #signal: AbortSignal
  #left = SUB_QUESTIONS_MAX

  constructor(next: Resolver, waiting: Omit<Query, 'view'>, signal: AbortSignal) {
    this.#next = next
    this.#waiting = waiting
    this.#signal = signal
  }

  get scope(): string {
    return this.#waiting.client.scope ?? ''
  }

  /** The client's own question, with DO and CD: signatures are wanted, and the verdict is ours (RFC 6840 §5.9). */
  forward(view: MessageView): Outcome | Promise<Outcome> {
    return this.#resolve(view.question)
  }

  async ask(name: CanonicalName, type: number): Promise<Reply> {
    const what = `${nameText(name)} ${typeName(type)}`
    if (this.#left-- <= 0) return failure(`too many questions on the way to ${what}`)
    const outcome = await this.#resolve(questionOf(name, type))
    if (outcome.kind !== 'answer') return failure(`${what} was not answered`)
    const prepared: PreparedAnswer | undefined = outcome.prepared ?? prepareAnswer(outcome.wire)
    if (!prepared) return failure(`${what} was answered with no message`)
    const { rcode } = prepared
    if (rcode !== RCODE.NOERROR && rcode !== RCODE.NXDOMAIN) return failure(`${what} was answered ${rcodeName(rcode)}`)
    const sets = readRrsets(prepared)
    return sets ? { kind: 'reply', rcode, sets } : failure(`${what} was answered with malformed records`)
  }

  #resolve(question: Uint8Array): Outcome | Promise<Outcome> {
    return this.#next.resolve({ ...this.#waiting, view: signedQuery(question) }, this.#signal)
  }
}

function failure(text: string): Reply {
  return { kind: 'failure', error: { code: EXTENDED_ERROR.DNSSEC_INDETERMINATE, text } }
}

function questionOf(name: CanonicalName, type: number): Uint8Array {
  const question = new Uint8Array(name.length + 4)
  question.set(octetsOf(name))
  putUint16(question, name.length, type)
  putUint16(question, name.length + 2, CLASS.IN)
  return question
}

function signedQuery(question: Uint8Array): MessageView {
  const wire = new Uint8Array(HEADER_BYTES + question.length + OPT_BYTES)
  putUint16(wire, 2, FLAGS_RD_CD)
  putUint16(wire, 4, 1)
  putUint16(wire, 10, 1)
  wire.set(question, HEADER_BYTES)
  writeOpt(wire, HEADER_BYTES + question.length, { udpSize: UDP_SIZE, dnssecOk: true })
  return MessageView.over(wire)!
}
