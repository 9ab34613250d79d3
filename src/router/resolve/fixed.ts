import { buildReply } from '../../dns/answer.ts'
import { buildAnswer } from '../../dns/build.ts'
import { CLASS, EXTENDED_ERROR, RCODE, TYPE } from '../../dns/codes.ts'
import type { Layer } from './chain.ts'
import type { Answer, Query } from './resolver.ts'

/** RFC 8482 §4.2 leaves it to us: long enough that nobody asks over and over. */
const ANY_TTL_S = 3_600

/**
 * Questions that have one answer whatever their name: class CHAOS, in which servers tell about themselves (version.bind,
 * id.server, hostname.bind; RFC 4892), and ANY by UDP, which serves attacks only. Everything else goes on, types and classes
 * nobody knows included (RFC 5625 §4.3).
 */
export function withFixedAnswers(): Layer {
  return (next) => ({
    id: 'fixed',
    resolve(query, signal) {
      const { questionClass, questionType } = query.view
      if (questionClass === CLASS.CH) return refusal(query)
      if (questionType === TYPE.ANY && questionClass === CLASS.IN && query.client.transport === 'udp')
        return minimalAny(query)
      return next.resolve(query, signal)
    },
  })
}

function refusal({ view }: Query): Answer {
  return {
    kind: 'answer',
    wire: buildReply(view, { rcode: RCODE.REFUSED }),
    from: 'fixed',
    extendedErrors: [{ code: EXTENDED_ERROR.NOT_SUPPORTED }],
  }
}

/** RFC 8482 §4.2: an HINFO record that says why. By TCP and TLS the address is proved, and ANY is forwarded as it is. */
function minimalAny({ view }: Query): Answer {
  const hinfo = { name: view.questionName, type: TYPE.HINFO, ttl: ANY_TTL_S, rdata: HINFO_RFC8482 }
  const wire = buildAnswer(view, { rcode: RCODE.NOERROR, authoritative: false, answers: [hinfo] })
  return { kind: 'answer', wire, from: 'fixed', freshS: ANY_TTL_S }
}

/** CPU `RFC8482`, OS empty. */
const HINFO_RFC8482 = Uint8Array.from([7, ...Buffer.from('RFC8482', 'latin1'), 0])
