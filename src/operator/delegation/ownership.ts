import type { AccountRow } from '../../acme/server/rows.ts'
import type { Clock } from '../../core/clock.ts'
import { Fault } from '../../core/fault.ts'
import type { Stored, Table } from '../../core/table.ts'
import type { RevocationReason } from '../../pki/revocation-reason.ts'
import type { Audit } from '../audit/audit.ts'
import { type DeviceRow, type NewDevice, registrationOf } from './device.ts'
import { type Ending, type Revocations, together } from './revocations.ts'

/** How a name passes from one account to the next, or ends. */
export interface Ownership {
  /** A new key. The account keeps the name until the key is used; with `now` it is blocked at once. */
  rotate(name: string, options: { readonly now?: boolean; readonly by: string }): Promise<NewDevice & Ending>
  /** For a new owner: a new key, and everything of the old account ends at once. */
  transfer(name: string, options: { readonly by: string }): Promise<NewDevice & Ending>
  /** The name, the account and the certificates end. Repeating it completes what a crash left open. */
  revoke(
    name: string,
    options: { readonly reason: RevocationReason; readonly by: string },
  ): Promise<Ending & { readonly name: string }>
  /** Forgets a revoked device once no certificate for its name can be valid any more. */
  remove(name: string, options: { readonly by: string }): Promise<void>
}

/** Ends what is left of accounts that had the name before, and forgets those that are. Nothing to do is fine. */
export type Settle = (device: Stored<DeviceRow>, reason: RevocationReason) => Promise<Ending>

const COLLISIONS_MAX = 10
/** A CA that was out through so many changes of one device is out for good. */
const FORMER_MAX = 20

/**
 * The row is written first and says what remains to be done (`former`), so that whoever comes next after a crash can do
 * it. A decision is in the audit log before it is carried out.
 */
export function ownership(options: {
  readonly devices: Table<DeviceRow>
  readonly accounts: Table<AccountRow>
  readonly revocations: Revocations
  readonly audit: Pick<Audit, 'record'>
  readonly clock: Clock
  readonly find: (name: string) => Promise<Stored<DeviceRow> | undefined>
  readonly newKey: () => string
}): Ownership & { readonly settle: Settle } {
  const { devices, accounts, revocations, audit, clock, newKey } = options

  const known = async (name: string): Promise<Stored<DeviceRow>> => {
    const device = await options.find(name)
    if (device) return device
    throw new Fault('NOT_FOUND', `there is no device ${name}`)
  }
  const inUse = async (name: string): Promise<Stored<DeviceRow>> => {
    const device = await known(name)
    if (registrationOf(device.row) !== 'revoked') return device
    throw new Fault('CONFLICT', `${device.id} is revoked; remove it, or add a device with another name`)
  }
  /** RFC 8555 §7.1.2: `revoked` is what a server does to an account. It is answered with 401 from now on. */
  const block = async (accountId: string, reason: RevocationReason): Promise<Ending> => {
    for (let attempt = 0; attempt < COLLISIONS_MAX; attempt++) {
      const account = await accounts.find(accountId)
      if (account?.row.status !== 'valid') break
      if (await accounts.replace(account, { ...account.row, status: 'revoked' })) break
    }
    return revocations.end(accountId, reason)
  }
  const settle: Settle = async (device, reason) => {
    const { former = [], revoked, ...row } = device.row
    if (former.length === 0) return {}
    const left: string[] = []
    let ending: Ending = {}
    for (const account of former) {
      const one = await block(account, reason)
      if (one.unfinished !== undefined) left.push(account)
      ending = together(ending, one)
    }
    const { usableUntilMs } = ending
    // Written by somebody else meanwhile: then that one has settled it too, or will.
    await devices.replace(device, {
      ...row,
      ...(left.length === 0 ? {} : { former: left }),
      ...(revoked ? { revoked: usableUntilMs === undefined ? revoked : { ...revoked, usableUntilMs } } : {}),
    })
    return ending
  }
  /** Changes the row however often others write to it meanwhile. */
  const change = async (name: string, next: (row: DeviceRow) => DeviceRow): Promise<Stored<DeviceRow>> => {
    for (let attempt = 0; attempt < COLLISIONS_MAX; attempt++) {
      const seen = await inUse(name)
      if ((seen.row.former?.length ?? 0) >= FORMER_MAX)
        throw new Fault('CONFLICT', `${seen.id} has ${FORMER_MAX} accounts that could not be ended; start the service`)
      const written = await devices.replace(seen, next(seen.row))
      if (written) return written
    }
    throw new Fault('CONFLICT', `${name} changes all the time; try again`)
  }
  /** A new key for whoever comes next; the account that has the name loses it. */
  const restart = async (name: string, reason: RevocationReason): Promise<NewDevice & Ending> => {
    const key = newKey()
    const device = await change(name, (row) => ({ ...vacated(row), eabKey: key, state: 'waiting' }))
    return { name: device.id, eab: { kid: device.id, key }, ...(await settle(device, reason)) }
  }

  return {
    settle,
    async rotate(name, { now = false, by }) {
      const { id } = await inUse(name)
      await audit.record({ event: 'device-rotated', by, device: id, ...(now ? { reason: 'at once' } : {}) })
      if (now) return restart(name, 'superseded')
      const key = newKey()
      await change(name, (row) => ({
        ...row,
        eabKey: key,
        ...(row.account === undefined ? {} : { rotatedMs: clock.nowMs() }),
      }))
      return { name: id, eab: { kid: id, key } }
    },
    async transfer(name, { by }) {
      const { id } = await inUse(name)
      await audit.record({ event: 'device-transferred', by, device: id })
      return restart(name, 'cessationOfOperation')
    },
    async revoke(name, { reason, by }) {
      const before = await known(name)
      const { id } = before
      if (registrationOf(before.row) !== 'revoked') {
        await audit.record({ event: 'device-revoked', by, device: id, reason })
        await change(name, (row) => ({
          ...vacated(row),
          eabKey: '',
          state: 'revoked',
          revoked: { atMs: clock.nowMs(), reason },
        }))
      }
      const { unfinished } = await settle(await known(name), reason)
      const untilMs = (await known(name)).row.revoked?.usableUntilMs ?? 0
      return {
        name: id,
        ...(untilMs > clock.nowMs() ? { usableUntilMs: untilMs } : {}),
        ...(unfinished === undefined ? {} : { unfinished }),
      }
    },
    async remove(name, { by }) {
      const device = await known(name)
      const { id, row } = device
      if (registrationOf(row) !== 'revoked') throw new Fault('CONFLICT', `${id} is in use; revoke it first`)
      if (row.former !== undefined) throw new Fault('CONFLICT', `revoking ${id} was not completed; revoke it again`)
      const untilMs = row.revoked?.usableUntilMs ?? 0
      if (untilMs > clock.nowMs()) {
        const until = new Date(untilMs).toISOString()
        throw new Fault('CONFLICT', `a certificate for ${id} is valid until ${until}; remove it after that`)
      }
      await audit.record({ event: 'device-removed', by, device: id })
      if (!(await devices.remove(device))) throw new Fault('CONFLICT', `${id} was changed meanwhile; try again`)
    },
  }
}

/** The row without an owner; the one it had is still to be ended. */
function vacated({ account, former = [], createdMs, origin }: DeviceRow): Omit<DeviceRow, 'eabKey'> {
  const past = account === undefined ? former : [...former, account]
  return {
    createdMs,
    ...(origin === undefined ? {} : { origin }),
    ...(past.length === 0 ? {} : { former: past }),
  }
}
