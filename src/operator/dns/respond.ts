import { type AuthoredAnswer, type AuthoredRecord, buildAnswer } from '../../dns/build.ts'
import { CLASS, RCODE, TYPE } from '../../dns/codes.ts'
import { isUnder } from '../../dns/name.ts'
import { stringsData } from '../../dns/rdata.ts'
import type { MessageView } from '../../dns/view.ts'
import type { ChallengeRecords } from './challenge-records.ts'

/** Short: an order that is tried again has another value, and the resolver of the CA must not hold the old one. */
const CHALLENGE_TTL_S = 5
/** RFC 2308 §5: how long "there is no record" may be kept, which a CA must not either. */
const NEGATIVE_TTL_S = 5
const APEX_TTL_S = 3600
/** QTYPEs and meta types from TKEY to MAILA (RFC 6895 §3.1), zone transfers among them; ANY is above. */
const META_TYPE_FIRST = 249
const META_TYPE_LAST = 254

/** What an authoritative server for `zone`, which holds nothing but challenges, says to one question. No OPT record. */
export type Respond = (query: MessageView) => Promise<Uint8Array>

export function challengeZoneResponder({
  zone,
  ns,
  records,
}: {
  readonly zone: string
  readonly ns: string
  readonly records: Pick<ChallengeRecords, 'find' | 'hasBelow'>
}): Respond {
  const start: AuthoredRecord = {
    name: zone,
    type: TYPE.SOA,
    ttl: APEX_TTL_S,
    // Nobody transfers this zone, so its serial number may stand still: all instances say the same.
    rdata: {
      primary: ns,
      mailbox: `hostmaster.${zone}`,
      serial: 1,
      refresh: 3600,
      retry: 600,
      expire: 86_400,
      minimum: NEGATIVE_TTL_S,
    },
  }
  const authoritative = (more: Partial<AuthoredAnswer>): AuthoredAnswer => ({
    rcode: RCODE.NOERROR,
    authoritative: true,
    ...more,
  })
  const negative = (rcode: number): AuthoredAnswer =>
    authoritative({ rcode, authorities: [{ ...start, ttl: NEGATIVE_TTL_S }] })

  const answerOf = async (query: MessageView): Promise<AuthoredAnswer> => {
    const { questionName: name, questionType: type } = query
    const isMeta = type === TYPE.OPT || (type >= META_TYPE_FIRST && type <= META_TYPE_LAST)
    if (query.questionClass !== CLASS.IN || isMeta || !isUnder(name, zone))
      return { rcode: RCODE.REFUSED, authoritative: false }
    const isApex = name.length === zone.length
    const values = isApex ? [] : await records.find(name)
    if (isApex || values.length > 0) {
      const existing = existingRecords(name, type, values)
      return existing.length > 0 ? authoritative({ answers: existing }) : negative(RCODE.NOERROR)
    }
    return negative((await records.hasBelow(name)) ? RCODE.NOERROR : RCODE.NXDOMAIN)
  }

  const existingRecords = (name: string, type: number, values: readonly string[]): readonly AuthoredRecord[] => {
    if (type === TYPE.ANY) return [anyRecord(name)]
    if (values.length > 0)
      return type === TYPE.TXT
        ? values.map((value) => ({ name, type, ttl: CHALLENGE_TTL_S, rdata: stringsData(value) }))
        : []
    if (type === TYPE.SOA) return [start]
    return type === TYPE.NS ? [{ name: zone, type, ttl: APEX_TTL_S, rdata: { host: ns } }] : []
  }

  return async (query) => withoutRecursion(buildAnswer(query, await answerOf(query)))
}

/** RFC 8482 §4.2: a small answer to a question that is asked for the size of its answers. */
function anyRecord(name: string): AuthoredRecord {
  const strings = [Buffer.from('RFC8482'), new Uint8Array(0)]
  return { name, type: TYPE.HINFO, ttl: APEX_TTL_S, rdata: { strings } }
}

/** RA says that recursion is on offer; the forwarder of the router, which shares the code of replies, sets it. */
export function withoutRecursion(reply: Uint8Array): Uint8Array {
  reply[3] = reply[3]! & 0x7f
  return reply
}
