import { randomBytes } from 'node:crypto'
import type { CsrProblem, Delegations, ExternalAccounts } from '../../acme/server/options.ts'
import { fromBase64url, toBase64url } from '../../core/bytes.ts'
import type { Clock } from '../../core/clock.ts'
import { Fault } from '../../core/fault.ts'
import type { Stored, Table } from '../../core/table.ts'
import { type CsrTemplate, checkCsr } from '../../pki/csr-template.ts'

/** A registered CPE. Its id is its name; the name doubles as the EAB kid (RFC 8555 §7.3.4) and the delegation's id. */
export interface DeviceRow {
  /** Raw key of the external account binding, base64url. A secret: never logged, shown once. */
  readonly eabKey: string
  /** The ACME account that used the EAB key; absent until the device has enrolled. */
  readonly account?: string
  readonly createdMs: number
}

export interface NewDevice {
  readonly name: string
  readonly eab: { readonly kid: string; readonly key: string }
}

const EAB_KEY_BYTES = 32
/** 40 random bits: names say nothing about a customer (CT logs publish them) and rarely collide. */
const LABEL_BYTES = 5
/** RFC 1123 §2.1. A `*` would be a wildcard certificate, which no router needs. */
const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/
const COLLISIONS_MAX = 10

export interface DeviceRegistry {
  add(name?: string): Promise<NewDevice>
  list(page: { readonly after?: string; readonly limit: number }): Promise<readonly Stored<DeviceRow>[]>
  readonly externalAccounts: ExternalAccounts
  readonly delegations: Delegations
}

export function deviceRegistry(options: {
  readonly devices: Table<DeviceRow>
  /** Zone under which names are made. */
  readonly zone: string
  /** `*` stands for the random part. */
  readonly namePattern: string
  /** What a device may put into its CSR, its name left open. */
  readonly templateFor: (name: string) => CsrTemplate
  readonly clock: Clock
}): DeviceRegistry {
  const { devices, zone, clock, templateFor } = options

  const insert = async (name: string): Promise<NewDevice | undefined> => {
    const eabKey = toBase64url(randomBytes(EAB_KEY_BYTES))
    const stored = await devices.insert(name, { eabKey, createdMs: clock.nowMs() })
    return stored && { name, eab: { kid: name, key: eabKey } }
  }
  const ownedBy = async (account: string, id: string): Promise<Stored<DeviceRow> | undefined> => {
    const device = await devices.find(id)
    return device?.row.account === account ? device : undefined
  }
  /** A device may have its own name and nothing else. */
  const foreignNames = (id: string, names: readonly string[]): CsrProblem[] =>
    names
      .filter((name) => name !== id)
      .map((name) => ({
        kind: 'rejectedIdentifier',
        detail: 'this name is not assigned to this device',
        identifier: name,
      }))

  return {
    async add(name) {
      if (name !== undefined) {
        const lowerName = name.toLowerCase()
        const label = lowerName.endsWith(`.${zone}`) ? lowerName.slice(0, -zone.length - 1) : ''
        if (!LABEL.test(label))
          throw new Fault('USAGE', `${name} is not one label (letters, digits, hyphens) under ${zone}`)
        const added = await insert(lowerName)
        if (!added) throw new Fault('USAGE', `${lowerName} is registered already`)
        return added
      }
      for (let attempt = 0; attempt < COLLISIONS_MAX; attempt++) {
        const label = options.namePattern.replace('*', randomBytes(LABEL_BYTES).toString('hex'))
        const added = await insert(`${label}.${zone}`)
        if (added) return added
      }
      throw new Fault('STORE_UNAVAILABLE', 'no free name was found; is the store writable?')
    },
    list: (page) => devices.list(page),

    externalAccounts: {
      async find(kid) {
        const device = await devices.find(kid)
        if (!device) return undefined
        const { eabKey, account } = device.row
        return { key: fromBase64url(eabKey)!, ...(account === undefined ? {} : { boundTo: account }) }
      },
      async bind(kid, accountId) {
        for (let attempt = 0; attempt < COLLISIONS_MAX; attempt++) {
          const device = await devices.find(kid)
          if (!device || (device.row.account !== undefined && device.row.account !== accountId)) return false
          if (device.row.account === accountId) return true
          if (await devices.replace(device, { ...device.row, account: accountId })) return true
        }
        return false
      },
    },

    delegations: {
      async list(accountId, { after, limit }) {
        const owned = await devices.list({
          where: { account: accountId },
          limit: limit + 1,
          ...(after === undefined ? {} : { after }),
        })
        const ids = owned.slice(0, limit).map((device) => device.id)
        return owned.length > limit ? { ids, next: ids.at(-1)! } : { ids }
      },
      async find(accountId, id) {
        const device = await ownedBy(accountId, id)
        return device && { 'csr-template': templateFor(device.id) }
      },
      async checkNames(_accountId, id, identifiers) {
        return foreignNames(id, identifiers)
      },
      async checkCsr(_accountId, id, identifiers, csr) {
        return checkCsr(csr, templateFor(id), { identifiers, allowName: (name) => name === id })
      },
    },
  }
}
