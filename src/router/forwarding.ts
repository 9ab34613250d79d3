import type { Clock } from '../core/clock.ts'
import { explain, type Log } from '../core/log.ts'
import { CLASS, TYPE } from '../dns/codes.ts'
import { buildMessage } from '../dns/message.ts'
import { MessageView } from '../dns/view.ts'
import type { Endpoint } from '../net/bind.ts'
import { type Link, readLink } from '../net/link.ts'
import type { RouterConfig } from './config.ts'
import { chainOf, type Layer } from './resolve/chain.ts'
import { type ClientGroup, groupFinder, withClientGroups } from './resolve/client-group.ts'
import { createPatience, Member } from './resolve/member.ts'
import { withNtpNames } from './resolve/ntp-names.ts'
import { loopFault } from './resolve/own-address.ts'
import { createPool } from './resolve/pool.ts'
import type { Explain, Resolver, Upstream } from './resolve/resolver.ts'
import { createRouter, groupsOf, type Route, routeText } from './resolve/route.ts'
import type { UpstreamConfig } from './settings/upstreams.ts'
import { UpgradingUpstream } from './upstream/upgrade.ts'
import { createUpstream } from './upstream/upstream.ts'
import { parseUpstreamUrl, type UpstreamAddress } from './upstream/url.ts'

/** How often addresses and routes are looked at: people wait for what a changed link brings, and a look costs little. */
const LOOK_MS = 3_000

export interface UpstreamStatus {
  readonly id: string
  readonly state: 'up' | 'down'
  /** The names and clients that are sent to it. */
  readonly routes: readonly string[]
  /** The encrypted upstream that a plain one has named in its place (RFC 9462). */
  readonly designated?: string
  /** Smoothed; absent until it has answered. */
  readonly rttMs?: number
  readonly queries: number
  readonly failures: number
  readonly failuresInARow: number
  readonly lastError?: string
}

/** Everything below the cache: which upstream a question goes to, and whether that one is worth asking. */
export interface Forwarding {
  readonly resolver: Resolver
  /** To be put before the cache. None when all clients are sent to the same upstreams. */
  readonly layers: readonly Layer[]
  /** What these layers keep apart. */
  readonly scopeOf: (client: string) => string | undefined
  readonly explain: Explain
  status(): readonly UpstreamStatus[]
  /** The way to the upstreams has changed: connections are closed, and whoever is down is tried at once. */
  reset(reason: string): void
  stop(): void
}

export interface ForwardingContext {
  readonly clock: Clock
  readonly log: Log
  /** Upstreams are there again, or the link has changed: failures that were kept mean nothing any more. */
  readonly onRecovery: () => void
  /** False while the wall clock must be wrong (clock-trust.ts). */
  readonly isClockTrusted: () => boolean
  readonly link?: () => Promise<Link>
  readonly random?: () => number
  readonly create?: (upstream: UpstreamConfig) => Upstream
}

interface Entry {
  readonly config: UpstreamConfig
  readonly member: Member
}

const memberOf = ({ member }: Entry): Member => member

/** Throws UPSTREAM_LOOP when an upstream is one of our own listeners. */
export async function createForwarding(
  config: Pick<RouterConfig, 'upstreams' | 'resolution'> & {
    readonly listen: Pick<RouterConfig['listen'], 'do53' | 'dot' | 'doh'>
    readonly bootstrap?: readonly UpstreamAddress[]
  },
  context: ForwardingContext,
): Promise<Forwarding> {
  const { clock, log, onRecovery, isClockTrusted, link = readLink, random = Math.random } = context
  const { do53, dot, doh } = config.listen
  const listeners = [...do53, ...dot, ...doh]
  let last = await link()
  const patience = createPatience(clock)
  const entryOf = (upstream: UpstreamConfig, lookUp: readonly Resolver[]): Entry => ({
    config: upstream,
    member: new Member(
      context.create?.(upstream) ?? createFrom(upstream, context, lookUp),
      probeFor(upstream),
      patience,
      { clock, log, onRecovery },
    ),
  })
  const poolOf = (members: readonly Member[]): Resolver =>
    createPool(members, { strategy: config.resolution.strategy, clock, random })
  const bootstrap = (config.bootstrap ?? []).map((address) => entryOf({ address }, []))
  const lookUp = bootstrap.map(({ member }) => member.upstream)
  const entries = config.upstreams.map((upstream) => entryOf(upstream, lookUp))
  const routes = routesOf(entries, poolOf)
  const router = createRouter(routes)

  const ntpNames = { names: config.resolution.ntpNames, plain: poolOf(bootstrap.map(memberOf)), isClockTrusted }
  const early = bootstrap.length > 0 && ntpNames.names.length > 0 ? [withNtpNames(ntpNames)] : []

  const all = [...entries, ...bootstrap]
  for (const { config: upstream } of all) {
    const fault = loopFault(upstream.address, listeners, last.addresses)
    if (fault) throw fault
  }

  const reset = (reason: string): void => {
    log.info({ reason }, 'upstreams are connected anew')
    onRecovery()
    for (const { member } of all) member.reset()
  }
  const ended = new AbortController()
  const look = async (): Promise<void> => {
    const now = await link()
    for (const entry of all) refuseLoops(entry, listeners, now.addresses)
    if (now.way !== last.way) reset('addresses or routes have changed')
    last = now
  }
  void repeat(look, clock, log, ended.signal)

  const groups = groupsOf(routes)
  return {
    resolver: chainOf(early, router.resolver),
    layers: groups.length > 0 ? [withClientGroups(groups)] : [],
    scopeOf: groupFinder(groups),
    explain: router.explain,
    status: () =>
      entries.map(({ config: { domains, clients }, member }) => ({
        ...member.status(),
        ...designatedBy(member.upstream),
        routes: routesFor(domains, clients).map(routeText),
      })),
    reset,
    stop: () => {
      ended.abort()
      for (const { member } of all) member.stop()
    },
  }
}

/** Everything an upstream of the settings is made of. */
function createFrom(
  config: UpstreamConfig,
  { clock, log, isClockTrusted }: ForwardingContext,
  bootstrap: readonly Resolver[],
): Upstream {
  const { address, trust, ddr } = config
  const upstream = createUpstream(address, { ...config, bootstrap, isClockTrusted })
  if (ddr === undefined) return upstream
  return new UpgradingUpstream({
    plain: upstream,
    address: address.endpoints[0]!.host,
    encrypted: (url, addresses) => createUpstream(parseUpstreamUrl(url, addresses), trust ? { trust } : {}),
    clock,
    log,
  })
}

function designatedBy(upstream: Upstream): { readonly designated?: string } {
  const designated = upstream instanceof UpgradingUpstream ? upstream.designated : undefined
  return designated === undefined ? {} : { designated }
}

/** The root's name servers: every resolver knows them. A server for a few domains may know nothing but those. */
function probeFor({ domains }: UpstreamConfig): MessageView {
  const [name, type] = domains ? [domains[0]!, TYPE.SOA] : ['.', TYPE.NS]
  return MessageView.over(buildMessage({ recursionDesired: true, questions: [{ name, type, class: CLASS.IN }] }))!
}

/** Upstreams with the same domain and the same clients may answer for one another; their order is that of the file. */
function routesOf(entries: readonly Entry[], poolOf: (members: readonly Member[]) => Resolver): readonly Route[] {
  const shared = new Map<string, { readonly route: Omit<Route, 'to' | 'upstreams'>; readonly members: Member[] }>()
  for (const {
    config: { domains, clients },
    member,
  } of entries) {
    for (const route of routesFor(domains, clients)) {
      const key = routeText(route)
      const found = shared.get(key) ?? { route, members: [] }
      found.members.push(member)
      shared.set(key, found)
    }
  }
  return [...shared.values()].map(({ route, members }) => ({
    ...route,
    to: poolOf(members),
    upstreams: members.map(({ upstream }) => upstream.id),
  }))
}

function routesFor(
  domains: readonly string[] | undefined,
  clients: readonly string[] | undefined,
): readonly Omit<Route, 'to' | 'upstreams'>[] {
  const group: { group?: ClientGroup } = clients ? { group: { id: clients.join(' '), networks: clients } } : {}
  return domains ? domains.map((domain) => ({ domain, ...group })) : [group]
}

/** Interfaces come and go: an address that was somebody else's may be ours now. */
function refuseLoops({ config, member }: Entry, listeners: readonly Endpoint[], own: readonly string[]): void {
  member.refuse(loopFault(config.address, listeners, own))
}

async function repeat(work: () => Promise<void>, clock: Clock, log: Log, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await clock.sleep(LOOK_MS, signal).catch(() => {})
    if (!signal.aborted) await work().catch((error: unknown) => log.error(explain(error), 'cannot see the interfaces'))
  }
}
