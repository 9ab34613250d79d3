import { Fault } from '../../core/fault.ts'
import { choice, filePath } from '../../core/fields.ts'
import { field, list, optional, type SettingsOf, section } from '../../core/settings.ts'
import { refuse, shown } from '../../core/units.ts'
import { parseAnchor, ROOT_ANCHORS, type TrustAnchor } from '../../dns/dnssec/anchor.ts'
import { type CanonicalName, canonicalName, ROOT } from '../../dns/dnssec/name.ts'
import { readLines } from '../../store/settings-file.ts'
import type { SettingsFiles } from './values.ts'

/** Two keys each for the root and some private zones. */
const ANCHORS_MAX = 64
const NEGATIVE_MAX = 256

const anchor = field({ type: 'DS or DNSKEY record', description: '' }, (value): TrustAnchor => {
  if (typeof value !== 'string')
    return refuse(`expected a line such as "corp.example DS 12345 13 2 AB12…", got ${shown(value)}`)
  const parsed = parseAnchor(value)
  return typeof parsed === 'string' ? refuse(`${shown(value)} is no trust anchor: ${parsed}`) : parsed
})

/** Names of any letters, `_` included, and the root. */
const zoneName = field({ type: 'domain name', description: '' }, (value): CanonicalName => {
  const name = typeof value === 'string' ? canonicalName(value) : undefined
  return name ?? refuse(`expected a domain name such as corp.example, got ${shown(value)}`)
})

export const DNSSEC_SETTINGS = section(
  'checking the signatures of answers (RFC 4033); needs upstreams that pass them on',
  {
    validate: choice('refuse forged answers', ['off', 'on'], { default: 'off' }),
    'trust-anchors': list(
      'DS or DNSKEY records of zones to believe; those of the root are built in, and given up when this list has some',
      anchor,
      { max: ANCHORS_MAX, default: [] },
    ),
    'trust-anchor-file': optional(filePath('more of them, one a line, as dig, keymgr or IANA print them')),
    'negative-trust-anchors': list('zones at and below which nothing is checked (RFC 7646)', zoneName, {
      max: NEGATIVE_MAX,
      default: [],
    }),
  },
)

export interface DnssecConfig {
  readonly validate: boolean
  readonly anchors: readonly TrustAnchor[]
  readonly negative: readonly CanonicalName[]
}

export async function dnssecConfigOf(
  settings: SettingsOf<typeof DNSSEC_SETTINGS>,
  files: SettingsFiles,
): Promise<DnssecConfig> {
  const file = settings['trust-anchor-file']
  const given = [...settings['trust-anchors'], ...(file === undefined ? [] : await anchorsIn(files.at(file)))]
  const isRootGiven = given.some(({ zone }) => zone === ROOT)
  return {
    validate: settings.validate === 'on',
    anchors: isRootGiven ? given : [...ROOT_ANCHORS.map(builtIn), ...given],
    negative: settings['negative-trust-anchors'],
  }
}

async function anchorsIn(path: string): Promise<readonly TrustAnchor[]> {
  const key = 'dnssec.trust-anchor-file'
  const lines = await readLines(path, key)
  if (lines.length === 0 || lines.length > ANCHORS_MAX)
    throw new Fault('CONFIG_INVALID', `${key}: ${path} must hold 1 to ${ANCHORS_MAX} records, it has ${lines.length}`, {
      key,
      path,
    })
  return lines.map(({ text, line }) => {
    const parsed = parseAnchor(text)
    if (typeof parsed !== 'string') return parsed
    throw new Fault('CONFIG_INVALID', `${key}: ${path}:${line} is no trust anchor: ${parsed}`, { key, path })
  })
}

function builtIn(line: string): TrustAnchor {
  const parsed = parseAnchor(line)
  if (typeof parsed === 'string') throw new Error(parsed)
  return parsed
}
