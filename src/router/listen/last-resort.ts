import { explain, type Log } from '../../core/log.ts'
import { buildReply } from '../../dns/answer.ts'
import { EXTENDED_ERROR, RCODE } from '../../dns/codes.ts'
import type { Answer, Query, Resolver } from '../resolve/resolver.ts'

/**
 * A bug in a layer ends one question, with SERVFAIL and a line in the log; the listener, its connections and its other
 * clients go on. Every listener asks through this, so none has to handle a throw.
 */
export function neverFailing(resolver: Resolver, log: Log): Resolver {
  const failure = (query: Query, error: unknown): Answer => {
    log.error(explain(error), 'a query failed by a bug of ours')
    return {
      kind: 'answer',
      wire: buildReply(query.view, { rcode: RCODE.SERVFAIL }),
      from: 'last-resort',
      extendedErrors: [{ code: EXTENDED_ERROR.OTHER, text: 'internal error' }],
    }
  }
  return {
    id: resolver.id,
    resolve(query, signal) {
      try {
        const outcome = resolver.resolve(query, signal)
        return outcome instanceof Promise ? outcome.catch((error: unknown) => failure(query, error)) : outcome
      } catch (error) {
        return failure(query, error)
      }
    },
  }
}
