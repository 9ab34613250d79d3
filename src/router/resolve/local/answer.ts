import { type AuthoredRecord, buildAnswer } from '../../../dns/build.ts'
import { CLASS, RCODE } from '../../../dns/codes.ts'
import { buildMessage, parseMessage } from '../../../dns/message.ts'
import { MessageView } from '../../../dns/view.ts'
import type { Answer, Outcome, Query, Resolver } from '../resolver.ts'
import type { Said } from './lookup.ts'

/** Longer chains of aliases are mistakes, or circles. */
const ALIASES_MAX = 8
/** What we could take of an answer is more than that; upstreams write their own. */
const UDP_SIZE = 1232

/**
 * The answer to a query of which we know something. Aliases are followed through our own names by `say`; one that leads
 * outside is resolved by `next`, as clients expect of a resolver (RFC 1034 §5.2.2), and both parts are joined.
 */
export function answerFrom(
  first: Said,
  query: Query,
  say: (name: string, type: number) => Said | undefined,
  next: Resolver,
  signal: AbortSignal,
): Outcome | Promise<Outcome> {
  const { view } = query
  // Our data is of the class IN; of other classes there is none, and nobody else is asked.
  if (view.questionClass !== CLASS.IN && view.questionClass !== CLASS.ANY)
    return authored(view, { ...first, answers: [], additionals: [] })
  const answers = [...first.answers]
  let last = first
  for (let aliases = 0; last.alias !== undefined; aliases++) {
    if (aliases >= ALIASES_MAX) return authored(view, { ...last, rcode: RCODE.SERVFAIL, answers: [] })
    const following = say(last.alias, view.questionType)
    if (!following) return withOutside(last.alias, answers, query, next, signal)
    answers.push(...following.answers)
    last = following
  }
  return authored(view, { ...last, answers })
}

function authored(view: MessageView, { rcode, answers, additionals = [], soa }: Said): Answer {
  const authorities = soa ? [soa] : []
  const wire = buildAnswer(view, { rcode, authoritative: true, answers, authorities, additionals })
  return { kind: 'answer', wire, from: 'local', ...freshOf(rcode, [...answers, ...authorities]) }
}

function freshOf(rcode: number, records: readonly AuthoredRecord[]): { readonly freshS?: number } {
  if ((rcode !== RCODE.NOERROR && rcode !== RCODE.NXDOMAIN) || records.length === 0) return {}
  return { freshS: Math.min(...records.map(({ ttl }) => ttl)) }
}

function withOutside(
  target: string,
  answers: readonly AuthoredRecord[],
  query: Query,
  next: Resolver,
  signal: AbortSignal,
): Outcome | Promise<Outcome> {
  const { view } = query
  const onward = { ...query, view: questionFor(target, view) }
  const outcome = next.resolve(onward, signal)
  const joined = (settled: Outcome): Outcome => (settled.kind === 'answer' ? join(answers, view, settled) : settled)
  return outcome instanceof Promise ? outcome.then(joined) : joined(outcome)
}

function questionFor(name: string, view: MessageView): MessageView {
  const edns = { udpSize: UDP_SIZE, version: 0, dnssecOk: view.dnssecOk, options: [] }
  const wire = buildMessage({
    id: view.id,
    recursionDesired: view.recursionDesired,
    checkingDisabled: view.checkingDisabled,
    questions: [{ name, type: view.questionType, class: CLASS.IN }],
    ...(view.hasEdns ? { edns } : {}),
  })
  return MessageView.over(wire)!
}

/** Our aliases, then what the next layer said of the name they lead to; its verdict is that of the whole. */
function join(answers: readonly AuthoredRecord[], view: MessageView, outside: Answer): Answer {
  const message = parseMessage(outside.wire)
  const authored = (records: readonly { readonly data: AuthoredRecord['rdata'] }[] = []) =>
    records.map(({ data, ...record }) => ({ ...record, rdata: data })) as AuthoredRecord[]
  const all = [...answers, ...authored(message?.answers)]
  const authorities = authored(message?.authorities)
  const rcode = message?.rcode ?? RCODE.SERVFAIL
  const { extendedErrors } = outside
  return {
    kind: 'answer',
    wire: buildAnswer(view, { rcode, authoritative: false, answers: all, authorities }),
    from: `local, ${outside.from}`,
    ...(outside.freshS === undefined ? {} : { freshS: Math.min(outside.freshS, ...answers.map(({ ttl }) => ttl)) }),
    ...(extendedErrors ? { extendedErrors } : {}),
  }
}
