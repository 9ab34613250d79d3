import assert from 'node:assert'
import { lowerName, nameToWire } from '../../dns/name.ts'

/** What MessageView.questionKey appends to the name. */
export const TYPE_AND_CLASS_BYTES = 4

/** A name in text as `questionKey` spells it: lower-case wire octets, one character each. */
export function nameKey(name: string): string {
  const wire = nameToWire(name)
  assert(wire, `${name} is a domain name: whoever read it has checked`)
  return Buffer.from(lowerName(wire)).toString('latin1')
}

/** The name in a question key, without type and class. */
export function nameOfQuestion(questionKey: string): string {
  return questionKey.slice(0, questionKey.length - TYPE_AND_CLASS_BYTES)
}
