import { Packet } from 'dns2'
import { CLASS, className, OPCODE, RCODE, TYPE, typeName } from './codes.ts'
import { type EdnsOption, ednsOptions, type OptFields, optBytes, writeOpt } from './edns.ts'
import { EXPANDED_TYPES, expandRdata } from './expand.ts'
import { readName, skipName } from './name.ts'
import { OctetReader, OctetWriter } from './octets.ts'
import { absolute, RECORD_CODECS, type RecordData, type ResourceRecord, rdataText, writeRdata } from './rdata.ts'
import { MessageView } from './view.ts'
import { MESSAGE_BYTES_MAX, putUint16, uint16 } from './wire.ts'

/**
 * A whole message as a value, for everything off the hot path. dns2 holds it and walks its sections; names, RDATA,
 * OPT and the reader and writer below them are ours: dns2's own names cost seconds on a hostile message, its binary text,
 * mapped addresses and unknown EDNS options come out wrong, and its writing takes quadratic time.
 */
export interface Message {
  readonly id: number
  readonly isResponse: boolean
  readonly opcode: number
  readonly authoritative: boolean
  readonly truncated: boolean
  readonly recursionDesired: boolean
  readonly recursionAvailable: boolean
  readonly authenticData: boolean
  readonly checkingDisabled: boolean
  /** All twelve bits; above 15 it needs `edns` (RFC 6891 §6.1.3). */
  readonly rcode: number
  readonly questions: readonly Question[]
  readonly answers: readonly ResourceRecord[]
  readonly authorities: readonly ResourceRecord[]
  /** Without OPT. */
  readonly additionals: readonly ResourceRecord[]
  readonly edns?: Edns
}

export interface Question {
  readonly name: string
  readonly type: number
  readonly class: number
}

export interface Edns {
  readonly udpSize: number
  readonly version: number
  readonly dnssecOk: boolean
  /** Every option as octets, whether we know it or not. */
  readonly options: readonly EdnsOption[]
}

export type { RecordData, ResourceRecord } from './rdata.ts'

/**
 * Undefined for anything that is not one whole, well-formed message. An SVCB or HTTPS record that is malformed in
 * itself stays, as octets: rejecting its RRset is the client's part (RFC 9460 §2.2, §4.3).
 */
export function parseMessage(wire: Uint8Array): Message | undefined {
  const view = MessageView.over(wire)
  if (!view || view.messageEnd !== wire.length) return undefined
  const packet = Packet.parse(Buffer.from(wire.buffer, wire.byteOffset, wire.byteLength))
  if (packet.errors.length > 0) return undefined
  const { edns } = view
  return {
    id: view.id,
    isResponse: view.isResponse,
    opcode: view.opcode,
    authoritative: view.authoritative,
    truncated: view.truncated,
    recursionDesired: view.recursionDesired,
    recursionAvailable: view.recursionAvailable,
    authenticData: view.authenticData,
    checkingDisabled: view.checkingDisabled,
    rcode: ((edns?.extendedRcode ?? 0) << 4) | view.rcode,
    questions: packet.questions.map(({ name, type, class: of }) => ({ name, type, class: of })),
    answers: packet.answers.map(plainRecord),
    authorities: packet.authorities.map(plainRecord),
    additionals: packet.additionals.filter(({ type }) => type !== TYPE.OPT).map(plainRecord),
    ...(edns && {
      edns: {
        udpSize: edns.udpSize,
        version: edns.version,
        dnssecOk: edns.dnssecOk,
        options: [...ednsOptions(edns)].map(({ code, data }) => ({ code, data: Uint8Array.from(data) })),
      },
    }),
  }
}

/** What is left out is zero, false or empty. Throws on names, numbers or data that no message can hold. */
export function buildMessage(message: Partial<Message>): Uint8Array {
  const { opcode = OPCODE.QUERY, rcode = RCODE.NOERROR, edns } = message
  if (rcode > 0x0f && !edns) throw new TypeError(`rcode ${rcode} needs an OPT record (RFC 6891 §6.1.3)`)
  const bit = (value: boolean | undefined): 0 | 1 => (value === true ? 1 : 0)
  const header = {
    id: message.id ?? 0,
    qr: bit(message.isResponse),
    opcode,
    aa: bit(message.authoritative),
    tc: bit(message.truncated),
    rd: bit(message.recursionDesired),
    ra: bit(message.recursionAvailable),
    ad: bit(message.authenticData),
    cd: bit(message.checkingDisabled),
    rcode: rcode & 0x0f,
  }
  const packet = Object.assign(new Packet(), {
    header: new Packet.Header(header),
    questions: message.questions ?? [],
    answers: (message.answers ?? []).map(checkedRecord),
    authorities: (message.authorities ?? []).map(checkedRecord),
    additionals: (message.additionals ?? []).map(checkedRecord),
  })
  const wire: Uint8Array = packet.toBuffer()
  return edns ? withOpt(wire, { ...edns, extendedRcode: rcode >> 4 }, edns.version) : Uint8Array.from(wire)
}

/** One line as in a zone file: `www.example. 300 IN A 192.0.2.1`. */
export function recordText(record: ResourceRecord): string {
  const { name, ttl, type, data } = record
  return `${absolute(name)} ${ttl} ${className(record.class)} ${typeName(type)} ${rdataText(type, data)}`.trimEnd()
}

function withOpt(wire: Uint8Array, fields: OptFields, version: number): Uint8Array {
  const length = wire.length + optBytes(fields, wire.length)
  if (length > MESSAGE_BYTES_MAX) throw new RangeError('a DNS message has at most 65535 octets')
  const whole = new Uint8Array(length)
  whole.set(wire)
  putUint16(whole, 10, uint16(whole, 10) + 1)
  writeOpt(whole, wire.length, fields)
  whole[wire.length + 6] = version
  return whole
}

/** dns2 would write a record of unknown type without its data, and say nothing. */
function checkedRecord(record: ResourceRecord): ResourceRecord {
  if (RECORD_CODECS.has(record.type)) return record
  if (!(record.data instanceof Uint8Array)) throw new TypeError(`${typeName(record.type)} data has to be octets`)
  return { ...record, data: Buffer.from(record.data) }
}

/** dns2's own types know nothing of the data our codecs leave in its records. */
function plainRecord(resource: { readonly type: number; readonly data?: unknown }): ResourceRecord {
  if (!isRecord(resource)) throw new TypeError(`a ${typeName(resource.type)} record was left without data`)
  const { name, type, class: of, ttl, data } = resource
  return { name, type, class: of, ttl, data }
}

function isRecord(resource: { readonly type: number; readonly data?: unknown }): resource is ResourceRecord {
  return resource.data !== undefined
}

/** How dns2 calls a codec: `this` of decode is the record so far. */
interface Dns2Record {
  readonly type: number
  readonly class: number
  data?: RecordData
}

function dns2Codec(type: number): object {
  const codec = RECORD_CODECS.get(type)
  return {
    decode(this: Dns2Record, reader: OctetReader, length: number): Dns2Record {
      const start = reader.take(length)
      const data = readData(this, reader.buffer, start, start + length)
      reader.spoiled = data === undefined
      if (data === undefined) throw new Error('malformed RDATA')
      this.data = data
      return this
    },
    encode(record: Dns2Record & { readonly data: RecordData }, writer: OctetWriter): void {
      writeRdata(writer, record.type, record.data)
    },
  }

  function readData(record: Dns2Record, wire: Uint8Array, start: number, end: number): RecordData | undefined {
    // An update says "any data" or "no such data" with none at all (RFC 2136 §2.4, §2.5).
    if (start === end && (record.class === CLASS.ANY || record.class === CLASS.NONE)) return new Uint8Array(0)
    const data = codec?.read(wire, start, end)
    if (data) return data
    const isOpaque = !codec || type === TYPE.SVCB || type === TYPE.HTTPS
    return isOpaque ? expandRdata(wire, type, start, end) : undefined
  }
}

/** Puts our codecs into dns2's tables, and takes out its own: a type without a codec of ours is octets. */
function plugIn(): void {
  const types = [...RECORD_CODECS.keys(), ...EXPANDED_TYPES]
  for (const type of Object.keys(Packet.TYPE_NAME)) delete Packet.TYPE_NAME[Number(type)]
  for (const type of types) {
    Packet.TYPE_NAME[type] = typeName(type)
    Object.assign(Packet.Resource, { [typeName(type)]: dns2Codec(type) })
  }
  Object.assign(Packet, { Reader: OctetReader, Writer: OctetWriter })
  Object.assign(Packet.Name, {
    decode(reader: OctetReader): string {
      const start = reader.offset / 8
      const name = reader.spoiled ? undefined : readName(reader.buffer, start)
      if (name === undefined) throw new Error('malformed name')
      reader.offset = skipName(reader.buffer, start) * 8
      return name
    },
    encode(name: string, writer: OctetWriter): void {
      writer.name(name, 'compressed')
    },
  })
}
plugIn()
