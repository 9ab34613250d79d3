import { fromBase64url } from '../core/bytes.ts'
import { addressToBytes } from './address.ts'
import {
  keyName,
  PARAM_FIELDS,
  type ParamField,
  type ParamValues,
  type SvcbParam,
  type SvcbParams,
} from './svcb-params.ts'
import { charString, numberOf } from './zone-text-values.ts'
import { Misread, type Token } from './zone-tokens.ts'

/** SvcParams from their zone-file text: `alpn="h2,h3" port=8443 key65000=x` (RFC 9460 §2.1). */
export function svcParamsOf(tokens: readonly Token[]): SvcbParams {
  const params: Partial<Record<ParamField, unknown>> = {}
  const others: SvcbParam[] = []
  const seen = new Set<number>()
  for (const token of tokens) {
    const equals = token.text.indexOf('=')
    const key = keyOf(token, equals < 0 ? token.text : token.text.slice(0, equals))
    if (seen.has(key)) throw new Misread(token, `${keyName(key)} is there twice`)
    seen.add(key)
    const value = charString({ ...token, text: equals < 0 ? '' : token.text.slice(equals + 1) })
    const field = PARAM_FIELDS[key]
    if (field === undefined || /^key\d/i.test(token.text)) others.push({ key, value })
    else params[field] = READERS[field](token, value)
  }
  return { ...params, ...(others.length > 0 ? { others } : {}) } as SvcbParams
}

function keyOf(token: Token, name: string): number {
  const lower = name.toLowerCase()
  const known = PARAM_FIELDS.findIndex((_, key) => keyName(key) === lower)
  if (known >= 0) return known
  const key = numberOf(/^key(\d{1,5})$/.exec(lower)?.[1] ?? '')
  if (key !== undefined && key < INVALID_KEY) return key
  const names = PARAM_FIELDS.map((_, known) => keyName(known)).join(', ')
  throw new Misread(token, `"${name}" is no parameter`, `${names}, or key0 to key65534`)
}
/** RFC 9460 §14.3.2 */
const INVALID_KEY = 0xffff

const READERS: { readonly [Field in ParamField]: (token: Token, value: Uint8Array) => ParamValues[Field] } = {
  mandatory: (token, value) =>
    listOf(token, value)
      .map((name) => keyOf(token, name))
      .sort((a, b) => a - b),
  alpn: listOf,
  noDefaultAlpn: empty,
  port: (token, value) => {
    const port = numberOf(latin1(value))
    if (port === undefined || port > 0xffff) throw new Misread(token, `"${latin1(value)}" is no port`)
    return port
  },
  ipv4hint: (token, value) => addresses(token, value, 4),
  ech: (token, value) => {
    const octets = fromBase64url(latin1(value).replace(/=+$/, '').replaceAll('+', '-').replaceAll('/', '_'))
    if (!octets || octets.length === 0) throw new Misread(token, 'the value of ech is no base64')
    return octets
  },
  ipv6hint: (token, value) => addresses(token, value, 16),
  dohpath: (_, value) => Buffer.from(value).toString('utf8'),
  ohttp: empty,
}

function empty(token: Token, value: Uint8Array): true {
  if (value.length > 0) throw new Misread(token, 'this parameter has no value')
  return true
}

function addresses(token: Token, value: Uint8Array, bytes: 4 | 16): readonly string[] {
  const list = listOf(token, value)
  const wrong = list.find((address) => addressToBytes(address)?.length !== bytes)
  if (wrong !== undefined) throw new Misread(token, `"${wrong}" is no IPv${bytes === 4 ? 4 : 6} address`)
  return list
}

/** Items between commas; `\,` and `\\` inside one are a second layer of escapes (RFC 9460 App. A.1). */
function listOf(token: Token, value: Uint8Array): readonly string[] {
  const items = ['']
  const text = latin1(value)
  for (let at = 0; at < text.length; at++) {
    if (text[at] === ',') items.push('')
    else items[items.length - 1] += text[at] === '\\' ? (text[++at] ?? '') : text[at]!
  }
  if (items.includes('')) throw new Misread(token, 'a list needs a value between its commas', 'such as alpn="h2,h3"')
  return items
}

function latin1(octets: Uint8Array): string {
  return Buffer.from(octets).toString('latin1')
}
