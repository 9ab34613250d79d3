import { buildReply } from '../../dns/answer.ts'
import { EXTENDED_ERROR, RCODE } from '../../dns/codes.ts'
import { addressSet } from '../../net/address-set.ts'
import type { Layer } from './chain.ts'
import type { Outcome } from './resolver.ts'

/**
 * Answers only the networks in `allow`: an open resolver is a weapon on every transport alike (RFC 5625 §6.2).
 * Plain DNS is told so (REFUSED, extended error 18); an encrypted connection is closed by its listener.
 */
export function withGuard(allow: readonly string[]): Layer {
  const mayAsk = addressSet(allow)
  return (next) => ({
    id: 'guard',
    resolve(query, signal) {
      const { address, transport } = query.client
      if (mayAsk(address)) return next.resolve(query, signal)
      if (transport === 'dot' || transport === 'doh') return { kind: 'drop', reason: 'not-allowed' } satisfies Outcome
      return {
        kind: 'answer',
        wire: buildReply(query.view, { rcode: RCODE.REFUSED }),
        from: 'guard',
        extendedErrors: [{ code: EXTENDED_ERROR.PROHIBITED }],
      } satisfies Outcome
    },
  })
}
