import { createHash } from 'node:crypto'

/** What may stand in the audit log, and what each event means. */
export const AUDIT_EVENTS = {
  'device-added': 'routers were registered',
  'device-enrolled': 'a router used its key and has an account now',
  'device-rotated': 'a router was given a new key',
  'device-revoked': 'a router lost its name, its account and its certificates',
  'device-transferred': 'a router was given to a new owner, with a new key',
  'device-removed': 'a revoked router was forgotten',
  'order-failed': 'an order was given up, because no authority issued',
  'order-forwarded': 'an order was passed on to a CA that renews by itself, or to the next delegation server',
  'order-cancelled': 'the renewals of an order were ended',
  'account-deactivated': 'a router gave up its account',
  'account-key-changed': 'a router changed the key of its account',
  'order-refused': 'an account was refused a certificate, or its end',
  'authorization-deactivated': 'a router gave up an authorization, and the order with it',
  'certificate-published': 'the first certificate of an order was published',
  'revocation-requested': 'an account, or the key of the certificate, asked for a revocation',
  'certificate-revoked': 'a certificate was revoked at its CA',
  'token-added': 'a token for the admin API was made',
  'token-removed': 'a token for the admin API was ended',
  'authority-switched': 'an authority is passed over from now on, or is not any more',
  'authority-passed-over': 'an authority refused a certificate, and the next one was asked',
  'settings-reloaded': 'certificate and log level of the settings file were taken over',
  'log-trimmed': 'entries older than the retention time were removed',
} as const
export type AuditEventName = keyof typeof AUDIT_EVENTS

/** Details are for people and for searching: names, ids, reasons; never a key. */
export interface AuditEvent {
  readonly event: AuditEventName
  /** Who decided: `cli root (uid 0)`, `token provisioning`, `account ID`, `service`. */
  readonly by: string
  readonly device?: string
  /** At most a page of them, for decisions about many at once. */
  readonly devices?: readonly string[]
  readonly account?: string
  readonly order?: string
  readonly authority?: string
  readonly token?: string
  readonly reason?: string
}

/** Names one entry. The time tells whether its absence is theft or the end of its retention. */
export interface AuditMark {
  /** SHA-256, hex. */
  readonly hash: string
  readonly atMs: number
}

/** One row of the log. Each chain is written by one running instance, so that instances do not wait for one another. */
export interface AuditEntry extends AuditEvent {
  readonly atMs: number
  readonly chain: string
  /** Place in the chain, from 1. */
  readonly number: number
  /** The entry before in this chain; absent in its first. */
  readonly previous?: AuditMark
  /** First entry of a chain: the last entries of the chains it goes on from. */
  readonly continues?: Readonly<Record<string, AuditMark>>
  /** `log-trimmed`: entries before this time may be gone. */
  readonly trimmedBeforeMs?: number
}

/** SHA-256 over the entry with its members sorted, because databases keep them in an order of their own. */
export function hashOf(entry: AuditEntry): string {
  return createHash('sha256').update(sorted(entry)).digest('hex')
}

function sorted(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(sorted).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const members = Object.entries(value)
    .filter(([, inner]) => inner !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${members.map(([name, inner]) => `${JSON.stringify(name)}:${sorted(inner)}`).join(',')}}`
}

/** Ids sort by time: the year 10889 has 15 digits of milliseconds too. */
export function entryId({ atMs, chain, number }: Pick<AuditEntry, 'atMs' | 'chain' | 'number'>): string {
  return `${String(atMs).padStart(TIME_DIGITS, '0')}-${chain}-${String(number).padStart(NUMBER_DIGITS, '0')}`
}
/** Every id of entries at this time or later sorts after it. */
export function idBefore(atMs: number): string {
  return String(Math.max(0, atMs)).padStart(TIME_DIGITS, '0')
}
const TIME_DIGITS = 15
const NUMBER_DIGITS = 10
