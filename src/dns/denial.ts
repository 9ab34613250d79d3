import { ageTtl, type PreparedAnswer, putAsked } from './answer.ts'
import { RCODE, TYPE } from './codes.ts'
import { isUnder, readName } from './name.ts'
import { RecordWalker } from './records.ts'
import { MessageView } from './view.ts'
import { HEADER_BYTES, putUint16, uint16 } from './wire.ts'

/** What an NXDOMAIN says about the names below the one that was asked for (RFC 8020): none of them exists either. */

const DENYING_TYPES: ReadonlySet<number> = new Set([TYPE.SOA, TYPE.NSEC, TYPE.NSEC3, TYPE.RRSIG])
/** Fourteen bits (RFC 1035 §4.1.4). */
const POINTER_MAX = 0x3fff

/**
 * True when the answer denies the name of its own question. With a CNAME in it, it denies the CNAME's target instead
 * (RFC 8020 §2). An SOA that is not above the name comes from a broken server: the apex of a zone exists.
 */
export function deniesItsName(prepared: PreparedAnswer): boolean {
  if (prepared.rcode !== RCODE.NXDOMAIN || prepared.answerCount > 0 || prepared.negativeTtlS === undefined) return false
  const view = MessageView.over(prepared.wire)
  if (!view) return false
  const name = view.questionName.toLowerCase()
  const records = new RecordWalker(view.wire, view.questionEnd)
  while (records.next()) {
    if (records.section !== 'authority') break
    if (!DENYING_TYPES.has(records.type)) return false
    if (records.type !== TYPE.SOA) continue
    const zone = readName(view.wire, records.nameStart)?.toLowerCase()
    if (zone === undefined || zone === name || !isUnder(name, zone)) return false
  }
  return true
}

/**
 * Writes at the start of `target` the denial of a name below `denial`'s and returns its length, or -1 when it cannot be
 * done. The SOA and the proofs that deny a name deny those below it as well. `denial` is a whole message of which
 * `deniesItsName` was true; the query's name ends with the denied one.
 */
export function writeDenialBelow(denial: MessageView, target: Uint8Array, query: MessageView, ageS: number): number {
  const { wire, questionEnd } = denial
  const authorityEnd = endOfAuthority(denial)
  // The denied name is the end of the name asked for, so that every offset behind the header moves by the same.
  const moved = query.questionEnd - questionEnd
  const end = authorityEnd + moved
  if (authorityEnd < 0 || moved < 0 || end > Math.min(target.length, POINTER_MAX)) return -1
  target.set(wire.subarray(0, HEADER_BYTES))
  target.set(wire.subarray(questionEnd, authorityEnd), query.questionEnd)
  putUint16(target, 10, 0)
  putAsked(target, 0, query)
  const records = new RecordWalker(target.subarray(0, end), query.questionEnd)
  while (records.next()) {
    movePointer(target, records.nameStart, moved)
    ageTtl(target, records.ttlOffset, ageS, undefined)
    // Of the records that deny, only an SOA may have compressed names inside (RFC 4034 §3.1.7, §4.1.1).
    if (records.type === TYPE.SOA) movePointer(target, movePointer(target, records.rdataStart, moved), moved)
  }
  return records.malformed ? -1 : end
}

function endOfAuthority(message: MessageView): number {
  const records = new RecordWalker(message.wire, message.questionEnd)
  for (let left = message.answerCount + message.authorityCount; left > 0; left--) if (!records.next()) return -1
  return records.end
}

/** The name at `at` keeps its meaning in the moved message. Returns the offset after it. */
function movePointer(target: Uint8Array, start: number, moved: number): number {
  let at = start
  // Every turn moves on, and behind the end of the message there are no labels.
  while (target[at]! > 0 && target[at]! < 0xc0) at += target[at]! + 1
  return target[at] === 0 ? at + 1 : putUint16(target, at, uint16(target, at) + moved)
}
