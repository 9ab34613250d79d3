import { Fault } from '../core/fault.ts'
import { isDnsName } from '../pki/general-names.ts'

/** As many as names fit into one certificate. */
const ENTRIES_MAX = 100

/**
 * The `cname-map` of a delegation (RFC 9115 §2.3.1.3): delegated name → name of the delegate, both with a dot at the end.
 * Throws CONFIG_INVALID with every problem.
 */
export function checkedCnameMap(map: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const names = Object.entries(map).flat()
  const wrong = names.filter((name) => !name.endsWith('.') || !isDnsName(name.slice(0, -1)))
  const problems = wrong.map((name) => `${JSON.stringify(name)} is not a full DNS name with a dot at its end`)
  if (names.length > 2 * ENTRIES_MAX) problems.push(`there are more than ${ENTRIES_MAX} entries`)
  if (problems.length === 0) return map
  throw new Fault('CONFIG_INVALID', `the cname-map is wrong: ${problems.join('; ')}`, { problems })
}
