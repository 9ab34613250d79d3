import { randomBytes } from 'node:crypto'
import type { Delegations, ExternalAccounts } from '../../acme/server/options.ts'
import type { AccountRow } from '../../acme/server/rows.ts'
import { toBase64url } from '../../core/bytes.ts'
import type { Clock } from '../../core/clock.ts'
import { Fault } from '../../core/fault.ts'
import type { Stored, Table } from '../../core/table.ts'
import type { CsrTemplate } from '../../pki/csr-template.ts'
import type { Audit } from '../audit/audit.ts'
import { type DeviceRow, type NewDevice, type Registration, registrationOf } from './device.ts'
import { type Entitlements, entitlements } from './entitlements.ts'
import { fullName, newRun, personalData, randomLabel } from './names.ts'
import { type Ownership, ownership } from './ownership.ts'
import type { Revocations } from './revocations.ts'

/** Which devices one call adds: a page of them at most, because the answer must fit into memory. */
export interface Additions {
  /** These names, or as many random ones. */
  readonly names?: readonly string[]
  readonly count?: number
  /** Given: the call may be repeated with the same run and first place. What is there already gets a new key, unless used. */
  readonly run?: string
  readonly first?: number
  /** Names that look like personal data are taken as well. */
  readonly anyName?: boolean
  readonly by: string
}

export interface DeviceRegistry extends Ownership {
  /** Throws NAMES_REFUSED for names that cannot be, CONFLICT for those that are taken; nothing is added then. */
  add(additions: Additions): Promise<readonly NewDevice[]>
  /** Problems of names before they are added, by place in the list. */
  check(
    names: readonly string[],
    options: { readonly run?: string; readonly first?: number; readonly anyName?: boolean },
  ): Promise<readonly { readonly place: number; readonly problem: string }[]>
  find(name: string): Promise<Stored<DeviceRow> | undefined>
  list(page: {
    readonly after?: string
    readonly limit: number
    readonly registration?: Registration
  }): Promise<readonly Stored<DeviceRow>[]>
  readonly externalAccounts: ExternalAccounts
  readonly delegations: Delegations
  readonly checkOwnNames: Entitlements['checkOwnNames']
}

const EAB_KEY_BYTES = 32
/** Of random names in a row. */
const COLLISIONS_MAX = 10
/** Rows written at once by one call. */
const PARALLEL = 32
/** Names that one message shows. */
const SHOWN_MAX = 3
const TAKEN = 'is registered already'

export function deviceRegistry(options: {
  readonly devices: Table<DeviceRow>
  readonly accounts: Table<AccountRow>
  readonly revocations: Revocations
  readonly audit: Pick<Audit, 'record'>
  /** Zone under which names are made. */
  readonly zone: string
  /** `*` stands for the random part. */
  readonly namePattern: string
  /** What a device may put into its CSR, its name left open. */
  readonly templateFor: (name: string) => CsrTemplate
  readonly clock: Clock
}): DeviceRegistry {
  const { devices, audit, zone, clock } = options
  const find = (name: string): Promise<Stored<DeviceRow> | undefined> => devices.find(fullName(name, zone) ?? name)
  const owners = ownership({ ...options, find, newKey })

  const insert = async (name: string, origin: string): Promise<NewDevice | undefined> => {
    const eabKey = newKey()
    const made: NewDevice = { name, eab: { kid: name, key: eabKey } }
    if (await devices.insert(name, { eabKey, state: 'waiting', createdMs: clock.nowMs(), origin })) return made
    const there = await devices.find(name)
    // Ours, from an earlier try of the same call, whose answer got lost: its key was shown to nobody.
    const isOurs = there?.row.origin === origin && registrationOf(there.row) === 'waiting'
    return isOurs && (await devices.replace(there, { ...there.row, eabKey })) ? made : undefined
  }
  const insertRandom = async (run: string, place: number): Promise<NewDevice> => {
    for (let attempt = 0; attempt < COLLISIONS_MAX; attempt++) {
      const added = await insert(`${randomLabel(options.namePattern, run, place, attempt)}.${zone}`, `${run}/${place}`)
      if (added) return added
    }
    throw new Fault('STORE_UNAVAILABLE', 'no free name was found; is the store writable?')
  }
  const insertNamed = async (text: string, origin: string): Promise<NewDevice> => {
    const added = await insert(fullName(text, zone)!, origin)
    if (!added) throw new Fault('CONFLICT', `${text} ${TAKEN}`)
    return added
  }

  const problemOf = async (text: string, origin: string | undefined, anyName: boolean): Promise<string | undefined> => {
    const personal = anyName ? undefined : personalData(text, zone)
    if (personal !== undefined)
      return `${personal}, and certificates make names public for ever (--allow-any-name takes it all the same)`
    const name = fullName(text, zone)
    if (name === undefined) return `is not one label (letters, digits, hyphens) under ${zone}`
    const there = await devices.find(name)
    return there && (origin === undefined || there.row.origin !== origin) ? TAKEN : undefined
  }
  const check: DeviceRegistry['check'] = async (names, { run, first = 0, anyName = false }) => {
    const seen = new Set<string>()
    const problems = await inParallel(names, async (text, place) => {
      const problem = await problemOf(text, run === undefined ? undefined : `${run}/${first + place}`, anyName)
      return problem === undefined ? [] : [{ place, problem }]
    })
    const repeated = names.flatMap((text, place) => {
      const name = fullName(text, zone) ?? text
      const isRepeated = seen.has(name)
      seen.add(name)
      return isRepeated ? [{ place, problem: 'is given twice' }] : []
    })
    return [...problems.flat(), ...repeated].toSorted((a, b) => a.place - b.place)
  }
  const refuseProblems = async (names: readonly string[], checks: Parameters<typeof check>[1]): Promise<void> => {
    const problems = await check(names, checks)
    if (problems.length === 0) return
    const shown = problems.slice(0, SHOWN_MAX).map(({ place, problem }) => `${names[place]} ${problem}`)
    const more = problems.length > SHOWN_MAX ? ` (and ${problems.length - SHOWN_MAX} more)` : ''
    throw new Fault(
      problems.every(({ problem }) => problem === TAKEN) ? 'CONFLICT' : 'NAMES_REFUSED',
      shown.join('; ') + more,
    )
  }

  return {
    ...owners,
    ...entitlements({ ...options, settle: owners.settle }),
    async add({ names, count = 1, run = newRun(), first = 0, anyName = false, by }) {
      if (names) await refuseProblems(names, { run, first, anyName })
      const added = names
        ? await inParallel(names, (name, place) => insertNamed(name, `${run}/${first + place}`))
        : await inParallel(Array.from({ length: count }), (_, place) => insertRandom(run, first + place))
      const reason = names && anyName ? { reason: 'names were not checked for personal data' } : {}
      await audit.record({ event: 'device-added', by, devices: added.map(({ name }) => name), ...reason })
      return added
    },
    check,
    find,
    list: ({ registration, ...page }) =>
      devices.list(registration === undefined ? page : { ...page, where: { state: registration } }),
  }
}

function newKey(): string {
  return toBase64url(randomBytes(EAB_KEY_BYTES))
}

async function inParallel<T, R>(items: readonly T[], work: (item: T, place: number) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  for (let at = 0; at < items.length; at += PARALLEL)
    results.push(...(await Promise.all(items.slice(at, at + PARALLEL).map((item, index) => work(item, at + index)))))
  return results
}
