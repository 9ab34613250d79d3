import { concatBytes } from '../core/bytes.ts'
import { Fault } from '../core/fault.ts'
import { addressText, addressToBytes } from './address.ts'
import { putUint16, uint16 } from './wire.ts'

/** SvcParams by name; every one may be absent. */
export type SvcbParams = Partial<ParamValues>

/** RFC 9460 §7 and §8, RFC 9461 §5, RFC 9540 §4. */
export interface ParamValues {
  readonly mandatory: readonly number[]
  /** Protocol ids are octets, not text: one character per octet (latin1). */
  readonly alpn: readonly string[]
  readonly noDefaultAlpn: boolean
  readonly port: number
  readonly ipv4hint: readonly string[]
  readonly ech: Uint8Array
  readonly ipv6hint: readonly string[]
  /** A relative URI template with a `dns` variable. */
  readonly dohpath: string
  readonly ohttp: boolean
  /** Keys without a field here. They are carried, not understood (RFC 9460 §4.3). */
  readonly others: readonly SvcbParam[]
}

export interface SvcbParam {
  readonly key: number
  readonly value: Uint8Array
}

/** The position is the key number. */
export const PARAM_FIELDS = [
  'mandatory',
  'alpn',
  'noDefaultAlpn',
  'port',
  'ipv4hint',
  'ech',
  'ipv6hint',
  'dohpath',
  'ohttp',
] as const
export type ParamField = (typeof PARAM_FIELDS)[number]

export interface ParamCodec<T> {
  /** In presentation text. */
  readonly name: string
  build(value: T): Uint8Array
  /** Undefined when the value has a wrong form. */
  parse(value: Uint8Array): T | undefined
  /** Presentation text between the quotes; empty for keys without a value. */
  text(value: T): string
}

const flag = (name: string): ParamCodec<boolean> => ({
  name,
  build: () => new Uint8Array(0),
  parse: (value) => (value.length === 0 ? true : undefined),
  text: () => '',
})

/** One or more addresses of one family (RFC 9460 §7.3). */
const hint = (name: string, octets: 4 | 16): ParamCodec<readonly string[]> => ({
  name,
  build: (addresses) => {
    if (addresses.length === 0) throw invalid(`${name} needs an address`)
    return concatBytes(
      addresses.map((text) => {
        const address = addressToBytes(text)
        if (address?.length !== octets) throw invalid(`${name} cannot hold ${text}`)
        return address
      }),
    )
  },
  parse: (value) =>
    value.length > 0 && value.length % octets === 0 ? slices(value, octets).map(addressText) : undefined,
  text: (addresses) => addresses.join(','),
})

export const PARAM_CODECS: { readonly [Field in ParamField]: ParamCodec<ParamValues[Field]> } = {
  mandatory: {
    name: 'mandatory',
    build: (keys) => {
      const sorted = keys.toSorted((a, b) => a - b)
      if (sorted.length === 0) throw invalid('mandatory needs a key')
      if (sorted.includes(0)) throw invalid('mandatory must not name itself')
      if (sorted.some((key, index) => key === sorted[index + 1])) throw invalid('mandatory names a key twice')
      const value = new Uint8Array(sorted.length * 2)
      for (const [index, key] of sorted.entries()) putUint16(value, index * 2, key)
      return value
    },
    parse: (value) => {
      if (value.length === 0 || value.length % 2 !== 0) return undefined
      const keys = slices(value, 2).map((pair) => uint16(pair, 0))
      return keys.every((key, index) => key > (keys[index - 1] ?? 0)) ? keys : undefined
    },
    text: (keys) => keys.map(keyName).join(','),
  },
  alpn: {
    name: 'alpn',
    build: (ids) => {
      if (ids.length === 0) throw invalid('alpn needs a protocol')
      return concatBytes(
        ids.map((id) => {
          const octets = Buffer.from(id, 'latin1')
          if (octets.length === 0 || octets.length > 255) throw invalid(`"${id}" is no protocol id`)
          return Uint8Array.of(octets.length, ...octets)
        }),
      )
    },
    parse: (value) => {
      const ids: string[] = []
      // Each id takes at least two octets.
      for (let at = 0; at < value.length; at += 1 + value[at]!) {
        const end = at + 1 + value[at]!
        if (value[at] === 0 || end > value.length) return undefined
        ids.push(Buffer.from(value.subarray(at + 1, end)).toString('latin1'))
      }
      return ids.length > 0 ? ids : undefined
    },
    // Two layers: a list with `\,` and `\\` inside a character-string with its own escapes (RFC 9460 App. A.1).
    text: (ids) => escaped(Buffer.from(ids.map((id) => id.replaceAll(/[\\,]/g, '\\$&')).join(','), 'latin1')),
  },
  noDefaultAlpn: flag('no-default-alpn'),
  port: {
    name: 'port',
    build: (port) => {
      if (!Number.isInteger(port) || port < 0 || port > 0xffff) throw invalid(`${port} is no port`)
      const value = new Uint8Array(2)
      putUint16(value, 0, port)
      return value
    },
    parse: (value) => (value.length === 2 ? uint16(value, 0) : undefined),
    text: String,
  },
  ipv4hint: hint('ipv4hint', 4),
  ech: {
    name: 'ech',
    build: (config) => config,
    parse: (value) => (value.length > 0 ? value : undefined),
    text: (config) => Buffer.from(config).toString('base64'),
  },
  ipv6hint: hint('ipv6hint', 16),
  dohpath: {
    name: 'dohpath',
    build: (template) => Buffer.from(template, 'utf8'),
    parse: (value) => {
      const text = Buffer.from(value).toString('utf8')
      return Buffer.from(text, 'utf8').equals(value) ? text : undefined
    },
    text: (template) => escaped(Buffer.from(template, 'utf8')),
  },
  ohttp: flag('ohttp'),
}

/** `alpn`, or `key123` for what has no name here. */
export function keyName(key: number): string {
  const field = PARAM_FIELDS[key]
  return field === undefined ? `key${key}` : PARAM_CODECS[field].name
}

/** A character-string between quotes (RFC 9460 App. A). */
export function escaped(octets: Uint8Array): string {
  let text = ''
  for (const octet of octets) {
    if (octet === 0x22 || octet === 0x5c) text += `\\${String.fromCharCode(octet)}`
    else if (octet >= 0x20 && octet < 0x7f) text += String.fromCharCode(octet)
    else text += `\\${String(octet).padStart(3, '0')}`
  }
  return text
}

export function invalid(reason: string): Fault {
  return new Fault('CONFIG_INVALID', `SVCB: ${reason}`)
}

function slices(value: Uint8Array, size: number): Uint8Array[] {
  return Array.from({ length: value.length / size }, (_, index) => value.subarray(index * size, (index + 1) * size))
}
