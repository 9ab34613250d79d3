import { lowerName, nameToWire, readName } from '../name.ts'

/**
 * A name in canonical form (RFC 4034 §6.2): uncompressed, lower case, one latin1 character per octet, so that names are
 * equal when their strings are. MessageView.questionKey begins with one.
 */
export type CanonicalName = string

export const ROOT: CanonicalName = '\0'

/** The name at `at` of a message, its pointers followed; undefined when it is malformed. */
export function nameAt(wire: Uint8Array, at: number): CanonicalName | undefined {
  const text = readName(wire, at)
  return text === undefined ? undefined : canonicalName(text)
}

/** From presentation text; undefined when it is no name. */
export function canonicalName(text: string): CanonicalName | undefined {
  const wire = nameToWire(text)
  return wire && Buffer.from(lowerName(wire)).toString('latin1')
}

/** Presentation text, for people. */
export function nameText(name: CanonicalName): string {
  // A name that stands alone has no pointers, so the header that readName keeps them out of may be empty.
  return readName(octetsOf(name), 0) ?? '.'
}

export function octetsOf(name: CanonicalName): Uint8Array {
  return Buffer.from(name, 'latin1')
}

/** Leftmost first, without length octets and without the root. */
export function labelsOf(name: CanonicalName): string[] {
  const labels: string[] = []
  // A name has at most 127 labels.
  for (let at = 0; name.charCodeAt(at) > 0; at += name.charCodeAt(at) + 1)
    labels.push(name.slice(at + 1, at + 1 + name.charCodeAt(at)))
  return labels
}

export function labelCount(name: CanonicalName): number {
  let count = 0
  for (let at = 0; name.charCodeAt(at) > 0; at += name.charCodeAt(at) + 1) count++
  return count
}

/** The root is its own parent. */
export function parentOf(name: CanonicalName): CanonicalName {
  return name === ROOT ? ROOT : name.slice(name.charCodeAt(0) + 1)
}

/** The last `labels` labels of the name. */
export function ancestorOf(name: CanonicalName, labels: number): CanonicalName {
  let ancestor = name
  for (let count = labelCount(name); count > labels; count--) ancestor = parentOf(ancestor)
  return ancestor
}

export function isAtOrUnder(name: CanonicalName, zone: CanonicalName): boolean {
  const start = name.length - zone.length
  if (start < 0 || !name.endsWith(zone)) return false
  let at = 0
  while (at < start) at += name.charCodeAt(at) + 1
  return at === start
}

export function isUnder(name: CanonicalName, zone: CanonicalName): boolean {
  return name !== zone && isAtOrUnder(name, zone)
}

export function isWildcard(name: CanonicalName): boolean {
  return name.startsWith(WILDCARD_LABEL)
}

export function wildcardUnder(name: CanonicalName): CanonicalName {
  return WILDCARD_LABEL + name
}
const WILDCARD_LABEL = '\x01*'

/** The longest name that both are at or under. */
export function commonAncestor(a: CanonicalName, b: CanonicalName): CanonicalName {
  let ancestor = a
  while (!isAtOrUnder(b, ancestor)) ancestor = parentOf(ancestor)
  return ancestor
}

/** Canonical order (RFC 4034 §6.1): label by label from the right, octet by octet, the shorter one first. */
export function compareNames(a: CanonicalName, b: CanonicalName): number {
  const [left, right] = [labelsOf(a).toReversed(), labelsOf(b).toReversed()]
  for (let index = 0; index < Math.min(left.length, right.length); index++) {
    if (left[index]! !== right[index]!) return left[index]! < right[index]! ? -1 : 1
  }
  return left.length - right.length
}
