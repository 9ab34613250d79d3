import { addressText, addressToBytes } from './address.ts'
import { TYPE } from './codes.ts'
import { readName, skipName } from './name.ts'
import { encodeSvcb, parseSvcb, type SvcbRecord, svcbText } from './svcb.ts'
import { escaped } from './svcb-params.ts'
import { uint16, uint32 } from './wire.ts'
import type { NameForm, WireWriter } from './writer.ts'

export interface ResourceRecord {
  /** Presentation text without a trailing dot. */
  readonly name: string
  readonly type: number
  readonly class: number
  readonly ttl: number
  readonly data: RecordData
}

/** RDATA by type. Octets are for every type without a codec here (RFC 3597), and right for any type. */
export type RecordData =
  | AddressData
  | HostData
  | MailExchangeData
  | StringsData
  | AuthorityData
  | ServiceData
  | SvcbRecord
  | CertificationData
  | Uint8Array

/** A, AAAA */
export interface AddressData {
  readonly address: string
}
/** NS, CNAME, PTR, DNAME */
export interface HostData {
  readonly host: string
}
/** MX */
export interface MailExchangeData {
  readonly preference: number
  readonly exchange: string
}
/** TXT, SPF, HINFO, RESINFO: octets, since nothing says they are UTF-8. */
export interface StringsData {
  readonly strings: readonly Uint8Array[]
}
/** SOA */
export interface AuthorityData {
  readonly primary: string
  readonly mailbox: string
  readonly serial: number
  readonly refresh: number
  readonly retry: number
  readonly expire: number
  readonly minimum: number
}
/** SRV */
export interface ServiceData {
  readonly priority: number
  readonly weight: number
  readonly port: number
  readonly target: string
}
/** CAA; one character per octet of the value (latin1). */
export interface CertificationData {
  readonly flags: number
  readonly tag: string
  readonly value: string
}

export interface RecordCodec {
  /** Undefined when the octets from `start` to `end` are not of this type's form. */
  read(wire: Uint8Array, start: number, end: number): RecordData | undefined
  /** Throws when the data belongs to another type. */
  write(writer: WireWriter, data: RecordData): void
  text(data: RecordData): string
}

/** Text for TXT and RESINFO data: strings as UTF-8, cut where one exceeds its 255 octets. */
export function stringsData(...texts: readonly string[]): StringsData {
  return { strings: texts.flatMap((text) => cut(Buffer.from(text, 'utf8'))) }
}

/** Writes RDATA of any type: its codec's, or plain octets. */
export function writeRdata(writer: WireWriter, type: number, data: RecordData): void {
  if (data instanceof Uint8Array) return writer.octets(data)
  const codec = RECORD_CODECS.get(type)
  if (!codec) throw new TypeError(`data of type ${type} has to be octets`)
  codec.write(writer, data)
}

/** Zone-file text of the data; `\# 2 abcd` for what has no text of its own (RFC 3597 §5). */
export function rdataText(type: number, data: RecordData): string {
  if (data instanceof Uint8Array) return `\\# ${data.length} ${Buffer.from(data).toString('hex')}`.trimEnd()
  return RECORD_CODECS.get(type)?.text(data) ?? ''
}

const address = (octets: 4 | 16): RecordCodec =>
  codecOf<AddressData>({
    is: (data): data is AddressData => 'address' in data,
    read: (wire, start, end) =>
      end - start === octets ? { address: addressText(wire.subarray(start, end)) } : undefined,
    write: (writer, data) => {
      const bytes = addressToBytes(data.address)
      if (bytes?.length !== octets) throw new TypeError(`${data.address} is no address of ${octets} octets`)
      writer.octets(bytes)
    },
    text: (data) => data.address,
  })

const host = (form: NameForm): RecordCodec =>
  codecOf<HostData>({
    is: (data): data is HostData => 'host' in data,
    read: (wire, start, end) => {
      const name = wholeName(wire, start, end)
      return name === undefined ? undefined : { host: name }
    },
    write: (writer, data) => writer.name(data.host, form),
    text: (data) => absolute(data.host),
  })

const mailExchange = codecOf<MailExchangeData>({
  is: (data): data is MailExchangeData => 'exchange' in data,
  read: (wire, start, end) => {
    const exchange = end - start > 2 ? wholeName(wire, start + 2, end) : undefined
    return exchange === undefined ? undefined : { preference: uint16(wire, start), exchange }
  },
  write: (writer, data) => {
    writer.uint16(data.preference)
    writer.name(data.exchange, 'compressed')
  },
  text: (data) => `${data.preference} ${absolute(data.exchange)}`,
})

const strings = codecOf<StringsData>({
  is: (data): data is StringsData => 'strings' in data,
  read: (wire, start, end) => {
    const found: Uint8Array[] = []
    // Each string takes at least one octet.
    for (let at = start; at < end; at += 1 + wire[at]!) {
      if (at + 1 + wire[at]! > end) return undefined
      found.push(Uint8Array.from(wire.subarray(at + 1, at + 1 + wire[at]!)))
    }
    return found.length > 0 ? { strings: found } : undefined
  },
  write: (writer, data) => {
    if (data.strings.length === 0) throw new TypeError('text needs at least one string (RFC 1035 §3.3.14)')
    for (const string of data.strings.flatMap(cut)) {
      writer.uint8(string.length)
      writer.octets(string)
    }
  },
  text: (data) => data.strings.map((string) => `"${escaped(string)}"`).join(' '),
})

const authority = codecOf<AuthorityData>({
  is: (data): data is AuthorityData => 'serial' in data,
  read: (wire, start, end) => {
    const mailboxStart = skipName(wire, start)
    const numbers = mailboxStart < 0 ? -1 : skipName(wire, mailboxStart)
    if (numbers < 0 || numbers + 20 !== end) return undefined
    const primary = readName(wire, start)
    const mailbox = readName(wire, mailboxStart)
    if (primary === undefined || mailbox === undefined) return undefined
    const [serial, refresh, retry, expire, minimum] = [0, 4, 8, 12, 16].map((offset) => uint32(wire, numbers + offset))
    return { primary, mailbox, serial: serial!, refresh: refresh!, retry: retry!, expire: expire!, minimum: minimum! }
  },
  write: (writer, data) => {
    writer.name(data.primary, 'compressed')
    writer.name(data.mailbox, 'compressed')
    for (const number of [data.serial, data.refresh, data.retry, data.expire, data.minimum]) writer.uint32(number)
  },
  text: (data) =>
    `${absolute(data.primary)} ${absolute(data.mailbox)} ${data.serial} ${data.refresh} ${data.retry} ${data.expire} ${data.minimum}`,
})

const service = codecOf<ServiceData>({
  is: (data): data is ServiceData => 'weight' in data,
  read: (wire, start, end) => {
    const target = end - start > 6 ? wholeName(wire, start + 6, end) : undefined
    if (target === undefined) return undefined
    return { priority: uint16(wire, start), weight: uint16(wire, start + 2), port: uint16(wire, start + 4), target }
  },
  write: (writer, data) => {
    for (const number of [data.priority, data.weight, data.port]) writer.uint16(number)
    writer.name(data.target, 'plain') // RFC 2782: the target is not compressed
  },
  text: (data) => `${data.priority} ${data.weight} ${data.port} ${absolute(data.target)}`,
})

const svcb = codecOf<SvcbRecord>({
  is: (data): data is SvcbRecord => 'params' in data,
  read: (wire, start, end) => parseSvcb(wire.subarray(start, end)),
  write: (writer, data) => writer.octets(encodeSvcb(data)),
  text: svcbText,
})

const certification = codecOf<CertificationData>({
  is: (data): data is CertificationData => 'tag' in data,
  read: (wire, start, end) => {
    const tagEnd = start + 2 + (wire[start + 1] ?? 0)
    if (end - start < 3 || wire[start + 1] === 0 || tagEnd > end) return undefined
    const octets = Buffer.from(wire.subarray(start, end))
    const tag = octets.toString('latin1', 2, tagEnd - start)
    return { flags: octets[0]!, tag, value: octets.toString('latin1', tagEnd - start) }
  },
  write: (writer, data) => {
    writer.uint8(data.flags)
    writer.uint8(data.tag.length)
    writer.octets(Buffer.from(data.tag + data.value, 'latin1'))
  },
  text: (data) => `${data.flags} ${data.tag} "${escaped(Buffer.from(data.value, 'latin1'))}"`,
})

/** The types with a form of their own. Names in types younger than RFC 1035 are not compressed (RFC 3597 §4). */
export const RECORD_CODECS: ReadonlyMap<number, RecordCodec> = new Map([
  [TYPE.A, address(4)],
  [TYPE.NS, host('compressed')],
  [TYPE.CNAME, host('compressed')],
  [TYPE.SOA, authority],
  [TYPE.PTR, host('compressed')],
  [TYPE.HINFO, strings],
  [TYPE.MX, mailExchange],
  [TYPE.TXT, strings],
  [TYPE.AAAA, address(16)],
  [TYPE.SRV, service],
  [TYPE.DNAME, host('plain')],
  [TYPE.SVCB, svcb],
  [TYPE.HTTPS, svcb],
  [TYPE.SPF, strings],
  [TYPE.CAA, certification],
  [TYPE.RESINFO, strings],
])

type Typed = Exclude<RecordData, Uint8Array>

/** Hides the data's own type behind a check, so that codecs of all types fit in one table. */
function codecOf<Data extends Typed>(codec: {
  is(data: Typed): data is Data
  read(wire: Uint8Array, start: number, end: number): Data | undefined
  write(writer: WireWriter, data: Data): void
  text(data: Data): string
}): RecordCodec {
  const checked = (data: RecordData): Data => {
    if (data instanceof Uint8Array || !codec.is(data)) throw new TypeError('the data belongs to another type')
    return data
  }
  return {
    read: (wire, start, end) => codec.read(wire, start, end),
    write: (writer, data) => codec.write(writer, checked(data)),
    text: (data) => codec.text(checked(data)),
  }
}

/** The name that fills `start` to `end` exactly. */
function wholeName(wire: Uint8Array, start: number, end: number): string | undefined {
  return skipName(wire, start) === end ? readName(wire, start) : undefined
}

export function absolute(name: string): string {
  return name === '.' ? name : `${name}.`
}

/** Character-strings of at most 255 octets (RFC 1035 §3.3). */
function cut(octets: Uint8Array): Uint8Array[] {
  const count = Math.max(1, Math.ceil(octets.length / STRING_BYTES_MAX))
  return Array.from({ length: count }, (_, index) =>
    octets.subarray(index * STRING_BYTES_MAX, (index + 1) * STRING_BYTES_MAX),
  )
}
const STRING_BYTES_MAX = 255
