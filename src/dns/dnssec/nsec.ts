import { TYPE } from '../codes.ts'
import { skipPlainName } from '../name.ts'
import {
  type CanonicalName,
  commonAncestor,
  compareNames,
  isAtOrUnder,
  isUnder,
  labelCount,
  nameAt,
  ROOT,
  wildcardUnder,
} from './name.ts'
import { hasType, isTypeBitmap } from './type-bitmap.ts'

/** "There is nothing between my owner and the next name, and my owner has these types" (RFC 4034 §4). */
export interface Nsec {
  readonly owner: CanonicalName
  readonly next: CanonicalName
  readonly types: Uint8Array
}

/** Undefined when the octets are no NSEC. */
export function parseNsec(owner: CanonicalName, rdata: Uint8Array): Nsec | undefined {
  const nextEnd = skipPlainName(rdata, 0)
  const next = nextEnd < 0 ? undefined : nameAt(rdata, 0)
  const types = nextEnd < 0 ? undefined : rdata.subarray(nextEnd)
  return next !== undefined && types && isTypeBitmap(types) ? { owner, next, types } : undefined
}

/** What is known of a name in the parent's zone: does another zone begin there? */
export type Cut = 'unsigned-cut' | 'no-cut' | 'unproven'

/** The name exists without this type (RFC 4035 §5.4, RFC 4592 for names between others, §3.1.3.4 for wildcards). */
export function nsecProvesNoData(records: readonly Nsec[], name: CanonicalName, type: number): boolean {
  const own = records.find(({ owner }) => owner === name)
  if (own) return lacks(own, type)
  return records.some((nsec) => isEmptyNonTerminal(nsec, name)) || records.some((nsec) => isWildcardWithout(nsec))

  function isWildcardWithout(cover: Nsec): boolean {
    if (!denies(cover, name)) return false
    const wildcard = wildcardUnder(closestEncloser(cover, name))
    return records.some((nsec) => nsec.owner === wildcard && lacks(nsec, type))
  }
}

/** Neither the name nor a wildcard that would stand in for it exists (RFC 4035 §5.4). */
export function nsecProvesNoName(records: readonly Nsec[], name: CanonicalName): boolean {
  return records.some((cover) => {
    if (!denies(cover, name)) return false
    const wildcard = wildcardUnder(closestEncloser(cover, name))
    return records.some((nsec) => denies(nsec, wildcard))
  })
}

/** The name itself does not exist, so that the wildcard right under `encloser` may stand in for it (RFC 4035 §5.3.4). */
export function nsecProvesExpansion(records: readonly Nsec[], name: CanonicalName, encloser: CanonicalName): boolean {
  return records.some((cover) => denies(cover, name) && closestEncloser(cover, name) === encloser)
}

/** RFC 4035 §5.2: a delegation without DS shows NS and neither DS nor, which would be the child's own record, SOA. */
export function nsecCut(records: readonly Nsec[], name: CanonicalName): Cut {
  const own = records.find(({ owner }) => owner === name)
  if (!own) return records.some((nsec) => denies(nsec, name) || isEmptyNonTerminal(nsec, name)) ? 'no-cut' : 'unproven'
  if (hasType(own.types, TYPE.DS) || hasType(own.types, TYPE.SOA)) return 'unproven'
  return hasType(own.types, TYPE.NS) ? 'unsigned-cut' : 'no-cut'
}

/** The types of a name say that `type` is not there, and they are the right zone's to say so. */
export function typesLack(types: Uint8Array, owner: CanonicalName, type: number): boolean {
  if (hasType(types, type) || hasType(types, TYPE.CNAME)) return false
  const isApex = hasType(types, TYPE.SOA)
  // DS is the parent's: the child's apex knows nothing of it. All else at a delegation is the child's (RFC 6840 §4.4).
  return type === TYPE.DS ? !isApex || owner === ROOT : !isDelegation(types)
}

/** The zone above a cut cannot deny what lies below it, nor can a name whose subtree a DNAME leads away (RFC 6840 §4.1). */
export function leadsAway(types: Uint8Array): boolean {
  return isDelegation(types) || hasType(types, TYPE.DNAME)
}

function isDelegation(types: Uint8Array): boolean {
  return hasType(types, TYPE.NS) && !hasType(types, TYPE.SOA)
}

function lacks(nsec: Nsec, type: number): boolean {
  return typesLack(nsec.types, nsec.owner, type)
}

/** The name lies strictly between owner and next, and nothing below it exists either. */
function denies(nsec: Nsec, name: CanonicalName): boolean {
  const { owner, next, types } = nsec
  if (isUnder(name, owner) && leadsAway(types)) return false
  return isBetween(nsec, name) && !isAtOrUnder(next, name)
}

/** Has names below it but no records of its own, so that no NSEC is owned by it (RFC 4592 §2.2.2). */
function isEmptyNonTerminal(nsec: Nsec, name: CanonicalName): boolean {
  return isBetween(nsec, name) && isUnder(nsec.next, name) && !(isUnder(name, nsec.owner) && leadsAway(nsec.types))
}

function isBetween({ owner, next }: Nsec, name: CanonicalName): boolean {
  const isAfterOwner = compareNames(name, owner) > 0
  // The last NSEC of a zone leads back to the apex, which comes before everything (RFC 4034 §4.1.1).
  if (compareNames(next, owner) <= 0) return isAfterOwner && isUnder(name, next)
  return isAfterOwner && compareNames(name, next) < 0
}

/** The longest existing ancestor: owner and next both exist, and nothing between them does. */
function closestEncloser({ owner, next }: Nsec, name: CanonicalName): CanonicalName {
  const [byOwner, byNext] = [commonAncestor(name, owner), commonAncestor(name, next)]
  return labelCount(byOwner) > labelCount(byNext) ? byOwner : byNext
}
