import { Fault } from '../core/fault.ts'
import type { Certificate } from './certificate.ts'
import { asciiOf, constructedTag, DerReader, type DerValue, NotDer, TAG } from './der-reader.ts'
import { der, sequence } from './der-writer.ts'
import type { Extension } from './extensions.ts'
import { isDnsName, NAME_TAG, normalName } from './general-names.ts'
import { ipToBytes, prefixToBytes } from './ip-address.ts'
import { EXTENSION } from './object-ids.ts'

/** What a local CA may certify. */
export interface NameScope {
  /** Each name and everything below it. */
  readonly dnsNames: readonly string[]
  /** `192.168.0.0/16`, `fd00::/8`. A family without a prefix is excluded as a whole. */
  readonly prefixes: readonly string[]
}

/**
 * Critical (RFC 5280 §4.2.1.10). Names and both address families always appear, permitted or excluded: what is not
 * listed at all would be free, and verifiers differ in what a list for one family means for the other.
 */
export function nameConstraints({ dnsNames, prefixes }: NameScope): Extension {
  const blocks = prefixes.map(prefixBytes)
  const permitted = [
    ...dnsNames.map((name) => der(NAME_TAG.dns, baseName(name))),
    ...blocks.map((block) => der(NAME_TAG.ip, block)),
  ]
  const unused = [IPV4_BLOCK, IPV6_BLOCK].filter((length) => !blocks.some((block) => block.length === length))
  const excluded = [
    ...(dnsNames.length > 0 ? [] : [der(NAME_TAG.dns)]),
    ...unused.map((length) => der(NAME_TAG.ip, new Uint8Array(length))),
  ]
  const value = sequence(...subtrees(PERMITTED, permitted), ...subtrees(EXCLUDED, excluded))
  return { oid: EXTENSION.nameConstraints, critical: true, der: value }
}

/**
 * The first name of an end entity that a CA above it may not certify, with the reason; undefined when there is none.
 * A kind of name that we do not compare is refused as soon as it is constrained (RFC 5280 §4.2.1.10). Throws NotDer.
 */
export function outsideConstraints(constraints: Uint8Array, leaf: Certificate): string | undefined {
  const fields = DerReader.over(constraints, TAG.sequence)
  const permitted = parseSubtrees(fields.maybe(PERMITTED))
  const excluded = parseSubtrees(fields.maybe(EXCLUDED))
  fields.end()
  for (const { tag, text } of namesOf(leaf)) {
    const allowed = permitted.filter((base) => base.tag === tag)
    if (allowed.length > 0 && !allowed.some((base) => contains(base, text)))
      return `"${text}" is not among the names it may certify`
    if (excluded.some((base) => base.tag === tag && touches(base, text)))
      return `"${text}" is among the names it must not certify`
  }
  return undefined
}

const PERMITTED = constructedTag(0)
const EXCLUDED = constructedTag(1)
/** directoryName, a structure, so its tag is constructed. */
const DIRECTORY_NAME = constructedTag(4)

/** Address and mask. */
const IPV4_BLOCK = 8
const IPV6_BLOCK = 32

interface ConstrainedName {
  readonly tag: number
  readonly text: string
}

function namesOf({ dnsNames, ipAddresses, emails, uris, subject }: Certificate): ConstrainedName[] {
  const tagged = (tag: number, texts: readonly string[]): ConstrainedName[] => texts.map((text) => ({ tag, text }))
  return [
    ...tagged(NAME_TAG.dns, dnsNames),
    ...tagged(NAME_TAG.ip, ipAddresses),
    ...tagged(NAME_TAG.email, emails),
    ...tagged(NAME_TAG.uri, uris),
    ...tagged(DIRECTORY_NAME, subject === '' ? [] : [subject]),
  ]
}

function parseSubtrees(value: DerValue | undefined): DerValue[] {
  if (!value) return []
  return [...DerReader.inside(value).rest(TAG.sequence)].map((each) => {
    const subtree = DerReader.inside(each)
    const base = subtree.take()
    // minimum and maximum are not used (RFC 5280 §4.2.1.10).
    subtree.end()
    return base
  })
}

/** True when everything `text` stands for lies within the subtree. */
function contains({ tag, content }: DerValue, text: string): boolean {
  if (tag === NAME_TAG.dns) return isWithin(normalName(text), baseOf(content))
  return tag === NAME_TAG.ip && isInBlock(ipToBytes(text)!, content)
}

/** True when anything `text` stands for may lie within the subtree: a wildcard stands for many names. */
function touches(base: DerValue, text: string): boolean {
  if (base.tag !== NAME_TAG.dns) return base.tag !== NAME_TAG.ip || contains(base, text)
  const name = normalName(text)
  return contains(base, text) || (name.startsWith('*.') && isWithin(baseOf(base.content), name.slice(2)))
}

/** The empty base covers all. One with a leading dot leaves its apex out; RFC 5280 does not define it, verifiers agree. */
const isWithin = (name: string, base: string): boolean =>
  base === '' || name === base || name.endsWith(base.startsWith('.') ? base : `.${base}`)

const baseOf = (content: Uint8Array): string => normalName(asciiOf(content))

function isInBlock(address: Uint8Array, block: Uint8Array): boolean {
  if (block.length !== IPV4_BLOCK && block.length !== IPV6_BLOCK) throw new NotDer('an address block of odd length')
  const half = block.length / 2
  if (address.length !== half) return false
  return address.every((byte, index) => ((byte ^ block[index]!) & block[half + index]!) === 0)
}

function subtrees(tag: number, bases: readonly Uint8Array[]): Uint8Array[] {
  return bases.length === 0 ? [] : [der(tag, ...bases.map((base) => sequence(base)))]
}

function baseName(name: string): Uint8Array {
  const base = normalName(name)
  if (!isDnsName(base) || base.startsWith('*'))
    throw new Fault('CONFIG_INVALID', `${JSON.stringify(name)} is not a name to confine a CA to`)
  return Buffer.from(base, 'latin1')
}

function prefixBytes(prefix: string): Uint8Array {
  const parsed = prefixToBytes(prefix)
  if (!parsed) throw new Fault('CONFIG_INVALID', `${JSON.stringify(prefix)} is not an address prefix`)
  const network = parsed.network.map((byte, index) => byte & parsed.mask[index]!)
  return Buffer.concat([network, parsed.mask])
}
