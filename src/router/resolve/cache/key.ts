import type { Query } from '../resolver.ts'

/**
 * Name, type, class, the two bits that change what an upstream answers (RFC 4035 §3.2, §4.9), DO and CD, and the scope of
 * clients that are sent to other upstreams: what must be the same for one answer to serve two questions. As text, for
 * what happens beside a hit; a hit compares the octets themselves.
 */
export function cacheKey({ view, client }: Pick<Query, 'view' | 'client'>): string {
  const bits = bitsOf(view)
  if (client.scope !== undefined) return `${view.questionKey}${bits}${client.scope}`
  return bits === 0 ? view.questionKey : view.questionKey + bits
}

/** DO is 1, CD is 2. */
export function bitsOf(view: Query['view']): number {
  return (view.dnssecOk ? 1 : 0) | (view.checkingDisabled ? 2 : 0)
}
