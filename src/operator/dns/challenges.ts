import { Resolver } from 'node:dns/promises'
import type { DnsChallenges } from '../../acme/client/certify.ts'
import type { Clock } from '../../core/clock.ts'
import type { Log } from '../../core/log.ts'
import { type Endpoint, endpointText } from '../../net/bind.ts'
import { challengeHook, dnsUpdater } from '../authority/dns-01.ts'
import type { OperatorConfig } from '../config.ts'
import { askServer } from './ask.ts'
import { inChallengeZone } from './challenge-zone.ts'
import { type NameServer, nameServersOf } from './nameservers.ts'
import type { OwnServer } from './own-server.ts'
import { seenEverywhere } from './propagation.ts'

const RESOLVER_MS_MAX = 3_000
const RESOLVER_TRIES = 2

/** How names are proven by dns-01, from the settings; undefined when they give no way. */
export function openChallenges(
  zone: OperatorConfig['zone'],
  { clock, log, own }: { readonly clock: Clock; readonly log: Log; readonly own: OwnServer | undefined },
): DnsChallenges | undefined {
  const { dnsUpdate, hook, challengeZone, propagation } = zone
  const way = own ?? wayOf(zone, clock)
  if (!way) return undefined
  const servers = async (owner: string): Promise<readonly NameServer[]> => {
    if (propagation!.servers.length > 0) return propagation!.servers.map(alone)
    if (own) return own.endpoints.map(reachable).map(alone)
    return dnsUpdate ? [alone(dnsUpdate.server)] : nameServersOfHook(owner, hook!, log)
  }
  const { timeoutMs } = propagation ?? {}
  const checked = timeoutMs === undefined ? way : seenEverywhere(way, { servers, timeoutMs, ask: askServer, clock })
  return challengeZone === undefined ? checked : inChallengeZone(checked, { zone: zone.name, challengeZone })
}

function wayOf(
  { name, challengeZone, dnsUpdate, hook }: OperatorConfig['zone'],
  clock: Clock,
): DnsChallenges | undefined {
  if (dnsUpdate) return dnsUpdater({ ...dnsUpdate, zone: challengeZone ?? name, clock })
  return hook === undefined ? undefined : challengeHook(hook)
}

/** In a closed network nobody may know the zone here: then the word of the command has to do. */
async function nameServersOfHook(owner: string, hook: string, log: Log): Promise<readonly NameServer[]> {
  const resolver = new Resolver({ timeout: RESOLVER_MS_MAX, tries: RESOLVER_TRIES })
  const servers = await nameServersOf(owner, resolver)
  if (servers.length === 0)
    log.warn({ owner, hook }, 'no name server of the zone was found, so nothing is checked; give zone.check-servers')
  return servers
}

function alone(endpoint: Endpoint): NameServer {
  return { name: endpointText(endpoint), addresses: [endpoint] }
}

/** A server that listens on all addresses is asked at loopback. */
function reachable({ host, port }: Endpoint): Endpoint {
  return { host: host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host, port }
}
