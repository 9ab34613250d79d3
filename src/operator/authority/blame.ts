import { Fault } from '../../core/fault.ts'

/**
 * Whose failure it was that a CA did not issue.
 * `outage`: it is down, overloaded or limits us; every other order would meet the same.
 * `authority`: it failed this order; when that happens again and again, it is out.
 * `order`: it refused these names or this CSR; the next CA may think otherwise, and this one is well.
 * `ours`: DNS or the hook failed before the CA could look; another CA would see no more.
 */
export type Blame = 'outage' | 'authority' | 'order' | 'ours'

const OUTAGE_CODES: readonly string[] = [
  'ACME_UNREACHABLE',
  'ACME_TIMEOUT',
  'HTTP_UNREACHABLE',
  'AUTHORITY_UNAVAILABLE',
] satisfies Fault['code'][]
const OUR_CODES: readonly string[] = [
  'DNS_UPDATE_REFUSED',
  'HOOK_FAILED',
  'STORE_UNAVAILABLE',
] satisfies Fault['code'][]
/** RFC 8555 §6.7. */
const OUTAGE_PROBLEMS = ['rateLimited', 'serverInternal']
const ORDER_PROBLEMS = ['rejectedIdentifier', 'caa', 'badCSR', 'unsupportedIdentifier', 'badPublicKey']

export function blameFor(error: unknown): Blame {
  if (error instanceof Error && error.name === 'TimeoutError') return 'outage'
  if (!(error instanceof Fault)) return 'authority'
  if (OUR_CODES.includes(error.code)) return 'ours'
  const { type, status } = error.facts
  if (OUTAGE_CODES.includes(error.code) || OUTAGE_PROBLEMS.includes(String(type))) return 'outage'
  if (typeof status === 'number' && status >= 500) return 'outage'
  return ORDER_PROBLEMS.includes(String(type)) ? 'order' : 'authority'
}

/** How long the CA asked to be left alone. */
export function retryAfterOf(error: unknown): number | undefined {
  const ms = error instanceof Fault ? error.facts.retryAfterMs : undefined
  return typeof ms === 'number' && ms > 0 ? ms : undefined
}
