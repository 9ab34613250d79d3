import type { PreparedAnswer } from '../../../dns/answer.ts'
import { RCODE } from '../../../dns/codes.ts'

/** Caps of RFC 8767 §4 and RFC 2308 §5, in seconds. */
const POSITIVE_TTL_S_MAX = 604_800
const NEGATIVE_TTL_S_MAX = 10_800

/** NOERROR and NXDOMAIN are answers; any other rcode says that there is none (RFC 8767 §4, RFC 9520 §2). */
export function isFailure(rcode: number): boolean {
  return rcode !== RCODE.NOERROR && rcode !== RCODE.NXDOMAIN
}

/**
 * Seconds the answer may be given again; 0 means never (RFC 2308 §5, RFC 2181 §8). An SOA beside a CNAME speaks of the
 * CNAME's target, and then the shorter of both counts.
 */
export function lifetimeOf({ rcode, truncated, answerCount, minTtlS, negativeTtlS }: PreparedAnswer): number {
  if (truncated || isFailure(rcode)) return 0
  const negative = rcode === RCODE.NXDOMAIN || answerCount === 0
  if (negative && negativeTtlS === undefined) return 0
  return Math.min(minTtlS, negativeTtlS ?? minTtlS, negative ? NEGATIVE_TTL_S_MAX : POSITIVE_TTL_S_MAX)
}
