import { prepareAnswer } from '../../dns/answer.ts'
import { withoutDnssecRecords } from '../../dns/dnssec-records.ts'
import type { Layer } from './chain.ts'
import type { Outcome } from './resolver.ts'

/**
 * Some upstreams send DNSSEC records to everyone. Below the cache, so that they are taken out once: the cache keeps answers
 * with and without DO apart.
 */
export function withoutUnaskedDnssec(): Layer {
  const strip = (outcome: Outcome): Outcome => {
    if (outcome.kind !== 'answer' || outcome.verbatim) return outcome
    const wire = withoutDnssecRecords(outcome.wire)
    if (wire === outcome.wire) return outcome
    const { prepared: _of, ...answer } = outcome
    // Whether its AD bit may be believed was decided when it came in.
    const prepared = prepareAnswer(wire, 'authenticated')
    return prepared ? { ...answer, wire: prepared.wire, prepared } : outcome
  }
  return (next) => ({
    id: 'dnssec-records',
    resolve(query, signal) {
      const outcome = next.resolve(query, signal)
      if (query.view.dnssecOk) return outcome
      return outcome instanceof Promise ? outcome.then(strip) : strip(outcome)
    },
  })
}
