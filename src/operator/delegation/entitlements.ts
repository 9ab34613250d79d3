import type { CsrProblem, Delegations, ExternalAccounts } from '../../acme/server/options.ts'
import { fromBase64url } from '../../core/bytes.ts'
import type { Clock } from '../../core/clock.ts'
import type { Stored, Table } from '../../core/table.ts'
import { type CsrTemplate, checkCsr } from '../../pki/csr-template.ts'
import type { Audit } from '../audit/audit.ts'
import { type DeviceRow, registrationOf } from './device.ts'
import type { Settle } from './ownership.ts'

/** What the ACME server asks about devices. A revoked one is answered as if it did not exist. */
export interface Entitlements {
  readonly externalAccounts: ExternalAccounts
  readonly delegations: Delegations
  /** For orders without a delegation: an account may have the names of its own devices and nothing else. */
  checkOwnNames(accountId: string, identifiers: readonly string[]): Promise<readonly CsrProblem[]>
}

const COLLISIONS_MAX = 10

export function entitlements(options: {
  readonly devices: Table<DeviceRow>
  readonly audit: Pick<Audit, 'record'>
  readonly templateFor: (name: string) => CsrTemplate
  readonly clock: Clock
  readonly settle: Settle
}): Entitlements {
  const { devices, audit, templateFor, clock, settle } = options

  const ownedBy = async (account: string, id: string): Promise<Stored<DeviceRow> | undefined> => {
    const device = await devices.find(id)
    return device?.row.account === account ? device : undefined
  }

  return {
    externalAccounts: {
      async find(kid) {
        const device = await devices.find(kid)
        if (!device || registrationOf(device.row) === 'revoked') return undefined
        const { eabKey, account, rotatedMs } = device.row
        // After a rotation the new key is free for one other account.
        const isBound = account !== undefined && rotatedMs === undefined
        return { key: fromBase64url(eabKey)!, ...(isBound ? { boundTo: account } : {}) }
      },
      async bind(kid, accountId) {
        for (let attempt = 0; attempt < COLLISIONS_MAX; attempt++) {
          const device = await devices.find(kid)
          if (!device || registrationOf(device.row) === 'revoked') return false
          const { account, rotatedMs, ...row } = device.row
          if (account === accountId) {
            await settle(device, 'superseded')
            return true
          }
          if (account !== undefined && rotatedMs === undefined) return false
          const bound = await devices.replace(device, {
            ...row,
            state: 'enrolled',
            account: accountId,
            enrolledMs: clock.nowMs(),
            ...(account === undefined ? {} : { former: [...(row.former ?? []), account] }),
          })
          if (!bound) continue
          await audit.record({ event: 'device-enrolled', by: `account ${accountId}`, account: accountId, device: kid })
          await settle(bound, 'superseded')
          return true
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
      async checkNames(_account, id, identifiers) {
        return identifiers.filter((name) => name !== id).map(foreign)
      },
      async checkCsr(_account, id, identifiers, csr) {
        return checkCsr(csr, templateFor(id), { identifiers, allowName: (name) => name === id })
      },
    },
    async checkOwnNames(accountId, identifiers) {
      const owned = await Promise.all(identifiers.map((name) => ownedBy(accountId, name)))
      return identifiers.filter((_, index) => owned[index] === undefined).map(foreign)
    },
  }
}

function foreign(name: string): CsrProblem {
  return { kind: 'rejectedIdentifier', detail: 'this name is not assigned to this device', identifier: name }
}
