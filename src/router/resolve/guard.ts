import { BlockList, isIPv6 } from 'node:net'
import { buildReply } from '../../dns/answer.ts'
import { EXTENDED_ERROR, RCODE } from '../../dns/codes.ts'
import { addToAccess } from '../../net/address.ts'
import type { Layer } from './chain.ts'
import type { Outcome } from './resolver.ts'

/** Verdicts remembered per address; a home has far fewer, and a flood of forged addresses must not grow it. */
const VERDICTS_MAX = 4096

/**
 * Answers only the networks in `allow`: an open resolver is a weapon on every transport alike (RFC 5625 §6.2).
 * Plain DNS is told so (REFUSED, extended error 18); an encrypted connection is closed by its listener.
 */
export function withGuard(allow: readonly string[]): Layer {
  const allowed = new BlockList()
  for (const entry of allow) addToAccess(allowed, entry)
  const verdicts = new Map<string, boolean>()

  const mayAsk = (address: string): boolean => {
    const known = verdicts.get(address)
    if (known !== undefined) return known
    if (verdicts.size >= VERDICTS_MAX) verdicts.clear()
    const verdict = allowed.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')
    verdicts.set(address, verdict)
    return verdict
  }

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
