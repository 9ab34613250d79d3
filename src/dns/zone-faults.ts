import { TYPE, typeName } from './codes.ts'
import { lowerName, nameToWire } from './name.ts'
import type { ZoneRecord } from './zone-text.ts'

export interface ZoneFault {
  /** Of the record in the list. */
  readonly index: number
  readonly problem: string
  readonly hint: string
}

/** What is wrong between records that are right by themselves. */
export function zoneFaults(zone: string, records: readonly ZoneRecord[]): readonly ZoneFault[] {
  const key = (name: string): string => Buffer.from(lowerName(nameToWire(name)!)).toString('latin1')
  const typesByName = new Map<string, Set<number>>()
  const countByName = new Map<string, number>()
  const faults: ZoneFault[] = []
  for (const [index, { name, type }] of records.entries()) {
    const types = typesByName.get(key(name)) ?? new Set<number>()
    typesByName.set(key(name), types)
    const problem = faultOf(type, types, key(name) === key(zone))
    if (problem) faults.push({ index, ...problem })
    const count = (countByName.get(key(name)) ?? 0) + 1
    countByName.set(key(name), count)
    if (count === RECORDS_PER_NAME_MAX + 1)
      faults.push({ index, problem: `more than ${RECORDS_PER_NAME_MAX} records of one name`, hint: 'remove some' })
    types.add(type)
  }
  return faults
}

/** More would not fit in an answer. */
const RECORDS_PER_NAME_MAX = 500

function faultOf(
  type: number,
  before: ReadonlySet<number>,
  isApex: boolean,
): { readonly problem: string; readonly hint: string } | undefined {
  if (type === TYPE.SOA && !isApex) return { problem: 'an SOA below the top of the zone', hint: 'write it for @' }
  if ((type === TYPE.SOA || type === TYPE.DNAME) && before.has(type))
    return { problem: `a second ${typeName(type)} for this name`, hint: 'keep one' }
  // RFC 1034 §3.6.2: an alias has nothing else, and the top of a zone has an SOA.
  if (type === TYPE.CNAME && isApex)
    return { problem: 'the top of a zone cannot be an alias', hint: 'write its A and AAAA records' }
  if (before.size > 0 && (type === TYPE.CNAME || before.has(TYPE.CNAME)))
    return { problem: 'a name with a CNAME can have nothing else', hint: 'remove the CNAME or the other records' }
  return undefined
}
