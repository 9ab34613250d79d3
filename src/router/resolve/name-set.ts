import assert from 'node:assert'
import { nameToWire } from '../../dns/name.ts'

/** Finds the domain of the list that holds a name: the longest at or above it. Names are as `nameKey` spells them. */
export function nameSet(domains: readonly string[]): (nameKey: string) => string | undefined {
  const known = new Map(domains.map((domain) => [nameKey(domain), domain]))
  if (known.size === 0) return () => undefined
  return (key) => {
    // A name has at most 127 labels; the root is the last.
    for (let at = 0; at < key.length; at += key.charCodeAt(at) + 1) {
      const domain = known.get(key.slice(at))
      if (domain !== undefined) return domain
    }
    return undefined
  }
}

/** A name in text as MessageView.questionKey spells it: lower-case wire octets, one character each. */
export function nameKey(name: string): string {
  const wire = nameToWire(name.toLowerCase())
  assert(wire, `${name} is a domain name`)
  return Buffer.from(wire).toString('latin1')
}

/** The name in a question key, without type and class. */
export function nameOfQuestion(questionKey: string): string {
  return questionKey.slice(0, questionKey.length - TYPE_AND_CLASS_BYTES)
}
const TYPE_AND_CLASS_BYTES = 4
