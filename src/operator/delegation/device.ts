import type { RevocationReason } from '../../pki/revocation-reason.ts'

/** A registered CPE. Its id is its name; the name doubles as the EAB kid (RFC 8555 §7.3.4) and the delegation's id. */
export interface DeviceRow {
  /** Raw key of the external account binding, base64url; empty when revoked. A secret: never logged, shown once. */
  readonly eabKey: string
  /** For lists by state; `registrationOf` is what counts. Absent in rows of version 0.2, and stale where such an instance wrote. */
  readonly state?: Registration
  /** The ACME account that has this name now. */
  readonly account?: string
  readonly createdMs: number
  readonly enrolledMs?: number
  /** `RUN/PLACE` of the call that added it, so that the call can be repeated after a crash. */
  readonly origin?: string
  /** There is a new key that no account has used yet; until then `account` keeps the name. */
  readonly rotatedMs?: number
  /** Accounts that had the name before, as long as their end is not complete. */
  readonly former?: readonly string[]
  readonly revoked?: DeviceEnd
}

export interface DeviceEnd {
  readonly atMs: number
  readonly reason: RevocationReason
  /** Until then a certificate for the name may still be believed. */
  readonly usableUntilMs?: number
}

/** `waiting` for its router to use the key, `enrolled` once an account has the name, `revoked` for good. */
export const REGISTRATIONS = ['waiting', 'enrolled', 'revoked'] as const
export type Registration = (typeof REGISTRATIONS)[number]

export function registrationOf({ state, account }: DeviceRow): Registration {
  if (state === 'revoked') return 'revoked'
  return account === undefined ? 'waiting' : 'enrolled'
}

/** What is handed out once, when a device is added or given a new key. */
export interface NewDevice {
  readonly name: string
  readonly eab: { readonly kid: string; readonly key: string }
}
