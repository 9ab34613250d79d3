import { isJsonObject } from '../../json.ts'
import { AcmeProblem, type Subproblem } from '../../problem.ts'

/** As many as any public authority puts into one certificate. */
const IDENTIFIERS_MAX = 100
const NAME_CHARS_MAX = 253
/** Letters, digits, hyphens, two labels or more, the last one no number: IP addresses and ports fall through. */
const DNS_NAME = /^(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+(?!\d+$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/

/** RFC 8555 §7.4: the names of an order, lower case, each once. Every name that will not do gets its own subproblem. */
export function readIdentifiers(value: unknown): readonly string[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > IDENTIFIERS_MAX) {
    throw new AcmeProblem('malformed', `"identifiers" is a list of 1 to ${IDENTIFIERS_MAX} names`)
  }
  const identifiers = value.map(readIdentifier)
  const subproblems = identifiers.flatMap(({ type, value: name }): Subproblem[] => {
    if (type !== 'dns') return [problemOf('unsupportedIdentifier', 'only "dns" identifiers are certified', type, name)]
    if (isDnsName(name)) return []
    return [problemOf('malformed', 'not a fully qualified DNS name without trailing dot', type, name)]
  })
  const [first] = subproblems
  if (first) throw new AcmeProblem(first.type, `${first.identifier?.value}: ${first.detail}`, { subproblems })
  return [...new Set(identifiers.map(({ value: name }) => name))]
}

function readIdentifier(item: unknown): { type: string; value: string } {
  if (!isJsonObject(item) || typeof item['type'] !== 'string' || typeof item['value'] !== 'string') {
    throw new AcmeProblem('malformed', 'an identifier has a "type" and a "value"')
  }
  return { type: item['type'], value: item['value'].toLowerCase() }
}

function isDnsName(name: string): boolean {
  return name.length <= NAME_CHARS_MAX && DNS_NAME.test(name)
}

function problemOf(kind: Subproblem['type'], detail: string, type: string, value: string): Subproblem {
  return { type: kind, detail, identifier: { type, value: value.slice(0, NAME_CHARS_MAX) } }
}
