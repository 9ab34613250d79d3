import { type AuthoredRecord, writeRecord } from './build.ts'
import { CLASS, OPCODE, TYPE } from './codes.ts'
import { WireWriter } from './writer.ts'

export { type SignedMessage, signTsig, type TsigKey, tsigError, verifyTsig } from './tsig.ts'

/** Dynamic update (RFC 2136); it is signed as tsig.ts says. */
export interface Update {
  readonly id: number
  readonly zone: string
  readonly adds: readonly AuthoredRecord[]
  readonly deletes: readonly Deletion[]
}

/** One record; without `rdata` the whole RRset; without `type` everything at the name (RFC 2136 §2.5.2 to §2.5.4). */
export type Deletion = Pick<AuthoredRecord, 'name'> & Partial<Omit<AuthoredRecord, 'name' | 'class'>>

/** Deletions come first, so that one update can replace an RRset (RFC 2136 §3.4.2 takes them in order). */
export function buildUpdate(update: Update): Uint8Array {
  const writer = new WireWriter()
  const changes = [...update.deletes.map(deletionRecord), ...update.adds]
  for (const field of [update.id, OPCODE.UPDATE << 11, 1, 0, changes.length, 0]) writer.uint16(field)
  writer.name(update.zone, 'compressed')
  writer.uint16(TYPE.SOA)
  writer.uint16(CLASS.IN)
  for (const change of changes) writeRecord(writer, change)
  return Uint8Array.from(writer.toBytes())
}

function deletionRecord(deletion: Deletion): AuthoredRecord {
  const { name, type = TYPE.ANY, rdata } = deletion
  return rdata
    ? { name, type, class: CLASS.NONE, ttl: 0, rdata }
    : { name, type, class: CLASS.ANY, ttl: 0, rdata: new Uint8Array(0) }
}
