import { buildReply } from '../../dns/answer.ts'
import { EXTENDED_ERROR, RCODE } from '../../dns/codes.ts'
import { addressSet } from '../../net/address-set.ts'
import type { Layer } from './chain.ts'
import type { Explain, Outcome } from './resolver.ts'

export interface Guard {
  readonly layer: Layer
  readonly explain: Explain
  /** For listeners that can turn a client away before they do any work for it. */
  mayAsk(address: string): boolean
}

/**
 * Answers only the networks in `allow`: an open resolver is a weapon on every transport alike (RFC 5625 §6.2).
 * Plain DNS is told so (REFUSED, extended error 18); an encrypted connection is closed by its listener.
 */
export function createGuard(allow: readonly string[]): Guard {
  const mayAsk = addressSet(allow)
  return {
    mayAsk,
    explain: (_question, client) => {
      const allowed = `access.allow is ${allow.join(', ') || 'empty'}`
      return mayAsk(client)
        ? { layer: 'access', says: `${client} may ask (${allowed})`, decides: false }
        : { layer: 'access', says: `${client} may not ask (${allowed}): REFUSED, or no connection`, decides: true }
    },
    layer: (next) => ({
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
    }),
  }
}
