import { buildDate } from '../../acme/resource.ts'
import { Fault } from '../../core/fault.ts'
import type { Stored } from '../../core/table.ts'
import type { CsrTemplate } from '../../pki/csr-template.ts'
import { REVOCATION_REASON_NAMES } from '../../pki/revocation-reason.ts'
import { type DeviceRow, type NewDevice, registrationOf } from '../delegation/device.ts'
import type { DeviceRegistry } from '../delegation/devices.ts'
import type { Ending } from '../delegation/revocations.ts'
import { type DeviceStanding, STANDINGS, type Standing } from '../delegation/standing.ts'
import { type OperationTable, operation } from './operation.ts'
import { AFTER, LIMIT, NAME, NAME_CHARS_MAX, nextAfter, PAGE_MAX } from './properties.ts'

/** Without the EAB key: it was shown when the device was added. Dates are RFC 3339. */
export interface DeviceSummary {
  readonly name: string
  readonly state: Standing
  readonly enrolled: boolean
  readonly added: string
  /** End of its certificate; of a revoked device, how long that may still be believed. */
  readonly validUntil?: string
}

export interface DeviceDetails extends DeviceSummary {
  readonly eabKid: string
  readonly directory: string
  readonly account?: string
  readonly enrolledAt?: string
  /** A new key was made then, and its router has not used it yet. */
  readonly rotatedAt?: string
  readonly revokedAt?: string
  readonly revokedFor?: string
}

export interface DevicePage {
  readonly devices: readonly DeviceSummary[]
  /** Where the next page starts; absent on the last one. */
  readonly next?: string
}

export interface NameProblem {
  /** In the list that was asked about, from 0. */
  readonly place: number
  readonly problem: string
}

/** What is given out when a name has lost its account: until when its old certificate may still be believed. */
export type Handover = NewDevice & Ended

export interface Ended {
  readonly usableUntil?: string
  /** Why a certificate could not be revoked at its CA yet: repeat the operation later. */
  readonly unfinished?: string
}

export interface DelegationObject {
  readonly name: string
  /** Absent: nobody has enrolled for it yet. */
  readonly account?: string
  readonly 'csr-template': CsrTemplate
}

/** Rows that one call looks through for those of a state. A caller that wants more asks again with `next`. */
const SCANNED_MAX = 2000
const RUN = {
  run: {
    type: 'string',
    description: 'repeats the call of this run safely',
    maxLength: 64,
    pattern: '^[a-z0-9]{16,64}$',
  },
  first: { type: 'integer', description: 'place of the first of them in the run', minimum: 0, maximum: 10_000_000 },
} as const
const ANY_NAME = { type: 'boolean', description: 'take names that look like personal data' } as const
const NAMES = {
  type: 'array',
  description: 'names or first labels',
  maxItems: PAGE_MAX,
  items: { type: 'string', maxLength: NAME_CHARS_MAX },
} as const

export function deviceOperations(parts: {
  readonly registry: DeviceRegistry
  readonly standing: (device: Stored<DeviceRow>) => Promise<DeviceStanding>
  readonly templateFor: (name: string) => CsrTemplate
  readonly directory: string
}) {
  const { registry, standing, templateFor, directory } = parts

  const summaryOf = async (device: Stored<DeviceRow>): Promise<DeviceSummary> => {
    const { id, row } = device
    const { state, validUntilMs } = await standing(device)
    return {
      name: id,
      state,
      enrolled: registrationOf(row) === 'enrolled',
      added: buildDate(row.createdMs),
      ...dateOf('validUntil', validUntilMs),
    }
  }
  const known = async (name: string): Promise<Stored<DeviceRow>> => {
    const device = await registry.find(name)
    if (device) return device
    throw new Fault('NOT_FOUND', `there is no device ${name}`)
  }
  const handover = ({ usableUntilMs, ...device }: NewDevice & Ending): Handover => ({
    ...device,
    ...dateOf('usableUntil', usableUntilMs),
  })
  const delegationOf = ({ id, row }: Stored<DeviceRow>): DelegationObject => ({
    name: id,
    ...(row.account === undefined ? {} : { account: row.account }),
    'csr-template': templateFor(id),
  })

  return {
    'device-add': operation({
      summary: 'register routers: makes their names and their one-time keys',
      role: 'operate',
      input: {
        names: { ...NAMES, description: 'names or first labels to register; random ones when left out' },
        count: { type: 'integer', description: 'how many, with random names', minimum: 1, maximum: PAGE_MAX },
        ...RUN,
        anyName: ANY_NAME,
      },
      run: (input, { by }): Promise<readonly NewDevice[]> => registry.add({ ...input, by }),
    }),
    'device-check': operation({
      summary: 'what is wrong with names, before they are registered',
      role: 'read',
      input: { names: { ...NAMES, required: true }, ...RUN, anyName: ANY_NAME },
      run: ({ names, ...options }): Promise<readonly NameProblem[]> => registry.check(names, options),
    }),
    'device-list': operation({
      summary: 'the registered routers, in order of name',
      role: 'read',
      input: {
        state: { type: 'string', description: 'only those that stand so', maxLength: 16, enum: STANDINGS },
        after: AFTER,
        limit: LIMIT,
      },
      async run({ state, after, limit = PAGE_MAX }): Promise<DevicePage> {
        const registration = state === 'valid' || state === 'failed' ? 'enrolled' : state
        const devices: DeviceSummary[] = []
        let last = after
        for (let scanned = 0; scanned < SCANNED_MAX && devices.length < limit; ) {
          const wanted = Math.min(PAGE_MAX, limit - devices.length)
          const page = await registry.list({
            limit: wanted,
            ...(last === undefined ? {} : { after: last }),
            ...(registration === undefined ? {} : { registration }),
          })
          const summaries = await Promise.all(page.map(summaryOf))
          devices.push(...summaries.filter((device) => state === undefined || device.state === state))
          if (page.length < wanted) return { devices }
          scanned += page.length
          last = page.at(-1)!.id
        }
        return { devices, next: last! }
      },
    }),
    'device-show': operation({
      summary: 'everything about one router but its key',
      role: 'read',
      input: { name: NAME },
      async run({ name }): Promise<DeviceDetails> {
        const device = await known(name)
        const { account, enrolledMs, rotatedMs, revoked } = device.row
        return {
          ...(await summaryOf(device)),
          eabKid: device.id,
          directory,
          ...(account === undefined ? {} : { account }),
          ...dateOf('enrolledAt', enrolledMs),
          ...dateOf('rotatedAt', rotatedMs),
          ...dateOf('revokedAt', revoked?.atMs),
          ...(revoked ? { revokedFor: revoked.reason } : {}),
        }
      },
    }),
    'device-rotate': operation({
      summary: 'give a router a new key; its account ends when the new key is used',
      role: 'operate',
      input: { name: NAME, now: { type: 'boolean', description: 'end the account at once' } },
      run: async ({ name, now = false }, { by }): Promise<Handover> =>
        handover(await registry.rotate(name, { now, by })),
    }),
    'device-transfer': operation({
      summary: 'give a router to a new owner: a new key, and everything of the old account ends',
      role: 'operate',
      input: { name: NAME },
      run: async ({ name }, { by }): Promise<Handover> => handover(await registry.transfer(name, { by })),
    }),
    'device-revoke': operation({
      summary: 'end a router: its name, its account, its renewals and certificates',
      role: 'operate',
      input: {
        name: NAME,
        reason: { type: 'string', description: 'why (RFC 5280 §5.3.1)', maxLength: 32, enum: REVOCATION_REASON_NAMES },
      },
      async run({ name, reason = 'cessationOfOperation' }, { by }): Promise<Ended & { readonly name: string }> {
        const { usableUntilMs, ...ended } = await registry.revoke(name, { reason, by })
        return { ...ended, ...dateOf('usableUntil', usableUntilMs) }
      },
    }),
    'device-remove': operation({
      summary: 'forget a revoked router',
      role: 'operate',
      input: { name: NAME },
      async run({ name }, { by }): Promise<{ name: string }> {
        const { id } = await known(name)
        await registry.remove(id, { by })
        return { name: id }
      },
    }),
    'delegation-list': operation({
      summary: 'the names that accounts have (RFC 9115 §2.3.1)',
      role: 'read',
      input: { after: AFTER, limit: LIMIT },
      async run({
        after,
        limit = PAGE_MAX,
      }): Promise<{ delegations: { name: string; account: string }[]; next?: string }> {
        const page = await registry.list({ limit, registration: 'enrolled', ...(after === undefined ? {} : { after }) })
        return {
          delegations: page.map(({ id, row }) => ({ name: id, account: row.account! })),
          ...nextAfter(page, limit),
        }
      },
    }),
    'delegation-show': operation({
      summary: 'what a router may put into its certificate request (RFC 9115 §2.3.1.3)',
      role: 'read',
      input: { name: NAME },
      async run({ name }): Promise<DelegationObject> {
        const device = await known(name)
        if (registrationOf(device.row) === 'revoked')
          throw new Fault('NOT_FOUND', `the delegation of ${device.id} was withdrawn`)
        return delegationOf(device)
      },
    }),
  } satisfies OperationTable
}

function dateOf<Name extends string>(name: Name, ms: number | undefined): { readonly [N in Name]?: string } {
  // A computed name widens the type.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return (ms === undefined ? {} : { [name]: buildDate(Math.floor(ms / 1000) * 1000) }) as { [N in Name]?: string }
}
