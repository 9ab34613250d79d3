import { TYPE, typeName, typeNumber } from './codes.ts'
import { isUnder } from './name.ts'
import { absoluteName, readRdata } from './zone-rdata.ts'
import { numberOf } from './zone-text-values.ts'
import { type Entry, entriesOf, Misread, type Token } from './zone-tokens.ts'

/** Records in the text form of zone files (RFC 1035 §5). */

export interface ZoneRecord {
  /** Absolute, without a trailing dot. */
  readonly name: string
  readonly type: number
  readonly ttl: number
  /** Names inside are not compressed. */
  readonly rdata: Uint8Array
  /** Where it stands, counted from 1. */
  readonly line: number
}

export interface ZoneProblem {
  /** Both counted from 1. */
  readonly line: number
  readonly column: number
  readonly problem: string
  readonly hint?: string
}

/** A home has some dozens of names; a zone of this size takes about 10 MB. */
const RECORDS_MAX = 10_000
/** Nobody reads on. */
const PROBLEMS_MAX = 100

/**
 * Every record of the text, and everything that is none. Relative names, `@`, quotes, escapes, brackets, comments, $ORIGIN,
 * $TTL and data of any type (RFC 3597 §5) are read; $INCLUDE is not, since text has no place other text could be beside.
 */
export function parseZoneText(
  text: string,
  zone: { readonly name: string; readonly ttl: number },
): { readonly records: readonly ZoneRecord[]; readonly problems: readonly ZoneProblem[] } {
  const state: State = { zone: zone.name, origin: zone.name, ttl: zone.ttl, owner: undefined }
  const records: ZoneRecord[] = []
  const problems: ZoneProblem[] = []
  const complain = ({ at: { line, column }, message, hint }: Misread): void => {
    problems.push({ line, column, problem: message, ...(hint === undefined ? {} : { hint }) })
  }
  for (const entry of entriesOf(text)) {
    if (problems.length >= PROBLEMS_MAX) break
    try {
      if (entry instanceof Misread) throw entry
      const record = readEntry(entry, state)
      if (!record) continue
      if (records.length >= RECORDS_MAX) {
        complain(new Misread(entry.tokens[0]!, `more than ${RECORDS_MAX} records`))
        break
      }
      records.push(record)
    } catch (error) {
      if (!(error instanceof Misread)) throw error
      complain(error)
    }
  }
  return { records, problems }
}

/** What earlier entries leave to later ones. */
interface State {
  readonly zone: string
  origin: string
  ttl: number
  owner: string | undefined
}

/** Undefined for a directive. */
function readEntry({ tokens, startsBlank }: Entry, state: State): ZoneRecord | undefined {
  const first = tokens[0]!
  if (!startsBlank && !first.isQuoted && first.text.startsWith('$')) return readDirective(tokens, state)
  if (!startsBlank) state.owner = ownerOf(first, state)
  if (state.owner === undefined) throw new Misread(first, 'a record without a name before it', FORM)
  let at = startsBlank ? 0 : 1
  let ttl: number | undefined
  // TTL and class, each at most once and in either order.
  for (let hasClass = false; at < tokens.length; at++) {
    const { text } = tokens[at]!
    const isClass = /^(?:IN|CH|HS|CLASS\d+)$/i.test(text)
    const seconds = numberOf(text, 'time')
    if (isClass && !hasClass) hasClass = isInternet(tokens[at]!)
    else if (seconds !== undefined && ttl === undefined) ttl = seconds
    else break
  }
  const type = typeOf(tokens[at], tokens.at(-1)!)
  const rdata = readRdata(type, tokens.slice(at + 1), tokens[at]!, state.origin)
  return { name: state.owner, type, ttl: ttl ?? state.ttl, rdata, line: first.line }
}
const FORM = 'write NAME [TTL] TYPE DATA, such as nas 300 A 192.168.1.10'

function ownerOf(token: Token, { origin, zone }: State): string {
  const owner = absoluteName(token, origin)
  if (isUnder(owner, zone)) return owner
  throw new Misread(
    token,
    `${owner} is not inside the zone ${zone}`,
    'leave the final dot away to mean a name inside it',
  )
}

function isInternet(token: Token): true {
  if (/^(?:IN|CLASS1)$/i.test(token.text)) return true
  throw new Misread(token, `the class ${token.text} is not served`, 'leave it away, or write IN')
}

function typeOf(token: Token | undefined, last: Token): number {
  if (!token) throw new Misread(last, 'the type is missing after this', FORM)
  const type = typeNumber(token.text)
  if (type === undefined || token.isQuoted) throw new Misread(token, `"${token.text}" is no record type`, FORM)
  // Types that only questions or the message itself have (RFC 6895 §3.1).
  if (type === 0 || type === TYPE.OPT || (type >= 128 && type <= 255))
    throw new Misread(token, `${typeName(type)} is no type of data`)
  return type
}

function readDirective(tokens: readonly Token[], state: State): undefined {
  const [directive, value, more] = [tokens[0]!, tokens[1], tokens[2]]
  const name = directive.text.toUpperCase()
  if (name !== '$ORIGIN' && name !== '$TTL')
    throw new Misread(directive, `${directive.text} is not read here`, 'write the records themselves')
  if (!value || more) throw new Misread(more ?? directive, `${name} has one value`)
  if (name === '$ORIGIN') state.origin = absoluteName(value, state.origin)
  else {
    const ttl = numberOf(value.text, 'time')
    if (ttl === undefined) throw new Misread(value, `"${value.text}" is no time`, 'seconds, or a time such as 1h30m')
    state.ttl = ttl
  }
  return undefined
}
