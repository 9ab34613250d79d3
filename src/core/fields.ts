import { type Field, field } from './settings.ts'
import {
  type HostPort,
  type Reader,
  readByteSize,
  readChoice,
  readDomainName,
  readDuration,
  readFilePath,
  readFlag,
  readHostPort,
  readHttpsUrl,
  readInteger,
  refuse,
  shown,
} from './units.ts'

/** The simple values of a settings file. Defaults and bounds are given as they would be written in the file. */

interface Preset<D> {
  readonly default?: D
}

/** Milliseconds in the program; `250ms`, `30s`, `5m`, `1h`, `7d` in the file, the bounds too. */
export function duration(
  description: string,
  options: Preset<string> & { readonly min?: string; readonly max?: string } = {},
): Field<number> {
  return bounded('duration', description, readDuration, options)
}

/** Bytes in the program; `64KiB`, `16MiB` in the file, the bounds too. */
export function byteSize(
  description: string,
  options: Preset<string> & { readonly min?: string; readonly max?: string } = {},
): Field<number> {
  return bounded('size', description, readByteSize, options)
}

function bounded(
  name: string,
  description: string,
  read: Reader<number>,
  { min, max, default: preset }: Preset<string> & { readonly min?: string; readonly max?: string },
): Field<number> {
  const [least, most] = [min === undefined ? 0 : read(min), max === undefined ? Infinity : read(max)]
  const range = [min && `from ${min}`, max && `up to ${max}`].filter(Boolean).join(' ')
  return field({ type: range ? `${name} ${range}` : name, description, default: preset }, (value) => {
    const amount = read(value)
    return amount >= least && amount <= most ? amount : refuse(`expected a ${name} ${range}, got ${shown(value)}`)
  })
}

export function integer(
  description: string,
  { min, max, default: preset }: Preset<number> & { readonly min: number; readonly max: number },
): Field<number> {
  return field({ type: `whole number from ${min} to ${max}`, description, default: preset }, readInteger(min, max))
}

export function flag(description: string, { default: preset }: Preset<boolean> = {}): Field<boolean> {
  return field({ type: 'true or false', description, default: preset }, readFlag)
}

export function choice<const T extends string>(
  description: string,
  values: readonly T[],
  { default: preset }: Preset<T> = {},
): Field<T> {
  return field({ type: values.join(' | '), description, default: preset }, readChoice(values))
}

export function hostPort(
  description: string,
  { defaultPort, default: preset }: Preset<string> & { readonly defaultPort?: number } = {},
): Field<HostPort> {
  const type = defaultPort === undefined ? 'address:port' : `address, port ${defaultPort} unless given`
  return field({ type, description, default: preset }, readHostPort(defaultPort))
}

export function httpsUrl(description: string, { default: preset }: Preset<string> = {}): Field<string> {
  return field({ type: 'https URL', description, default: preset }, readHttpsUrl)
}

/** `labelsMin: 1` admits names such as `lan`. */
export function domainName(
  description: string,
  { labelsMin = 2, default: preset }: Preset<string> & { readonly labelsMin?: number } = {},
): Field<string> {
  return field({ type: 'domain name', description, default: preset }, readDomainName(labelsMin))
}

export function filePath(description: string, { default: preset }: Preset<string> = {}): Field<string> {
  return field({ type: 'path', description, default: preset }, readFilePath)
}

/** `pattern` must fit the whole text; `expected` says in words what that is. A secret is not shown in problems. */
export function text(description: string, options: Preset<string> & TextRules = {}): Field<string> {
  const { pattern = /^[^\0]+$/, expected = 'text', max = 1024, secret = false, default: preset } = options
  return field({ type: expected, description, default: preset }, (value) => {
    if (typeof value === 'string' && value.length > max) return refuse(`is longer than ${max} characters`)
    if (typeof value === 'string' && pattern.test(value)) return value
    const isBare = typeof value === 'number' || typeof value === 'boolean'
    return refuse(
      `expected ${expected}, got ${secret ? 'something else' : shown(value)}`,
      isBare ? 'put it in quotes' : undefined,
    )
  })
}

interface TextRules {
  readonly pattern?: RegExp
  readonly expected?: string
  /** In characters. */
  readonly max?: number
  readonly secret?: boolean
}
