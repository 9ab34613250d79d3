import { TYPE } from './codes.ts'
import { rewriteAnswer } from './dnssec/rewrite.ts'
import { walkRecords } from './records.ts'
import { MessageView } from './view.ts'

const PROOF_TYPES: ReadonlySet<number> = new Set([TYPE.RRSIG, TYPE.NSEC, TYPE.NSEC3])
const NO_CAPS: ReadonlyMap<number, number> = new Map()

/**
 * The answer as someone may see it who did not set DO: without RRSIG, NSEC and NSEC3 records, unless asked for by type
 * (RFC 4035 §3.2.1). The same bytes when there are none. Names are compressed across records, so what is left is written
 * anew. An answer that cannot be read stays as it is.
 */
export function withoutDnssecRecords(wire: Uint8Array): Uint8Array {
  const view = MessageView.over(wire)
  if (view?.questionCount !== 1 || !hasUnaskedProof(view)) return wire
  const { questionEnd, questionType, authenticData } = view
  const leavesOut = ({ type }: { readonly type: number }): boolean => isUnaskedProof(type, questionType)
  const shorter = rewriteAnswer({ wire, questionEnd }, { authenticData, ttlCaps: NO_CAPS, leavesOut })
  if (!shorter) return wire
  shorter[3] = shorter[3]! | (wire[3]! & CD)
  return shorter
}
const CD = 0x10

/** Whether clients without DO do not get such a record: they have not asked for its type. */
export function isUnaskedProof(type: number, asked: number): boolean {
  return PROOF_TYPES.has(type) && asked !== type && asked !== TYPE.ANY
}

function hasUnaskedProof(view: MessageView): boolean {
  const records = walkRecords(view)
  let isFound = false
  while (records.next()) isFound ||= isUnaskedProof(records.type, view.questionType)
  return isFound && !records.malformed
}
