import { Fault } from '../core/fault.ts'
import { asciiOf, DerReader, type DerValue, NotDer, objectIdOf, TAG } from './der-reader.ts'
import { objectId, sequence, setOf, text } from './der-writer.ts'
import { SUBJECT_FIELD } from './object-ids.ts'

/** Relative distinguished names in the order they are encoded, each a set of one or (seldom) more attributes. */
export type DistinguishedName = readonly (readonly NameAttribute[])[]

export interface NameAttribute {
  readonly oid: string
  readonly value: string
}

/** ub-common-name (RFC 5280 appendix A.1). */
export const COMMON_NAME_LENGTH_MAX = 64

/** RFC 5280 §4.1.2.4. Throws NotDer. */
export function parseName(name: DerReader): DistinguishedName {
  return [...name.rest(TAG.set)].map((set) => {
    const attributes = [...DerReader.inside(set).rest(TAG.sequence)].map(parseAttribute)
    if (attributes.length === 0) throw new NotDer('an empty part in a name')
    return attributes
  })
}

/** Built from values, never by parsing text: a comma or a backslash in a value stays what it is. */
export function buildName(name: DistinguishedName): Uint8Array {
  return sequence(
    ...name.map((set) => setOf(set.map(({ oid, value }) => sequence(objectId(oid), stringValue(oid, value))))),
  )
}

/** For people and logs: `O=Example, CN=Home CA 12ab34cd`. Nobody parses it. */
export function nameText(name: DistinguishedName): string {
  return name.map((set) => set.map(({ oid, value }) => `${label(oid)}=${visible(value)}`).join('+')).join(', ')
}

function parseAttribute(value: DerValue): NameAttribute {
  const attribute = DerReader.inside(value)
  const oid = objectIdOf(attribute.take(TAG.objectId))
  const parsed = { oid, value: stringOf(attribute.take()) }
  attribute.end()
  return parsed
}

/** DirectoryString and its kin (RFC 5280 §4.1.2.4); the fixed-width kinds are left over from the 1990s, in old roots. */
function stringOf({ tag, content }: DerValue): string {
  if (tag === TAG.printableString || tag === TAG.ia5String) return asciiOf(content)
  if (tag === TAG.teletexString) return Buffer.from(content).toString('latin1')
  if (tag === TAG.utf8String || tag === TAG.bmpString) {
    try {
      return tag === TAG.utf8String ? UTF8.decode(content) : UTF16.decode(Buffer.from(content).swap16())
    } catch (cause) {
      throw new NotDer('a name that is not valid Unicode', { cause })
    }
  }
  throw new NotDer('a name that is not text')
}
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const UTF16 = new TextDecoder('utf-16le', { fatal: true, ignoreBOM: true })

/** RFC 5280 appendix A fixes the string type of these; everything else is UTF8String. */
function stringValue(oid: string, value: string): Uint8Array {
  const narrow = NARROW.get(oid)
  if (narrow && !narrow.fits.test(value))
    throw new Fault('CONFIG_INVALID', `${JSON.stringify(value)} does not fit the field ${label(oid)} of a subject`)
  return text(narrow?.tag ?? TAG.utf8String, value)
}
const NARROW = new Map([
  [SUBJECT_FIELD.country as string, { tag: TAG.printableString as number, fits: /^[A-Z]{2}$/i }],
  [SUBJECT_FIELD.emailAddress, { tag: TAG.ia5String, fits: /^[!-~]*$/ }],
])

/** RFC 4514 §3. */
const LABELS: Readonly<Record<string, string>> = {
  [SUBJECT_FIELD.country]: 'C',
  [SUBJECT_FIELD.stateOrProvince]: 'ST',
  [SUBJECT_FIELD.locality]: 'L',
  [SUBJECT_FIELD.organization]: 'O',
  [SUBJECT_FIELD.organizationalUnit]: 'OU',
  [SUBJECT_FIELD.commonName]: 'CN',
  [SUBJECT_FIELD.emailAddress]: 'emailAddress',
}

const label = (oid: string): string => LABELS[oid] ?? oid

/** Separators are escaped, and control characters, so that a name cannot forge a log line. */
function visible(value: string): string {
  const escaped = value.replaceAll(/[,+"\\<>;=]/g, (character) => `\\${character}`)
  return escaped.replaceAll(/\p{C}/gu, (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`)
}
