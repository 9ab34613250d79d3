import { concatBytes, fromHex } from '../core/bytes.ts'
import { Fault } from '../core/fault.ts'
import { addressToBytes } from './address.ts'
import { TYPE, typeName } from './codes.ts'
import { nameToWire, readName, skipPlainName } from './name.ts'
import { RECORD_CODECS } from './rdata.ts'
import { encodeSvcb } from './svcb.ts'
import { svcParamsOf } from './svcb-text.ts'
import { putUint32, uint16 } from './wire.ts'
import { charString, numberOf } from './zone-text-values.ts'
import { Misread, type Token } from './zone-tokens.ts'

/** RDATA from its zone-file text, as octets without compression, so that they mean the same in any message. */
export function readRdata(type: number, tokens: readonly Token[], at: Token, origin: string): Uint8Array {
  const form = FORMS.get(type)
  const words = new Words(tokens, at, origin, form ? `such as ${form.example}` : undefined)
  const isGeneric = tokens[0]?.text === '\\#' && !tokens[0].isQuoted
  if (!form && !isGeneric)
    throw new Misread(tokens[0] ?? at, `there is no text form of ${typeName(type)} here`, 'write it as \\# LENGTH HEX')
  const rdata = isGeneric ? genericData(words) : concatBytes(form!.fields.map((field) => field(words)))
  words.end()
  if (rdata.length > RDATA_BYTES_MAX) throw new Misread(at, `the data is longer than ${RDATA_BYTES_MAX} octets`)
  if (isGeneric && !isWellFormed(type, rdata)) throw new Misread(at, `these octets are no ${typeName(type)} data`)
  return rdata
}
/** RDLENGTH has sixteen bits; a question, an owner and a header have to fit beside it. */
const RDATA_BYTES_MAX = 65_000

/** The absolute name a word stands for, as text without the trailing dot. */
export function absoluteName({ text, line, column, isQuoted }: Token, origin: string): string {
  const hint = /[^\0-\x7f]/.test(text) ? 'write it as an A-label (xn--…)' : 'labels have 1 to 63 octets, a name 255'
  const parent = origin === '.' ? '.' : `.${origin}`
  const full = text === '@' && !isQuoted ? origin : ABSOLUTE.test(text) ? text : text + parent
  const wire = nameToWire(full)
  if (!wire || text === '') throw new Misread({ line, column }, `"${text}" is no domain name`, hint)
  return readName(wire, 0)!
}
/** Ends with a dot that is not escaped. */
const ABSOLUTE = /(?:^|[^\\])(?:\\\\)*\.$/

/** The words after the type, taken one by one. */
class Words {
  readonly origin: string
  readonly #tokens: readonly Token[]
  readonly #type: Token
  readonly #hint: string | undefined
  #taken = 0

  constructor(tokens: readonly Token[], type: Token, origin: string, hint: string | undefined) {
    this.#tokens = tokens
    this.#type = type
    this.origin = origin
    this.#hint = hint
  }

  take(what: string): Token {
    const token = this.#tokens[this.#taken++]
    if (token) return token
    throw new Misread(this.#tokens.at(-1) ?? this.#type, `${what} is missing after this`, this.#hint)
  }
  /** At least one. */
  rest(what: string): readonly Token[] {
    const first = this.take(what)
    const others = this.#tokens.slice(this.#taken)
    this.#taken = this.#tokens.length
    return [first, ...others]
  }
  anyRest(): readonly Token[] {
    return this.#taken < this.#tokens.length ? this.rest('') : []
  }
  end(): void {
    const more = this.#tokens[this.#taken]
    if (more) throw new Misread(more, `"${more.text}" is one value too many`, this.#hint)
  }
  wrong(token: Token, expected: string): Misread {
    return new Misread(token, `expected ${expected}, got "${token.text}"`, this.#hint)
  }
}

type Field = (words: Words) => Uint8Array

const number =
  (bytes: 1 | 2 | 4, what: string): Field =>
  (words) => {
    const token = words.take(what)
    const max = 256 ** bytes - 1
    const value = numberOf(token.text)
    if (value === undefined || value > max) throw words.wrong(token, `${what} from 0 to ${max}`)
    const octets = new Uint8Array(4)
    putUint32(octets, 0, value)
    return octets.subarray(4 - bytes)
  }

const address =
  (bytes: 4 | 16): Field =>
  (words) => {
    const token = words.take('an address')
    const octets = addressToBytes(token.text)
    if (octets?.length !== bytes) throw words.wrong(token, bytes === 4 ? 'an IPv4 address' : 'an IPv6 address')
    return octets
  }

const name: Field = (words) => nameToWire(absoluteName(words.take('a name'), words.origin))!

const oneString = (token: Token): Uint8Array => {
  const octets = charString(token)
  if (octets.length > STRING_BYTES_MAX)
    throw new Misread(token, `the text is longer than ${STRING_BYTES_MAX} octets`, 'write it as several "..." "..."')
  return concatBytes([Uint8Array.of(octets.length), octets])
}
/** RFC 1035 §3.3 */
const STRING_BYTES_MAX = 255

const string: Field = (words) => oneString(words.take('a text'))
const strings: Field = (words) => concatBytes(words.rest('a text').map(oneString))
/** All that is left of the data, without a length (RFC 8659 §4.1.1, RFC 7553 §4.4). */
const longText: Field = (words) => charString(words.take('a value'))

const tag: Field = (words) => {
  const token = words.take('a tag')
  if (!/^[a-zA-Z0-9]{1,255}$/.test(token.text)) throw words.wrong(token, 'a tag of letters and digits')
  return oneString(token)
}

const hexadecimal: Field = (words) => {
  const tokens = words.rest('hexadecimal data')
  const octets = fromHex(tokens.map(({ text }) => text).join(''))
  if (!octets) throw words.wrong(tokens[0]!, 'pairs of hexadecimal digits')
  return octets
}

const base64: Field = (words) => {
  const tokens = words.rest('base64 data')
  const text = tokens.map((token) => token.text).join('')
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text) || text.length % 4 !== 0) throw words.wrong(tokens[0]!, 'base64')
  return Buffer.from(text, 'base64')
}

const service: Field = (words) => {
  const priority = uint16(number(2, 'a priority')(words), 0)
  const target = words.take('a target')
  const params = words.anyRest()
  const record = { priority, target: absoluteName(target, words.origin), params: svcParamsOf(params) }
  try {
    return encodeSvcb(record)
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    throw new Misread(params[0] ?? target, error.message)
  }
}

/** `\# 4 c0000201` (RFC 3597 §5). */
function genericData(words: Words): Uint8Array {
  words.take('\\#')
  const lengthToken = words.take('the length of the data')
  const length = numberOf(lengthToken.text)
  const tokens = words.anyRest()
  const octets = fromHex(tokens.map(({ text }) => text).join(''))
  if (!octets) throw words.wrong(tokens[0] ?? lengthToken, 'pairs of hexadecimal digits')
  if (octets.length !== length)
    throw new Misread(lengthToken, `the length says ${lengthToken.text}, there are ${octets.length} octets`)
  return octets
}

function isWellFormed(type: number, rdata: Uint8Array): boolean {
  const codec = RECORD_CODECS.get(type)
  // A pointer would lead into another message.
  if (ONE_NAME.has(type)) return skipPlainName(rdata, 0) === rdata.length
  return codec === undefined || codec.read(rdata, 0, rdata.length) !== undefined
}
const ONE_NAME: ReadonlySet<number> = new Set([TYPE.NS, TYPE.CNAME, TYPE.PTR, TYPE.DNAME])

interface Form {
  readonly fields: readonly Field[]
  readonly example: string
}

const [u8, u16] = [number(1, 'a number'), number(2, 'a number')]
const seconds: Field = (words) => {
  const token = words.take('a time')
  const value = numberOf(token.text, 'time')
  if (value === undefined) throw words.wrong(token, 'seconds, or a time such as 1h30m')
  const octets = new Uint8Array(4)
  putUint32(octets, 0, value)
  return octets
}
const digest: Form = { fields: [u16, u8, u8, hexadecimal], example: '`DS 60485 13 2 3A5B…`' }
const key: Form = { fields: [u16, u8, u8, base64], example: '`DNSKEY 257 3 13 mdsswUyr3DPW…`' }
const association: Form = { fields: [u8, u8, u8, hexadecimal], example: '`TLSA 3 1 1 0C72AC…`' }
const binding: Form = { fields: [service], example: '`HTTPS 1 . alpn="h2,h3"`' }
const host = (example: string): Form => ({ fields: [name], example })
const texts = (example: string): Form => ({ fields: [strings], example })

/** What follows the type, field by field. What is not here is written as `\# LENGTH HEX`. */
const FORMS: ReadonlyMap<number, Form> = new Map<number, Form>([
  [TYPE.A, { fields: [address(4)], example: '`A 192.168.1.10`' }],
  [TYPE.NS, host('`NS ns.example.`')],
  [TYPE.CNAME, host('`CNAME nas`')],
  [
    TYPE.SOA,
    {
      fields: [name, name, number(4, 'a serial'), seconds, seconds, seconds, seconds],
      example: '`SOA ns.example. admin.example. 1 3600 1200 604800 300`',
    },
  ],
  [TYPE.PTR, host('`PTR nas.home.example.`')],
  [TYPE.HINFO, { fields: [string, string], example: '`HINFO "armv8" "linux"`' }],
  [TYPE.MX, { fields: [u16, name], example: '`MX 10 mail`' }],
  [TYPE.TXT, texts('`TXT "some text"`')],
  [TYPE.RP, { fields: [name, name], example: '`RP admin.example. .`' }],
  [TYPE.AAAA, { fields: [address(16)], example: '`AAAA fd00::10`' }],
  [TYPE.SRV, { fields: [u16, u16, u16, name], example: '`SRV 0 0 80 nas`' }],
  [
    TYPE.NAPTR,
    { fields: [u16, u16, string, string, string, name], example: '`NAPTR 100 10 "u" "E2U+sip" "!^.*$!sip:a@b!" .`' },
  ],
  [TYPE.CERT, { fields: [u16, u16, u8, base64], example: '`CERT 1 0 0 MIIB…`' }],
  [TYPE.DNAME, host('`DNAME other.example.`')],
  [TYPE.DS, digest],
  [TYPE.CDS, digest],
  [TYPE.SSHFP, { fields: [u8, u8, hexadecimal], example: '`SSHFP 4 2 123456789ABC…`' }],
  [TYPE.DNSKEY, key],
  [TYPE.CDNSKEY, key],
  [TYPE.DHCID, { fields: [base64], example: '`DHCID AAIBY2/Au…`' }],
  [TYPE.TLSA, association],
  [TYPE.SMIMEA, association],
  [TYPE.OPENPGPKEY, { fields: [base64], example: '`OPENPGPKEY mQCNA…`' }],
  [TYPE.SVCB, binding],
  [TYPE.HTTPS, binding],
  [TYPE.SPF, texts('`SPF "v=spf1 -all"`')],
  [TYPE.URI, { fields: [u16, u16, longText], example: '`URI 10 1 "https://nas.home.example/"`' }],
  [TYPE.CAA, { fields: [u8, tag, longText], example: '`CAA 0 issue "ca.example"`' }],
  [TYPE.RESINFO, texts('`RESINFO exterr=15-17`')],
])
