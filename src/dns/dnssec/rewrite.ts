import { readName } from '../name.ts'
import { type Section, walkRecords } from '../records.ts'
import { HEADER_BYTES, putUint16, putUint32, uint32 } from '../wire.ts'
import { WireWriter } from '../writer.ts'
import { expandedRdata } from './rdata.ts'

export interface Changes {
  readonly authenticData: boolean
  /** By the offset where a record starts. */
  leavesOut(record: { readonly nameStart: number; readonly type: number; readonly section: Section }): boolean
  /** Upper bounds of TTLs, by their offset. */
  readonly ttlCaps: ReadonlyMap<number, number>
}

/**
 * A copy of an answer without OPT: some records left out, TTLs bounded, AD as given, CD clear. Without a record the
 * pointers into it lead nowhere, so then every name is written anew. Undefined when the result is too long for a message.
 */
export function rewriteAnswer(
  answer: { readonly wire: Uint8Array; readonly questionEnd: number },
  changes: Changes,
): Uint8Array | undefined {
  const wire = Uint8Array.from(answer.wire)
  for (const [offset, ttlS] of changes.ttlCaps) putUint32(wire, offset, Math.min(uint32(wire, offset), ttlS))
  wire[3] = (wire[3]! & ~(AD | CD)) | (changes.authenticData ? AD : 0)
  const records = walkRecords({ wire, questionEnd: answer.questionEnd })
  let isWhole = true
  while (records.next()) if (changes.leavesOut(records)) isWhole = false
  return isWhole ? wire : shortened(wire, answer.questionEnd, changes)
}
const AD = 0x20
const CD = 0x10

function shortened(wire: Uint8Array, questionEnd: number, changes: Changes): Uint8Array | undefined {
  const writer = new WireWriter()
  writer.octets(wire.subarray(0, questionEnd))
  writer.learn(wire.subarray(HEADER_BYTES, questionEnd - 4), HEADER_BYTES)
  const counts = { answer: 0, authority: 0, additional: 0 }
  const records = walkRecords({ wire, questionEnd })
  try {
    while (records.next()) {
      if (changes.leavesOut(records)) continue
      const name = readName(wire, records.nameStart)
      const rdata = expandedRdata(wire, records.type, records.rdataStart, records.end, 'as-sent')
      if (name === undefined || !rdata) return undefined
      writer.name(name, 'compressed')
      writer.octets(wire.subarray(records.rdataStart - 10, records.rdataStart - 2))
      writer.uint16(rdata.length)
      writer.octets(rdata)
      counts[records.section]++
    }
  } catch (error) {
    if (error instanceof RangeError) return undefined
    throw error
  }
  const shorter = Uint8Array.from(writer.toBytes())
  putUint16(shorter, 6, counts.answer)
  putUint16(shorter, 8, counts.authority)
  putUint16(shorter, 10, counts.additional)
  return shorter
}
