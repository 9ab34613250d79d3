import { concatBytes } from '../core/bytes.ts'
import { nameToWire, readName, skipPlainName } from './name.ts'
import {
  escaped,
  invalid,
  keyName,
  PARAM_CODECS,
  PARAM_FIELDS,
  type ParamCodec,
  type ParamField,
  type ParamValues,
  type SvcbParam,
  type SvcbParams,
} from './svcb-params.ts'
import { putUint16, uint16 } from './wire.ts'

/** RDATA of SVCB and HTTPS records (RFC 9460 §2.2). */
export interface SvcbRecord {
  /** 0 is AliasMode: parameters are then to be ignored (RFC 9460 §2.4.2). */
  readonly priority: number
  /** `.` is the owner itself (RFC 9460 §2.5). */
  readonly target: string
  readonly params: SvcbParams
}

export interface PublishOptions {
  /** Addresses in the record itself. DNR forbids them (RFC 9463 §3.1.5), DDR has no use for them. */
  readonly allowHints?: boolean
}

/** RDATA of a record we publish for the scheme `dns` (RFC 9461). Throws CONFIG_INVALID on what no client could use. */
export function buildSvcb(record: SvcbRecord, options: PublishOptions = {}): Uint8Array {
  if (record.priority === 0) throw invalid('priority 0 would make it an alias')
  checkPublishable(record.params, options)
  return encodeSvcb(record)
}

/** SvcParams we publish for the scheme `dns`; the same bytes serve SVCB records and DNR (RFC 9463 §3.1.5). */
export function buildSvcbParams(params: SvcbParams, options: PublishOptions = {}): Uint8Array {
  checkPublishable(params, options)
  return encodeSvcbParams(params)
}

/** RDATA of any well-formed record, whatever it says. The target is never compressed (RFC 9460 §2.2). */
export function encodeSvcb(record: SvcbRecord): Uint8Array {
  const target = nameToWire(record.target)
  if (!target) throw invalid(`${record.target} is no domain name`)
  if (!Number.isInteger(record.priority) || record.priority < 0 || record.priority > 0xffff) {
    throw invalid(`priority ${record.priority} is not within 0 to 65535`)
  }
  const priority = new Uint8Array(2)
  putUint16(priority, 0, record.priority)
  return concatBytes([priority, target, encodeSvcbParams(record.params)])
}

/** Keys in rising order, none twice (RFC 9460 §2.2). */
export function encodeSvcbParams(params: SvcbParams): Uint8Array {
  const entries = wireParams(params)
  for (const [index, { key, value }] of entries.entries()) {
    if (entries[index + 1]?.key === key) throw invalid(`${keyName(key)} is there twice`)
    if (!Number.isInteger(key) || key < 0 || key >= INVALID_KEY) throw invalid(`${key} is no key`)
    if (value.length > 0xffff) throw invalid(`the value of ${keyName(key)} is too long`)
  }
  const absent = params.mandatory?.find((key) => !entries.some((entry) => entry.key === key))
  if (absent !== undefined) throw invalid(`${keyName(absent)} is mandatory but absent`)
  return concatBytes(
    entries.flatMap(({ key, value }) => {
      const head = new Uint8Array(4)
      putUint16(head, putUint16(head, 0, key), value.length)
      return [head, value]
    }),
  )
}

/** Undefined when the record is malformed; a client must then reject the whole RRset (RFC 9460 §2.2). */
export function parseSvcb(rdata: Uint8Array): SvcbRecord | undefined {
  const targetEnd = rdata.length < 3 ? -1 : skipPlainName(rdata, 2)
  const target = targetEnd < 0 ? undefined : readName(rdata, 2)
  if (target === undefined) return undefined
  const params = parseSvcbParams(rdata.subarray(targetEnd))
  return params && { priority: uint16(rdata, 0), target, params }
}

/** Undefined for keys that do not rise, values of a wrong form, octets left over, or a mandatory key that is absent. */
export function parseSvcbParams(octets: Uint8Array): SvcbParams | undefined {
  const params: SvcbParams = {}
  const others: SvcbParam[] = []
  const keys = new Set<number>()
  let last = -1
  // Each turn takes at least four octets.
  for (let at = 0; at < octets.length; ) {
    if (at + 4 > octets.length) return undefined
    const key = uint16(octets, at)
    const end = at + 4 + uint16(octets, at + 2)
    if (key <= last || key === INVALID_KEY || end > octets.length) return undefined
    // A copy: the value may outlive the packet. Buffer.slice would not copy.
    const value = Uint8Array.from(octets.subarray(at + 4, end))
    const field = PARAM_FIELDS[key]
    if (field === undefined) others.push({ key, value })
    else {
      const parsed = PARAM_CODECS[field].parse(value)
      if (parsed === undefined) return undefined
      Object.assign(params, { [field]: parsed })
    }
    keys.add(key)
    last = key
    at = end
  }
  if (params.mandatory?.every((key) => keys.has(key)) === false) return undefined
  return others.length > 0 ? { ...params, others } : params
}

/** `1 dns.example. alpn="dot,h2" key65000="x"`: keys in order, values quoted, unknown keys by number (RFC 9460 §2.1). */
export function svcbText(record: SvcbRecord): string {
  const target = record.target === '.' ? '.' : `${record.target}.`
  const params = svcbParamsText(record.params)
  return `${record.priority} ${target}${params === '' ? '' : ` ${params}`}`
}

export function svcbParamsText(params: SvcbParams): string {
  const known = PARAM_FIELDS.flatMap((field, key) => {
    const text = withCodec(field, params, (codec, typed) => codec.text(typed))
    return text === undefined ? [] : [{ key, text }]
  })
  const others = (params.others ?? []).map(({ key, value }) => ({ key, text: escaped(value) }))
  return [...known, ...others]
    .sort((a, b) => a.key - b.key)
    .map(({ key, text }) => (text === '' ? keyName(key) : `${keyName(key)}="${text}"`))
    .join(' ')
}

/** RFC 9460 §14.3.2 reserves it as "invalid key". */
const INVALID_KEY = 0xffff

function checkPublishable(params: SvcbParams, options: PublishOptions): void {
  // The scheme `dns` has no default protocol, so a record without alpn fits nobody (RFC 9461 §4.1).
  if (!params.alpn) throw invalid('alpn is needed')
  const overHttp = params.alpn.filter((id) => id === 'h2' || id === 'h3')
  if (overHttp.length > 0 && params.dohpath === undefined) throw invalid(`${overHttp.join(',')} needs dohpath`)
  if (params.dohpath !== undefined && !DOHPATH.test(params.dohpath)) {
    throw invalid(`dohpath "${params.dohpath}" is not a path with a {?dns} variable`)
  }
  if (!options.allowHints && (params.ipv4hint || params.ipv6hint)) throw invalid('address hints are not published')
}
/** RFC 9461 §5: relative, with the variable `dns`. */
const DOHPATH = /^\/[^{}]*\{[?&](?:[^{}]*,)?dns(?:,[^{}]*)?\}[^{}]*$/

/** All parameters as octets, in order of their keys. */
function wireParams(params: SvcbParams): SvcbParam[] {
  const known = PARAM_FIELDS.flatMap((field, key) => {
    const value = withCodec(field, params, (codec, typed) => codec.build(typed))
    return value === undefined ? [] : [{ key, value }]
  })
  return [...known, ...(params.others ?? [])].sort((a, b) => a.key - b.key)
}

/** Undefined when the parameter is absent. */
function withCodec<Field extends ParamField, Result>(
  field: Field,
  params: SvcbParams,
  use: (codec: ParamCodec<ParamValues[Field]>, value: ParamValues[Field]) => Result,
): Result | undefined {
  const value: ParamValues[Field] | undefined = params[field]
  return value === undefined || value === false ? undefined : use(PARAM_CODECS[field], value)
}
