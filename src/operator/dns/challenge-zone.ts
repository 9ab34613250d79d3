import type { DnsChallenges } from '../../acme/client/certify.ts'
import { Fault } from '../../core/fault.ts'
import { isUnder } from '../../dns/name.ts'

/** RFC 8555 §8.4: the CA asks for TXT at this label below the name, and follows CNAMEs from there. */
const PREFIX = '_acme-challenge.'

/**
 * The same challenges with their records in a zone of their own: for `_acme-challenge.cpe-1.cpe.isp.example` the record is
 * set at `cpe-1.acme.isp.example`, and a CNAME that the operator set once leads there. The zone of the routers itself then
 * needs no rights for us.
 */
export function inChallengeZone(
  challenges: DnsChallenges,
  zones: { readonly zone: string; readonly challengeZone: string },
): DnsChallenges {
  return {
    present: (owner, value, signal) => challenges.present(challengeOwner(owner, zones), value, signal),
    cleanup: (owner, value) => challenges.cleanup(challengeOwner(owner, zones), value),
  }
}

/** Where the CNAME of that owner has to lead. Throws CONFIG_INVALID for a name that is not below the operator's zone. */
export function challengeOwner(
  owner: string,
  { zone, challengeZone }: { readonly zone: string; readonly challengeZone: string },
): string {
  const name = owner.startsWith(PREFIX) ? owner.slice(PREFIX.length) : owner
  if (name.length <= zone.length || !isUnder(name, zone))
    throw new Fault(
      'CONFIG_INVALID',
      `${name} is not below zone.name ${zone}, so zone.challenge-zone holds no name for it`,
    )
  return `${name.slice(0, -zone.length)}${challengeZone}`
}

/** The record an operator sets for a router, as a zone-file line. */
export function challengeAlias(name: string, zones: { readonly zone: string; readonly challengeZone: string }): string {
  const owner = `${PREFIX}${name}`
  return `${owner}. CNAME ${challengeOwner(owner, zones)}.`
}
