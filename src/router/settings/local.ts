import { readFile } from 'node:fs/promises'
import { Fault } from '../../core/fault.ts'
import { domainName, filePath, flag, text } from '../../core/fields.ts'
import { checked, field, list, optional, type SettingsOf, section } from '../../core/settings.ts'
import { type Reader, readChoice, readFilePath, refuse, shown } from '../../core/units.ts'
import { zoneFaults } from '../../dns/zone-faults.ts'
import { parseZoneText, type ZoneRecord } from '../../dns/zone-text.ts'
import type { ConfiguredZone } from '../resolve/local/build-tree.ts'
import type { HostFile } from '../resolve/local/host-files.ts'
import { LEASE_FORMATS, type LeaseFormat } from '../resolve/local/leases.ts'
import { HOME_ARPA, isNeverForwarded, isSpecial } from '../resolve/local/special-names.ts'
import type { SettingsFiles } from './values.ts'

const ZONES_MAX = 64
/** In the settings themselves; larger zones have a file. */
const RECORDS_MAX = 1_000
const RECORD_CHARACTERS_MAX = 4_096
const FILES_MAX = 16
const FORWARD_MAX = 128
/** Ten thousand records with long names. */
const ZONE_FILE_CHARACTERS_MAX = 4 * 1024 * 1024
/** Of records that give none. */
const ZONE_TTL_S = 300

const zone = checked(
  section('one zone', {
    name: domainName('its name', { labelsMin: 1 }),
    records: list(
      'records as in a zone file: NAME [TTL] TYPE DATA',
      text('', { expected: 'a record such as "nas 300 A 192.168.1.10"', max: RECORD_CHARACTERS_MAX }),
      { max: RECORDS_MAX, default: [] },
    ),
    file: optional(filePath('zone file with more records')),
    fallthrough: flag('ask upstream for names that are not in it', { default: false }),
  }),
  ({ name, records }, complain) => {
    if (isNeverForwarded(name)) complain(['name'], `${name} is always answered by the router itself`)
    const { read, problems } = inlineRecords(name, records)
    for (const { entry, column, problem, hint } of problems)
      complain(['records', entry], `at character ${column}: ${problem}`, hint)
    for (const { index, problem, hint } of zoneFaults(name, read))
      complain(['records', read[index]!.entry], problem, hint)
  },
)

const leaseFile = field<LeaseFile>(
  {
    type: `path, or { file: path, format: ${LEASE_FORMATS.join(' | ')} }`,
    description: '',
  },
  readLeaseFile,
)

export const LOCAL_SETTINGS = checked(
  section('names this router knows itself', {
    domain: domainName('domain of the hosts of this home, beside home.arpa', { labelsMin: 1, default: HOME_ARPA }),
    hosts: list('files in the form of /etc/hosts, or directories of them; read again when they change', filePath(''), {
      max: FILES_MAX,
      default: [],
    }),
    leases: list('lease files of DHCP servers; read again when they change', leaseFile, {
      max: FILES_MAX,
      default: [],
    }),
    zones: list('zones of your own', zone, { max: ZONES_MAX, default: [] }),
    'special-names': section('names that are otherwise never asked upstream', {
      forward: list('ask upstream for these all the same', domainName('', { labelsMin: 1 }), {
        max: FORWARD_MAX,
        default: [],
      }),
    }),
  }),
  ({ domain, zones, 'special-names': { forward } }, complain) => {
    if (isNeverForwarded(domain)) complain(['domain'], `${domain} is no place for hosts`, 'lan or home.arpa are')
    for (const [index, { name }] of zones.entries())
      if (zones.findIndex((other) => other.name === name) < index)
        complain(['zones', index, 'name'], `the zone ${name} is given twice`, 'put all its records in one')
    for (const [index, name] of forward.entries()) {
      const place = ['special-names', 'forward', index]
      if (isNeverForwarded(name)) complain(place, `${name} is never asked upstream`, 'clients would be led astray')
      else if (!isSpecial(name))
        complain(place, `${name} is no special name`, 'it is asked upstream without being here')
    }
  },
)

export interface LocalConfig {
  readonly domain: string
  readonly zones: readonly ConfiguredZone[]
  readonly hostFiles: readonly HostFile[]
  readonly forward: readonly string[]
}

export async function localConfigOf(
  { domain, hosts, leases, zones, 'special-names': special }: SettingsOf<typeof LOCAL_SETTINGS>,
  files: SettingsFiles,
): Promise<LocalConfig> {
  return {
    domain,
    zones: await Promise.all(zones.map((settings, index) => zoneOf(settings, files, `local.zones.${index}.file`))),
    hostFiles: [
      ...hosts.map((path): HostFile => ({ path: files.at(path), kind: 'hosts file', format: 'auto' })),
      ...leases.map(({ file, format }): HostFile => ({ path: files.at(file), kind: 'lease file', format })),
    ],
    forward: special.forward,
  }
}

interface LeaseFile {
  readonly file: string
  readonly format: LeaseFormat
}

function readLeaseFile(value: unknown): LeaseFile {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return { file: readFilePath(value), format: 'auto' }
  const { file, format = 'auto', ...others } = value as Record<string, unknown>
  const [unknown] = Object.keys(others)
  if (unknown !== undefined) refuse(`unknown key ${shown(unknown)}`, 'known here: file, format')
  if (file === undefined) refuse('file is missing', 'write { file: /tmp/dhcp.leases }')
  const readFormat: Reader<LeaseFormat> = readChoice(LEASE_FORMATS)
  return { file: readFilePath(file), format: readFormat(format) }
}

type ZoneSettings = SettingsOf<typeof zone>

async function zoneOf(
  { name, records, file, fallthrough }: ZoneSettings,
  files: SettingsFiles,
  key: string,
): Promise<ConfiguredZone> {
  const inline = inlineRecords(name, records).read.map((record) => ({ ...record, source: `local zone ${name}` }))
  if (file === undefined) return { name, records: inline, fallthrough }
  const path = files.at(file)
  const inFile = (await fileRecords(name, path, key)).map((record) => ({
    ...record,
    source: `zone file ${path} line ${record.line}`,
  }))
  const all = [...inline, ...inFile]
  const faults = zoneFaults(name, all).map(({ index, problem, hint }) => `${all[index]!.source}: ${problem} (${hint})`)
  if (faults.length > 0) throw new Fault('CONFIG_INVALID', `${key}: ${faults.join('\n')}`, { key, path })
  return { name, records: all, fallthrough }
}

/** Each by itself, so that a problem is told with the place of its entry. */
function inlineRecords(name: string, entries: readonly string[]) {
  const parsed = entries.map((text) => parseZoneText(text, { name, ttl: ZONE_TTL_S }))
  return {
    read: parsed.flatMap(({ records }, entry) => records.map((record) => ({ ...record, entry }))),
    problems: parsed.flatMap(({ problems }, entry) => problems.map((problem) => ({ ...problem, entry }))),
  }
}

async function fileRecords(name: string, path: string, key: string): Promise<readonly ZoneRecord[]> {
  const content = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new Fault('CONFIG_INVALID', `${key}: cannot read ${path}`, { key, path }, error)
  })
  if (content.length > ZONE_FILE_CHARACTERS_MAX)
    throw new Fault('CONFIG_INVALID', `${key}: ${path} is longer than ${ZONE_FILE_CHARACTERS_MAX} characters`)
  const { records, problems } = parseZoneText(content, { name, ttl: ZONE_TTL_S })
  if (problems.length === 0) return records
  const lines = problems.map(
    ({ line, column, problem, hint }) =>
      `${path}:${line}:${column}: ${problem}${hint === undefined ? '' : ` (${hint})`}`,
  )
  throw new Fault('CONFIG_INVALID', `${key}: ${lines.join('\n')}`, { key, path })
}
