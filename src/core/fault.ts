import { inspect } from 'node:util'

/**
 * A failure that comes from the outside world and has a name. Bugs are failed assertions, expected results are values;
 * neither is a Fault. Translated once, at the edge that talks: to an rcode, a problem document, or a log line and exit code.
 */

/** Code → what the reader should do next. The code is stable; scripts and tests match on it. */
export const FAULTS = {
  CONFIG_INVALID: 'run `hearth check FILE` (or `hearth-operator check FILE`) to list every problem of the file',
  CONFIG_UNREADABLE: 'name an existing settings file with --config FILE; `config/` holds commented samples',
  USAGE: 'run the command again with --help',
  PORT_IN_USE: 'stop the program that holds the address, or choose another address under `listen:`',
  PORT_FORBIDDEN: 'ports below 1024 need CAP_NET_BIND_SERVICE; choose a port above 1023 or grant the capability',
  ADDRESS_UNKNOWN: 'name an address this machine has; `0.0.0.0` and `::` mean all of them',
  STATE_UNWRITABLE: 'make the state directory writable for this user, or name another one with `state:`',
  STATE_LOCKED: 'another instance uses this state directory; stop it first, or give this one its own directory',
  STATE_DAMAGED: 'move the named file away; the program makes or fetches a new one at the next start',
  NOT_RUNNING: 'start the daemon first (`hearth run --config FILE`), or name its socket with --socket PATH',
  DAEMON_FAILED: 'look into the log of the daemon, and report what it says there',
  UPSTREAM_TIMEOUT: 'check the WAN link; `hearth upstreams` shows which one stopped answering',
  UPSTREAM_UNREACHABLE: 'check the WAN link and the upstream address in the settings file',
  UPSTREAM_UNTRUSTED:
    'the upstream showed a certificate we must not accept; check its name and pins in the settings, and the clock',
  UPSTREAM_LOOP: 'name another upstream under `upstreams:`; questions to ourselves would come back for ever',
  UPSTREAM_BROKEN: 'the upstream spoke DNS wrongly; try another upstream',
  LIST_UNREADABLE: 'name a readable list under `block:`; what was loaded from it before stays in force',
  ACME_UNREACHABLE: 'check that the ACME server is up and that its address and trust anchor in the settings are right',
  ACME_REFUSED: 'the ACME server refused the request; its own words are in the message',
  ACME_PROTOCOL: 'the ACME server answered outside the protocol; report it to whoever runs that server',
  ACME_TIMEOUT: 'the certificate was not ready in time; it is tried again later by itself',
  DELEGATION_NOT_OFFERED: 'this ACME server does not offer delegation (RFC 9115); check the directory URL',
  DELEGATION_MISSING: 'the operator has no delegation for this name; ask for one, or correct identity.name',
  DELEGATION_WITHOUT_GET:
    'the operator must add an authority that publishes for unsigned fetching; the old certificate stays in use meanwhile',
  ORDER_ENDED: 'the operator ended the renewals of this certificate; a new order is placed by itself',
  CERT_KEY_MISMATCH: 'the issuer certified another key; the old certificate stays in use',
  CERT_NAME_MISMATCH: 'the issuer returned another name; the old certificate stays in use',
  CERT_DATES: 'the certificate is not valid now; check the clock; the old certificate stays in use',
  CERT_OVERDUE: 'ask the operator why its next certificate is missing; the old one stays in use until its end',
  CERT_CHAIN: 'the chain does not lead to the configured trust anchor; the old certificate stays in use',
  CERT_UNREADABLE: 'the bytes are not a certificate this program can read',
  CSR_UNREADABLE: 'the bytes are not a certificate request this program can read',
  AUTHORITY_UNAVAILABLE: 'no authority could issue; the message says why each one failed',
  AUTHORITY_WITHOUT_GET:
    'this authority does not let routers fetch certificates without an account; use one of kind acme, which publishes here',
  DNS_UPDATE_REFUSED: 'the name server refused the dynamic update; check the zone, the TSIG key and its policy',
  CHALLENGE_NOT_VISIBLE:
    'check that the named servers take over the zone; `zone.propagation-timeout` and `zone.check-servers` say how long and whom to ask',
  HOOK_FAILED: 'run the hook command by hand with the arguments in the message and correct it',
  DEMO_FAILED: 'the lines above say which part failed; another demo or daemon on the same ports is the usual reason',
  NOT_FOUND: 'list what there is with the `list` verb of the same kind, for example `hearth-operator device list`',
  REVOCATION_UNFINISHED: 'the rest is done; repeat the command while the service runs and the CA answers',
  NAMES_REFUSED: 'correct what the message names and repeat the command; nothing was added',
  NOT_ALLOWED: 'use a token with the role `operate`',
  CONFLICT: 'the message says what stands against it; nothing was changed',
  HTTP_UNREACHABLE: 'check that the server is up, and that its address and the trust anchor in the settings are right',
  STORE_UNAVAILABLE: 'check the `store:` setting and that the database is up',
  STORE_KEY_WRONG: 'give all instances on one store the same `store-key-file:`; without it its secrets are lost',
} as const

export type FaultCode = keyof typeof FAULTS

export class Fault extends Error {
  readonly code: FaultCode
  /** Values a log line or a problem document may show. Never a secret. */
  readonly facts: Readonly<Record<string, unknown>>

  constructor(code: FaultCode, message: string, facts: Readonly<Record<string, unknown>> = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'Fault'
    this.code = code
    this.facts = facts
  }

  /** What the reader should do next. */
  get hint(): string {
    return FAULTS[this.code]
  }
}

/** The message of anything that was thrown, with the reasons below it: `a: b: c`. */
export function reasonOf(thrown: unknown): string {
  const parts: string[] = []
  let at = thrown
  // Bounded: a cause chain can be a ring.
  for (let depth = 0; at !== undefined && depth < CAUSES_MAX; depth++) {
    const text = at instanceof Error ? at.message || at.name : inspect(at)
    if (!parts.some((part) => part.includes(text))) parts.push(text)
    at = at instanceof Error ? at.cause : undefined
  }
  return parts.join(': ')
}
const CAUSES_MAX = 5
