import { TYPE } from './codes.ts'
import { buildMessage, parseMessage, type ResourceRecord } from './message.ts'
import { walkRecords } from './records.ts'
import { MessageView } from './view.ts'

const AUTHENTICATION_TYPES: ReadonlySet<number> = new Set([TYPE.RRSIG, TYPE.NSEC, TYPE.NSEC3])

/**
 * The answer as someone may see it who did not set DO: without RRSIG, NSEC and NSEC3 records, unless asked for by type
 * (RFC 4035 §3.2.1). The same bytes when there are none. Names are compressed across records, so what is left is written
 * anew. An answer that cannot be read stays as it is.
 */
export function withoutDnssecRecords(wire: Uint8Array): Uint8Array {
  const view = MessageView.over(wire)
  if (!view || !hasUnasked(view)) return wire
  const message = parseMessage(wire)
  if (!message) return wire
  const isWanted = ({ type }: ResourceRecord): boolean => !isUnasked(type, view.questionType)
  const { answers, authorities, additionals } = message
  const shorter = buildMessage({
    ...message,
    answers: answers.filter(isWanted),
    authorities: authorities.filter(isWanted),
    additionals: additionals.filter(isWanted),
  })
  // Someone may compress better than we do.
  return shorter.length < wire.length ? shorter : wire
}

function hasUnasked(view: MessageView): boolean {
  const records = walkRecords(view)
  while (records.next()) if (isUnasked(records.type, view.questionType)) return true
  return false
}

function isUnasked(type: number, asked: number): boolean {
  return AUTHENTICATION_TYPES.has(type) && asked !== type && asked !== TYPE.ANY
}
