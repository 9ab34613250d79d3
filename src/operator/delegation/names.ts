import { createHash, randomBytes } from 'node:crypto'

/** 40 random bits: names say nothing about a customer (CT logs publish them) and rarely collide. */
const LABEL_BYTES = 5
const RUN_BYTES = 16
/** RFC 1123 §2.1. A `*` would be a wildcard certificate, which no router needs. */
const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/

/** Six octets, however they are joined; longer hardware addresses and serial numbers of hex digits are caught alike. */
const HARDWARE_ADDRESS = /(?:[0-9a-f]{2}[:.-]?){6,}/i
/** Customer and telephone numbers, serials. A house number or a year is shorter. */
const DIGITS = /\d{6,}/

/** Names one call of `add`, for repeating it. As random as the labels made from it have to be. */
export function newRun(): string {
  return randomBytes(RUN_BYTES).toString('hex')
}

/** The same for every repetition of the call, and unguessable without its run. `*` of the pattern is the random part. */
export function randomLabel(pattern: string, run: string, place: number, attempt: number): string {
  const digest = createHash('sha256').update(`${run}/${place}/${attempt}`).digest('hex')
  return pattern.replace('*', digest.slice(0, 2 * LABEL_BYTES))
}

/** `label` or `label.zone` → the full name in lower case; undefined when it is not one label under the zone. */
export function fullName(text: string, zone: string): string | undefined {
  const name = text.toLowerCase().replace(/\.$/, '')
  const label = name.endsWith(`.${zone}`) ? name.slice(0, -zone.length - 1) : name
  return LABEL.test(label) ? `${label}.${zone}` : undefined
}

/** Why this name must not be published: certificates are in public logs for ever. Undefined when nothing is seen. */
export function personalData(text: string, zone: string): string | undefined {
  const label = text.toLowerCase().replace(`.${zone}`, '')
  if (label.includes('@')) return 'looks like an e-mail address'
  if (HARDWARE_ADDRESS.test(label)) return 'looks like a MAC address or a serial number'
  if (DIGITS.test(label)) return 'has a long number in it, as serial and customer numbers are'
  return undefined
}
