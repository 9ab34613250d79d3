import { randomInt } from 'node:crypto'
import type { Clock } from '../../core/clock.ts'
import { buildReply } from '../../dns/answer.ts'
import { EXTENDED_ERROR, RCODE } from '../../dns/codes.ts'
import { addressSet } from '../../net/address-set.ts'
import { ANSWER_MS_MAX } from '../listen/listener.ts'
import type { Layer } from './chain.ts'
import { ClientTable } from './rate-limit/client-table.ts'
import type { Explain, Outcome, Query } from './resolver.ts'

/** Of the questions over the limit on UDP, each second one is answered with TC, the others with nothing. */
const SLIP = 2

export interface RateLimitOptions {
  readonly perSecond: number
  /** Questions at once, after a pause. */
  readonly burst: number
  /** Questions of one client that may wait for an answer at one time. */
  readonly openMax: number
  /** Networks that are not counted. */
  readonly exempt: readonly string[]
}

export interface RateLimit {
  readonly layer: Layer
  readonly explain: Explain
  /** Questions refused so far. */
  readonly refused: number
}

/**
 * What one client may ask: so many questions a second, and so many that wait for an answer, so that no one fills the
 * listeners' bounds alone. On UDP the source may be forged and the client be the victim, so what is over the limit gets no
 * answer, or an empty one with TC that is no longer than the question. A victim then comes by TCP, where a source is
 * proven and has a bucket of its own. Other transports are told: REFUSED with extended error 0, or 429 for DoH.
 */
export function withRateLimit(options: RateLimitOptions, { clock }: { readonly clock: Clock }): RateLimit {
  const { perSecond, burst, openMax, exempt } = options
  const isExempt = addressSet(exempt)
  const tableOf = (): ClientTable => new ClientTable({ perSecond, burst, seed: randomInt(2 ** 32) })
  const datagrams = tableOf()
  const streams = tableOf()
  let refused = 0

  const refuse = (query: Query, text: string): Outcome => {
    refused++
    const { transport } = query.client
    if (transport === 'doh' || (transport === 'udp' && refused % SLIP !== 0))
      return { kind: 'drop', reason: 'rate-limit' }
    if (transport === 'udp') {
      const cut = buildReply(query.view, { rcode: RCODE.NOERROR, truncated: true })
      return { kind: 'answer', wire: cut, from: 'rate-limit' } // the reason would make it longer than the question
    }
    const wire = buildReply(query.view, { rcode: RCODE.REFUSED })
    return { kind: 'answer', wire, from: 'rate-limit', extendedErrors: [{ code: EXTENDED_ERROR.OTHER, text }] }
  }

  return {
    get refused() {
      return refused
    },
    explain: (_question, client) => {
      const layer = 'rate-limit'
      if (isExempt(client)) return { layer, says: `${client} is not counted`, decides: false }
      const isOver = !datagrams.hasToken(client, clock.monotonicMs())
      const limit = `${perSecond} questions a second, ${burst} at once`
      return isOver
        ? { layer, says: `${client} is over its limit of ${limit}`, decides: true }
        : { layer, says: `${client} is within its limit of ${limit}`, decides: false }
    },
    layer: (next) => ({
      id: 'rate-limit',
      resolve(query, signal) {
        const { address, transport } = query.client
        if (isExempt(address)) return next.resolve(query, signal)
        const table = transport === 'udp' ? datagrams : streams
        const place = table.place(address)
        // The moment it arrived, which is cheaper than to look at the clock once more: every listener gives this long.
        const nowMs = query.deadlineMs - ANSWER_MS_MAX
        if (!table.spend(place, nowMs)) return refuse(query, 'rate limit')
        if (table.open(place) >= openMax) return refuse(query, 'too many open questions')
        const outcome = next.resolve(query, signal)
        if (!(outcome instanceof Promise)) return outcome
        table.opened(place)
        return outcome.finally(() => table.closed(place))
      },
    }),
  }
}
