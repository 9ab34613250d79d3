import { isIP, isIPv4, isIPv6 } from 'node:net'
import { domainToASCII } from 'node:url'

/** How the values of a settings file are written. Each reader gives the typed value, or refuses it with words for a person. */

/** Throws what `refuse` throws when the value does not fit. */
export type Reader<T> = (value: unknown) => T

/** Ends the reading of a value: what is wrong, and perhaps what to do. */
export function refuse(problem: string, hint?: string): never {
  throw new Refusal(problem, hint)
}

export class Refusal extends Error {
  readonly hint: string | undefined

  constructor(problem: string, hint: string | undefined) {
    super(problem)
    this.hint = hint
  }
}

export interface HostPort {
  /** IPv4, IPv6 without brackets, or a name. */
  readonly host: string
  /** 0 lets the system choose. */
  readonly port: number
}

/** What a person sees of a value that does not fit. */
export function shown(value: unknown): string {
  if (value === undefined || value === null) return 'nothing'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object') return 'a section'
  const text = typeof value === 'number' ? String(value) : JSON.stringify(value)
  return text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}…` : text
}
const SHOWN_MAX = 60

const DURATION_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 7 * 86_400_000,
}
const SIZE_BYTES: Readonly<Record<string, number>> = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 }

/** `250ms`, `30s`, `5m`, `1h`, `7d`, `2w` → milliseconds. */
export const readDuration: Reader<number> = quantity('a duration such as 30s', DURATION_MS)

/** `512B`, `64KiB`, `16MiB`, `1GiB` → bytes. */
export const readByteSize: Reader<number> = quantity('a size such as 16MiB', SIZE_BYTES)

function quantity(expected: string, units: Readonly<Record<string, number>>): Reader<number> {
  return (value) => {
    const [, digits, unit] = /^(\d{1,15})([A-Za-z]+)$/.exec(typeof value === 'string' ? value : '') ?? []
    const factor = unit !== undefined && Object.hasOwn(units, unit) ? units[unit] : undefined
    const amount = Number(digits) * (factor ?? Number.NaN)
    if (Number.isSafeInteger(amount)) return amount
    const [known, last] = [Object.keys(units).slice(0, -1).join(', '), Object.keys(units).at(-1)]
    return refuse(
      `expected ${expected}, got ${shown(value)}`,
      `a whole number and one of ${known} or ${last}, no space`,
    )
  }
}

/** `127.0.0.1:53`, `[::1]:853`, `resolver.example:853`; the port may be left out when there is a default. */
export function readHostPort(defaultPort?: number): Reader<HostPort> {
  const expected = `an address such as 127.0.0.1:${defaultPort ?? 5453}`
  return (value) => {
    const text = typeof value === 'string' ? value : ''
    if (isIPv6(text))
      return refuse(`the address ${shown(text)} has no brackets`, `write "[${text}]:${defaultPort ?? 53}"`)
    const [, bracketed, plain = '', digits] = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d{1,5}))?$/.exec(text) ?? []
    const host = bracketed ?? plain.toLowerCase()
    const isHost = bracketed === undefined ? isIPv4(plain) || isHostName(host) : isIPv6(bracketed)
    if (!isHost) return refuse(`expected ${expected}, got ${shown(value)}`)
    const port = digits === undefined ? defaultPort : Number(digits)
    if (port === undefined) return refuse(`the port is missing after ${shown(value)}`, `expected ${expected}`)
    return port < 65_536 ? { host, port } : refuse(`${port} is no port`, 'ports end at 65535')
  }
}

/** Lower-case A-labels without the final dot; names in other scripts are converted (RFC 5891). */
export function readDomainName(labelsMin: number): Reader<string> {
  return (value) => {
    const text = typeof value === 'string' ? value.replace(/\.$/, '').toLowerCase() : ''
    if (isIP(text)) return refuse(`expected a domain name, got the address ${text}`)
    const name = /[^\0-\x7f]/.test(text) ? domainToASCII(text) : text
    if (!isHostName(name)) return refuse(`expected a domain name such as cpe.example.net, got ${shown(value)}`)
    if (name.split('.').length >= labelsMin) return name
    return refuse(`expected a full domain name such as ${name}.example.net, got ${shown(value)}`)
  }
}

/** RFC 1123 §2.1: letters, digits and inner hyphens; a last label of digits would be an address. */
function isHostName(name: string): boolean {
  const labels = name.split('.')
  return (
    name.length <= NAME_CHARACTERS_MAX &&
    labels.every((label) => /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(label)) &&
    !/^\d+$/.test(labels.at(-1) ?? '')
  )
}
const NAME_CHARACTERS_MAX = 253

/** Kept as it was written: a URL may be compared byte for byte later. */
export const readHttpsUrl: Reader<string> = (value) => {
  const expected = 'expected a URL such as https://acme.example/directory'
  if (typeof value !== 'string' || !URL.canParse(value)) return refuse(`${expected}, got ${shown(value)}`)
  const url = new URL(value)
  if (url.username || url.password) return refuse('a URL must not contain a user name or password')
  if (url.protocol !== 'https:') return refuse(`${expected}, got ${shown(value)}`, 'only https is accepted here')
  return url.hash ? refuse(`the URL ${shown(value)} must not contain "#"`) : value
}

export const readFilePath: Reader<string> = (value) => {
  if (typeof value !== 'string' || value === '' || value.includes('\0'))
    return refuse(`expected the path of a file, got ${shown(value)}`)
  return value.startsWith('~') ? refuse(`"~" is not expanded in ${shown(value)}`, 'write the whole path') : value
}

export const readFlag: Reader<boolean> = (value) => {
  return typeof value === 'boolean' ? value : refuse(`expected true or false, got ${shown(value)}`)
}

export function readInteger(min: number, max: number): Reader<number> {
  return (value) => {
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max) return value
    return refuse(`expected a whole number from ${min} to ${max}, got ${shown(value)}`)
  }
}

export function readChoice<const T extends string>(values: readonly T[]): Reader<T> {
  return (value) => {
    const chosen = values.find((candidate) => candidate === value)
    if (chosen !== undefined) return chosen
    const near = typeof value === 'string' ? closest(value, values) : undefined
    return refuse(
      `expected ${values.join(', ').replace(/, ([^,]*)$/, ' or $1')}, got ${shown(value)}`,
      didYouMean(near),
    )
  }
}

export function didYouMean(name: string | undefined): string | undefined {
  return name === undefined ? undefined : `did you mean \`${name}\`?`
}

/** The known word that a person may have meant: at most one slip in three letters. */
export function closest(word: string, known: readonly string[]): string | undefined {
  if (word.length > WORD_MAX) return undefined
  const ranked = known
    .map((candidate) => ({ candidate, slips: slipsBetween(word.toLowerCase(), candidate.toLowerCase()) }))
    .sort((a, b) => a.slips - b.slips)[0]
  return ranked && ranked.slips <= Math.max(1, Math.floor(word.length / 3)) ? ranked.candidate : undefined
}
/** Keeps the quadratic comparison cheap. */
const WORD_MAX = 64

/** Edit distance where swapping two neighbours is one slip. */
function slipsBetween(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let row = 1; row <= a.length; row++) {
    const current = [row]
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1]
      let slips = Math.min(last[column]! + 1, current[column - 1]! + 1, last[column - 1]! + (same ? 0 : 1))
      const swapped = a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]
      if (swapped && row > 1 && column > 1) slips = Math.min(slips, beforeLast[column - 2]! + 1)
      current.push(slips)
    }
    beforeLast = last
    last = current
  }
  return last[b.length]!
}
