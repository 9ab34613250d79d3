import { writeReply } from './answer.ts'
import { CLASS, typeName } from './codes.ts'
import { type RecordData, writeRdata } from './rdata.ts'
import type { MessageView } from './view.ts'
import { HEADER_BYTES, putUint16 } from './wire.ts'
import { WireWriter } from './writer.ts'

export interface AuthoredRecord {
  readonly name: string
  readonly type: number
  readonly ttl: number
  /** IN unless told otherwise. */
  readonly class?: number
  /** Octets, or the data of the type: names in the latter are compressed where their type allows it. */
  readonly rdata: RecordData
}

export interface AuthoredAnswer {
  readonly rcode: number
  readonly authoritative: boolean
  readonly answers?: readonly AuthoredRecord[]
  readonly authorities?: readonly AuthoredRecord[]
  readonly additionals?: readonly AuthoredRecord[]
}

/**
 * An answer of our own to a query, for names we serve ourselves. The question comes back byte for byte, letter case
 * included; names are compressed against it only. No OPT record: the listener writes that.
 */
export function buildAnswer(query: MessageView, answer: AuthoredAnswer): Uint8Array {
  const { answers = [], authorities = [], additionals = [] } = answer
  const head = new Uint8Array(query.questionEnd)
  writeReply(head, 0, query, answer)
  putUint16(head, 6, answers.length)
  putUint16(head, 8, authorities.length)
  putUint16(head, 10, additionals.length)
  const writer = new WireWriter()
  writer.octets(head)
  if (query.hasQuestion) writer.learn(head.subarray(HEADER_BYTES, query.questionEnd - 4), HEADER_BYTES)
  writer.learning = false
  for (const record of [...answers, ...authorities, ...additionals]) writeRecord(writer, record)
  return Uint8Array.from(writer.toBytes())
}

/** RFC 1035 §4.1.3. */
export function writeRecord(writer: WireWriter, record: AuthoredRecord): void {
  writer.name(record.name, 'compressed')
  writer.uint16(record.type)
  writer.uint16(record.class ?? CLASS.IN)
  writer.uint32(record.ttl)
  const lengthAt = writer.length
  writer.uint16(0)
  writeRdata(writer, record.type, record.rdata)
  const length = writer.length - lengthAt - 2
  if (length > 0xffff) throw new RangeError(`${typeName(record.type)} data is too long`)
  writer.patchUint16(lengthAt, length)
}
