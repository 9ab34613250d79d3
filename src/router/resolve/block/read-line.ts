/** What a line of a block list is. The rest are rules for browsers, or no rules at all. */
export type LineKind = 'rule' | 'comment' | 'unsupported' | 'international' | 'malformed'

export interface LineRule {
  /** Where the name is in the octets; no final dot. */
  nameStart: number
  nameEnd: number
  /** This name alone, not those below it. */
  isExact: boolean
  isException: boolean
}

/**
 * Reads one line, in whichever of these forms it is:
 *
 * - `0.0.0.0 name name`, as in a hosts file: exactly these names
 * - `name`, `*.name`, `.name`: the name and all below it
 * - `||name^`: the same, as ad blockers write it; `@@||name^` is an exception for the name and all below it
 * - `# text`, `! text`: a comment; `#` also ends a line after a blank
 *
 * The modifier `$important` is read over. Other modifiers, patterns and cosmetic rules are not for DNS: unsupported. Names
 * that are not in ASCII are `international`; they would have to be listed as A-labels. `take` is called for each name;
 * the rule it gets is the same object each time. The line is `octets` from `start` to `end`, without its line feed.
 */
export function readLine(octets: Uint8Array, start: number, end: number, take: (rule: LineRule) => void): LineKind {
  let from = start
  let to = end
  while (from < to && isBlank(octets[from]!)) from++
  while (to > from && isBlank(octets[to - 1]!)) to--
  const first = octets[from]
  if (from === to || first === HASH || first === BANG || first === BRACKET) return 'comment'
  if (first === PIPE) return adblock(octets, from, to, false, take)
  if (first === AT) return octets[from + 1] === AT ? adblock(octets, from + 2, to, true, take) : 'unsupported'

  const kind = words(octets, from, withoutComment(octets, from, to), take)
  return kind === 'malformed' && isForBrowsers(octets, from, to) ? 'unsupported' : kind
}

const HASH = 0x23
const BANG = 0x21
const BRACKET = 0x5b
const PIPE = 0x7c
const AT = 0x40
const CARET = 0x5e
const DOLLAR = 0x24
const STAR = 0x2a
const DOT = 0x2e
const COLON = 0x3a
const HYPHEN = 0x2d
const UNDERSCORE = 0x5f
const LESS_THAN = 0x3c
/** What follows the `#` of a rule that hides: `##`, `#@#`, `#?#`, `#$#`, `#%#`. */
const HIDING = Buffer.from('#@?$%')
const PATTERN = Buffer.from('/$*^?=&~|,')
const IMPORTANT = Buffer.from('important')
const NAME_CHARACTERS_MAX = 253
const LABEL_CHARACTERS_MAX = 63

type Meaning = Pick<LineRule, 'isExact' | 'isException'>
const EXACT: Meaning = { isExact: true, isException: false }
const BELOW: Meaning = { isExact: false, isException: false }
const EXCEPTION: Meaning = { isExact: false, isException: true }

const rule: LineRule = { nameStart: 0, nameEnd: 0, isExact: false, isException: false }

function adblock(octets: Uint8Array, start: number, end: number, isException: boolean, take: (rule: LineRule) => void) {
  if (octets[start] !== PIPE || octets[start + 1] !== PIPE) return 'unsupported'
  const nameStart = withoutStar(octets, start + 2, end)
  let nameEnd = nameStart
  while (nameEnd < end && octets[nameEnd] !== CARET) nameEnd++
  // Without `^` the name may go on: `||ads.` is the beginning of very many.
  if (nameEnd === end) return looksInternational(octets, nameStart, end) ? 'international' : 'unsupported'
  let rest = nameEnd + 1
  if (octets[rest] === PIPE && rest < end) rest++
  if (rest < end && !isImportant(octets, rest, end)) return 'unsupported'
  return give(octets, nameStart, nameEnd, isException ? EXCEPTION : BELOW, take, 'unsupported')
}

/** A name alone, or the line of a hosts file. */
function words(octets: Uint8Array, start: number, end: number, take: (rule: LineRule) => void): LineKind {
  const wordEnd = endOfWord(octets, start, end)
  if (wordEnd === end) return plain(octets, start, end, take)
  const address = isAddress(octets, start, wordEnd)
  if (address === 'host') return 'unsupported'
  if (address === 'sink') return hosts(octets, wordEnd, end, take)
  return looksInternational(octets, start, end) ? 'international' : 'malformed'
}

/** What hides parts of a page (`example.com##.ad`), or a pattern for its addresses, which has no blanks. Not a web page itself. */
function isForBrowsers(octets: Uint8Array, start: number, end: number): boolean {
  let isPattern = false
  for (let at = start; at < end; at++) {
    const octet = octets[at]!
    if (octet === HASH && at > start && at + 1 < end && HIDING.includes(octets[at + 1]!)) return true
    if (octet === LESS_THAN || isBlank(octet)) return false
    isPattern ||= PATTERN.includes(octet)
  }
  return isPattern
}

function isImportant(octets: Uint8Array, start: number, end: number): boolean {
  return octets[start] === DOLLAR && IMPORTANT.equals(octets.subarray(start + 1, end))
}

function plain(octets: Uint8Array, start: number, end: number, take: (rule: LineRule) => void): LineKind {
  return give(octets, withoutStar(octets, start, end), end, BELOW, take, 'malformed')
}

function hosts(octets: Uint8Array, start: number, end: number, take: (rule: LineRule) => void): LineKind {
  let kind: LineKind = 'comment'
  for (let at = start; at < end; ) {
    while (at < end && isBlank(octets[at]!)) at++
    const wordEnd = endOfWord(octets, at, end)
    // `localhost`, `broadcasthost` and the like stand in every hosts file and are meant for the host itself.
    if (hasDot(octets, at, wordEnd)) {
      const given = give(octets, at, wordEnd, EXACT, take, 'malformed')
      if (given === 'rule' || kind === 'comment') kind = given
    }
    at = wordEnd
  }
  return kind
}

function give(
  octets: Uint8Array,
  start: number,
  end: number,
  { isExact, isException }: Meaning,
  take: (rule: LineRule) => void,
  otherwise: LineKind,
): LineKind {
  const nameEnd = end > start && octets[end - 1] === DOT ? end - 1 : end
  if (!isName(octets, start, nameEnd)) return looksInternational(octets, start, end) ? 'international' : otherwise
  rule.nameStart = start
  rule.nameEnd = nameEnd
  rule.isExact = isExact
  rule.isException = isException
  take(rule)
  return 'rule'
}

/** Letters, digits, hyphens and underscores between dots; the last label is not a number, or it would be an address. */
function isName(octets: Uint8Array, start: number, end: number): boolean {
  if (end <= start || end - start > NAME_CHARACTERS_MAX) return false
  let labelStart = start
  let hasLetter = false
  for (let at = start; at < end; at++) {
    const octet = octets[at]!
    if (octet === DOT) {
      if (at === labelStart || at - labelStart > LABEL_CHARACTERS_MAX) return false
      labelStart = at + 1
      hasLetter = false
    } else if (isLetter(octet) || octet === HYPHEN || octet === UNDERSCORE) hasLetter = true
    else if (!isDigit(octet)) return false
  }
  return end > labelStart && end - labelStart <= LABEL_CHARACTERS_MAX && hasLetter
}

/** `sink`: the addresses lists use for "nowhere", and those of the host itself. Another one is a real entry for a host. */
function isAddress(octets: Uint8Array, start: number, end: number): 'sink' | 'host' | 'none' {
  let dots = 0
  let colons = 0
  let others = 0
  for (let at = start; at < end; at++) {
    const octet = octets[at]!
    if (octet === DOT) dots++
    else if (octet === COLON) colons++
    else if (!isDigit(octet)) others++
  }
  if (colons < 2 && (dots !== 3 || others > 0 || colons > 0)) return 'none'
  if (startsWith(octets, start, end, LOOPBACK)) return 'sink'
  for (const sink of SINKS) if (sink.length === end - start && startsWith(octets, start, end, sink)) return 'sink'
  return 'host'
}
const LOOPBACK = Buffer.from('127.')
const SINKS = ['0.0.0.0', '255.255.255.255', '::', '::0', '::1', '0:0:0:0:0:0:0:0'].map((text) => Buffer.from(text))

function startsWith(octets: Uint8Array, start: number, end: number, beginning: Uint8Array): boolean {
  if (end - start < beginning.length) return false
  for (let at = 0; at < beginning.length; at++) if (octets[start + at] !== beginning[at]) return false
  return true
}

function hasDot(octets: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (octets[at] === DOT) return true
  return false
}

function withoutStar(octets: Uint8Array, start: number, end: number): number {
  if (start + 1 < end && octets[start] === STAR && octets[start + 1] === DOT) return start + 2
  return start < end && octets[start] === DOT ? start + 1 : start
}

function withoutComment(octets: Uint8Array, start: number, end: number): number {
  for (let at = start + 1; at < end; at++) {
    if (octets[at] !== HASH || !isBlank(octets[at - 1]!)) continue
    let to = at
    while (isBlank(octets[to - 1]!)) to--
    return to
  }
  return end
}

function endOfWord(octets: Uint8Array, start: number, end: number): number {
  let at = start
  while (at < end && !isBlank(octets[at]!)) at++
  return at
}

function looksInternational(octets: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (octets[at]! >= 0x80) return true
  return false
}

function isBlank(octet: number): boolean {
  return octet === 0x20 || octet === 0x09 || octet === 0x0d
}

function isDigit(octet: number): boolean {
  return octet >= 0x30 && octet <= 0x39
}

function isLetter(octet: number): boolean {
  const lower = octet | 0x20
  return lower >= 0x61 && lower <= 0x7a
}
