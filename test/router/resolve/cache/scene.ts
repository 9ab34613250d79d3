import { TYPE } from '../../../../src/dns/codes.ts'
import { buildMessage, type Message, parseMessage, type ResourceRecord } from '../../../../src/dns/message.ts'
import type { MessageView } from '../../../../src/dns/view.ts'
import { type CacheOptions, withCache } from '../../../../src/router/resolve/cache.ts'
import type { Answer, Client, Outcome, Resolver } from '../../../../src/router/resolve/resolver.ts'
import { answerOf } from '../../../../src/router/upstream/wire.ts'
import { ManualClock } from '../../../support/manual-clock.ts'
import { queryOf, resolverOf } from '../../../support/query.ts'

/** A cache over a scripted upstream, with a clock the test owns. */

const NEVER = new AbortController().signal
const SIZE = 1 << 20

export const a = (name: string, ttl: number, address = '192.0.2.1'): ResourceRecord => ({
  name,
  type: TYPE.A,
  class: 1,
  ttl,
  data: { address },
})
export const cname = (name: string, target: string, ttl: number): ResourceRecord => ({
  name,
  type: TYPE.CNAME,
  class: 1,
  ttl,
  data: { host: target },
})
export const soa = (ttl: number, minimum: number, name = 'example'): ResourceRecord => ({
  name,
  type: TYPE.SOA,
  class: 1,
  ttl,
  data: { primary: 'ns.example', mailbox: 'nobody.example', serial: 1, refresh: 1, retry: 1, expire: 1, minimum },
})

/** An upstream that answers every question with these fields. */
export function upstreamOf(
  fields: Partial<Message> | ((view: MessageView) => Partial<Message>),
): Resolver & { asked: number } {
  return resolverOf(async ({ view }) => {
    const given = typeof fields === 'function' ? fields(view) : fields
    const questions = [{ name: view.questionName, type: view.questionType, class: view.questionClass }]
    const wire = buildMessage({ id: view.id, isResponse: true, recursionAvailable: true, questions, ...given })
    return answerOf(wire, 'up', 'unauthenticated')
  })
}

/** What came back: the message, and what the answer says beside it. */
export type Asked = Message & Pick<Answer, 'from' | 'extendedErrors'> & { readonly freshS: number | undefined }

export function cacheOver(upstream: Resolver, options: Partial<CacheOptions> & { readonly clock?: ManualClock } = {}) {
  const clock = options.clock ?? new ManualClock()
  const cache = withCache({ bytesMax: SIZE, ...options, clock })
  const resolver = cache.layer(upstream)
  const ask = async (wire: Uint8Array, client: Partial<Client> = {}): Promise<Asked> => {
    const query = queryOf(wire)
    const { from, freshS, extendedErrors, ...answer } = answerIn(
      await resolver.resolve({ ...query, client: { ...query.client, ...client } }, NEVER),
    )
    return { ...parseMessage(answer.wire)!, from, freshS, ...(extendedErrors ? { extendedErrors } : {}) }
  }
  return { cache, resolver, clock, ask }
}

export function answerIn(outcome: Outcome): Answer {
  if (outcome.kind !== 'answer') throw new Error(`dropped: ${outcome.reason}`)
  return outcome
}
