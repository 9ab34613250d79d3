import type { Clock } from '../../core/clock.ts'
import { Fault, reasonOf } from '../../core/fault.ts'
import { explain, type Log } from '../../core/log.ts'
import { buildReply } from '../../dns/answer.ts'
import { EXTENDED_ERROR, RCODE } from '../../dns/codes.ts'
import type { Answer, Outcome, Query, Resolver } from './resolver.ts'

/** How long one upstream has before the next one is asked (dns §9.10). */
const ATTEMPT_MS = 2_000
/** Failures in a row after which an upstream is asked last. */
const FAILURES_UNTIL_DOWN = 3
/** When an upstream that is down is tried again: after a second, then after twice as long each time (dns §9.10). */
const PROBE_MS_MIN = 1_000
const PROBE_MS_MAX = 60_000

export interface UpstreamStatus {
  readonly id: string
  readonly state: 'up' | 'down'
  readonly failuresInARow: number
  readonly lastError?: string
}

interface Member {
  readonly upstream: Resolver
  failuresInARow: number
  lastError: string | undefined
  /** On the monotonic clock; only for one that is down. */
  probeAtMs: number
}

/**
 * Asks the upstreams in their order, those that keep failing last, until one answers or the asker's deadline passes.
 * It never throws: a question nobody could answer becomes SERVFAIL with the reason as an extended error (RFC 8914).
 */
export function createPool(
  upstreams: readonly Resolver[],
  { clock, log }: { readonly clock: Clock; readonly log: Log },
): { readonly resolver: Resolver; status(): readonly UpstreamStatus[] } {
  const members: Member[] = upstreams.map((upstream) => ({
    upstream,
    failuresInARow: 0,
    lastError: undefined,
    probeAtMs: 0,
  }))
  const isDown = (member: Member): boolean => member.failuresInARow >= FAILURES_UNTIL_DOWN

  const succeeded = (member: Member): void => {
    if (isDown(member)) log.info({ upstream: member.upstream.id }, 'upstream answers again')
    member.failuresInARow = 0
    member.lastError = undefined
  }
  const failed = (member: Member, error: unknown): void => {
    member.failuresInARow++
    member.lastError = reasonOf(error)
    if (!isDown(member)) return
    const waitMs = Math.min(PROBE_MS_MAX, PROBE_MS_MIN * 2 ** (member.failuresInARow - FAILURES_UNTIL_DOWN))
    member.probeAtMs = clock.monotonicMs() + waitMs
    if (member.failuresInARow === FAILURES_UNTIL_DOWN)
      log.warn({ upstream: member.upstream.id, ...explain(error) }, 'upstream is down')
  }

  const ask = async (member: Member, query: Query, signal: AbortSignal): Promise<Outcome> => {
    const deadlineMs = Math.min(query.deadlineMs, clock.monotonicMs() + ATTEMPT_MS)
    try {
      const outcome = await member.upstream.resolve({ ...query, deadlineMs }, signal)
      succeeded(member)
      return outcome
    } catch (error) {
      failed(member, error)
      throw error
    }
  }
  /** Beside the question, so that nobody waits for an upstream that stays down. What comes of it stands in the member. */
  const probe = (member: Member, query: Query, signal: AbortSignal): void => {
    const nowMs = clock.monotonicMs()
    if (nowMs < member.probeAtMs) return
    member.probeAtMs = nowMs + PROBE_MS_MAX
    ask(member, query, signal).catch(() => {})
  }

  const resolver: Resolver = {
    id: 'pool',
    async resolve(query, signal) {
      let reason: unknown = new Fault('UPSTREAM_TIMEOUT', 'no upstream was asked in time')
      const [up, down] = [members.filter((member) => !isDown(member)), members.filter(isDown)]
      if (up.length > 0) for (const member of down) probe(member, query, signal)
      for (const member of [...up, ...down]) {
        if (clock.monotonicMs() >= query.deadlineMs || signal.aborted) break
        try {
          return await ask(member, query, signal)
        } catch (error) {
          reason = error
        }
      }
      return failureAnswer(query, reason)
    },
  }

  return {
    resolver,
    status: () =>
      members.map((member) => ({
        id: member.upstream.id,
        state: isDown(member) ? 'down' : 'up',
        failuresInARow: member.failuresInARow,
        ...(member.lastError === undefined ? {} : { lastError: member.lastError }),
      })),
  }
}

function failureAnswer(query: Query, reason: unknown): Answer {
  const code =
    reason instanceof Fault && reason.code === 'UPSTREAM_TIMEOUT'
      ? EXTENDED_ERROR.NO_REACHABLE_AUTHORITY
      : EXTENDED_ERROR.NETWORK_ERROR
  return {
    kind: 'answer',
    wire: buildReply(query.view, { rcode: RCODE.SERVFAIL }),
    from: 'pool',
    extendedErrors: [{ code, text: reason instanceof Fault ? reason.message : 'internal error' }],
  }
}
