import { Fault } from '../core/fault.ts'
import { asciiOf, type DerReader, implicitTag, NotDer } from './der-reader.ts'
import { der, sequence } from './der-writer.ts'
import { ipToBytes, ipToText } from './ip-address.ts'

/** What a subjectAltName says (RFC 5280 §4.2.1.6). */
export interface GeneralNames {
  readonly dnsNames: readonly string[]
  readonly emails: readonly string[]
  readonly uris: readonly string[]
  /** As text, IPv6 as in RFC 5952. */
  readonly ipAddresses: readonly string[]
  /** How many names there are of the kinds above not listed: otherName, directoryName, registeredID … */
  readonly otherNames: number
}

/** Throws NotDer. Names are text as found, not checked to be sensible. */
export function parseGeneralNames(names: DerReader): GeneralNames {
  const found = { dnsNames: [] as string[], emails: [] as string[], uris: [] as string[], ipAddresses: [] as string[] }
  let otherNames = 0
  for (const { tag, content } of names.rest()) {
    if (tag === NAME_TAG.email) found.emails.push(asciiOf(content))
    else if (tag === NAME_TAG.dns) found.dnsNames.push(asciiOf(content))
    else if (tag === NAME_TAG.uri) found.uris.push(asciiOf(content))
    else if (tag === NAME_TAG.ip) found.ipAddresses.push(addressOf(content))
    else otherNames++
  }
  return { ...found, otherNames }
}

/** Refuses every name that could mean something else to another reader. */
export function buildGeneralNames(names: Partial<Omit<GeneralNames, 'otherNames'>>): Uint8Array {
  const { dnsNames = [], emails = [], uris = [], ipAddresses = [] } = names
  return sequence(
    ...dnsNames.map((name) => der(NAME_TAG.dns, ascii(name, isDnsName(name), 'a DNS name'))),
    ...emails.map((email) => der(NAME_TAG.email, ascii(email, isEmail(email), 'an e-mail address'))),
    ...uris.map((uri) => der(NAME_TAG.uri, ascii(uri, isUri(uri), 'a URI'))),
    ...ipAddresses.map((address) => {
      const bytes = ipToBytes(address)
      return der(NAME_TAG.ip, bytes ?? ascii(address, false, 'an IP address'))
    }),
  )
}

/** Context tags of GeneralName. */
export const NAME_TAG = { email: implicitTag(1), dns: implicitTag(2), uri: implicitTag(6), ip: implicitTag(7) } as const

/**
 * A name a certificate can hold: A-labels without a dot at the end, `*` at most as the whole first label. Underscores
 * are let through, because zones use them; a last label of digits is not, because it would read as an IPv4 address.
 */
export function isDnsName(name: string): boolean {
  const labels = name.replace(/^\*\./, '').split('.')
  return name.length <= NAME_LENGTH_MAX && labels.every((label) => LABEL.test(label)) && !/^\d+$/.test(labels.at(-1)!)
}
/** 255 bytes on the wire (RFC 1035 §2.3.4) are 253 characters. */
const NAME_LENGTH_MAX = 253
const LABEL = /^[a-z\d_]([a-z\d_-]{0,61}[a-z\d_])?$/i

/** RFC 5280 §4.2.1.6 asks for `Local-part@Domain`; quoted local parts are refused. */
export function isEmail(email: string): boolean {
  const [, local, domain] = /^([^@]+)@([^@]+)$/.exec(email) ?? []
  return (
    local !== undefined && /^[\w.!#$%&'*+/=?^`{|}~-]{1,64}$/.test(local) && isDnsName(domain!) && domain![0] !== '*'
  )
}

/** RFC 5280 §4.2.1.6: absolute, with a scheme and something after it. */
export function isUri(uri: string): boolean {
  return /^[a-z][a-z\d+.-]*:[!-~]+$/i.test(uri) && URL.canParse(uri)
}

/** As names are compared: lower case, without the dot at the end (RFC 4343). */
export const normalName = (name: string): string => name.toLowerCase().replace(/\.$/, '')

function ascii(value: string, isGood: boolean, kind: string): Uint8Array {
  if (!isGood) throw new Fault('CONFIG_INVALID', `${JSON.stringify(value)} is not ${kind} a certificate can hold`)
  return Buffer.from(value, 'latin1')
}

function addressOf(content: Uint8Array): string {
  const address = ipToText(content)
  if (address === undefined) throw new NotDer(`an IP address of ${content.length} bytes`)
  return address
}
