import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import type { Clock } from '../core/clock.ts'
import type { DaemonContext } from '../core/daemon-verbs.ts'
import { explain, type Log } from '../core/log.ts'
import { createHttpTransport } from '../net/http.ts'
import { serveOperations } from '../net/operations.ts'
import { systemAnchors, type TlsMaterial } from '../net/tls.ts'
import { batchSockets } from '../net/udp-batch.ts'
import { fromPem } from '../pki/certificate.ts'
import { lockDirectory } from '../store/file.ts'
import { createOperations } from './admin/operations.ts'
import { createClockTrust } from './clock-trust.ts'
import type { RouterConfig } from './config.ts'
import { derivePresence } from './discovery/derive.ts'
import type { Presence } from './discovery/presence.ts'
import { delegatedIssuer } from './identity/issuers/delegated.ts'
import { IdentityManager } from './identity/manager.ts'
import { serverCookies } from './listen/cookies.ts'
import { ANSWER_MS_MAX, type ListenerContext } from './listen/listener.ts'
import { Listening } from './listening.ts'
import type { Resolver } from './resolve/resolver.ts'
import { createResolving } from './resolving.ts'

/** Answers under way when we stop get this long to leave. */
const STOP_GRACE_MS = 2_000
const LOOK_AT_ADDRESSES_MS = 30_000
/** A whole system store has some 150. */
const ANCHORS_MAX = 1_000

/** The router, from settings to the moment the signal says stop. Throws a Fault when it cannot start. */
export async function runRouter(
  settings: RouterConfig,
  { clock, log, signal, onReload }: DaemonContext<RouterConfig>,
): Promise<void> {
  let config = settings
  const context = { clock, log }
  const lock = await lockDirectory(config.state)
  const started: { stop(graceMs: number): Promise<void> }[] = [{ stop: () => lock.release() }]
  try {
    const identity = createIdentity(
      config,
      context,
      (material) => listening.present(material),
      () => refresh(),
    )
    const material = await identity.start()

    const chain: Resolver = {
      id: 'chain',
      resolve: (query, abandoned) => resolving.resolver.resolve(query, abandoned),
    }
    const batchSocket = config.listen['udp-batches'] === 'auto' ? await batchSockets() : undefined
    const listenerContext: ListenerContext = {
      ...context,
      ...(batchSocket ? { batchSocket } : {}),
      cookies: serverCookies(clock),
      admit: (address) => resolving.mayAsk(address),
      answersDiffer: () => resolving.answersDiffer,
      connections: () => ({ max: config.listen.connections, maxPerClient: config.listen['connections-per-client'] }),
    }
    const listening = new Listening(listenerContext, chain, material)
    const derive = (): Presence =>
      derivePresence({ name: config.identity.name, ...config.advertise }, listening.listeners, identity.identity)
    let presence = derive()
    const refresh = (): void => {
      presence = derive()
    }

    const { isTrusted: isClockTrusted } = await createClockTrust(clock, config.state)
    const surroundings = { ...context, presence: () => presence, isClockTrusted }
    let resolving = await createResolving(config, surroundings)
    /** Those that were replaced and still answer. The last to stop saves the cache, so they go first. */
    let leaving: Promise<unknown> = Promise.resolve()
    started.push({ stop: () => leaving.then(() => resolving.stop()) })
    await listening.apply(config.listen)
    started.push(listening)
    refresh()
    // Interfaces come up after us and are renumbered without telling us.
    const looking = setInterval(() => {
      listening.look().then(refresh, (error: unknown) => log.error(explain(error), 'a listener is lost'))
    }, LOOK_AT_ADDRESSES_MS)
    started.push({ stop: async () => clearInterval(looking) })

    /** The new settings hold whole, or not at all. */
    const apply = async (next: RouterConfig): Promise<void> => {
      const successor = await createResolving(next, { ...surroundings, former: resolving })
      try {
        signal.throwIfAborted() // all else has been stopped meanwhile
        await listening.apply(next.listen)
      } catch (error) {
        await successor.stop()
        throw error
      }
      if (!isDeepStrictEqual([next.state, next.identity], [config.state, config.identity]))
        log.warn('`state` and `identity` of the new settings hold from the next start on')
      const former = resolving
      config = { ...next, state: config.state, identity: config.identity }
      resolving = successor
      log.level = config.log
      refresh()
      // What it was asked, it still answers; nobody waits longer than that.
      const left = clock
        .sleep(ANSWER_MS_MAX, signal)
        .catch(() => {})
        .then(() => former.stop())
        .catch((error: unknown) => log.error(explain(error), 'a part did not stop cleanly'))
      leaving = leaving.then(() => left)
    }
    onReload(
      oneAtATime(async (load) => {
        try {
          await apply(await load())
          log.info('the new settings are in force')
        } catch (error) {
          if (signal.aborted) return
          log.error(explain(error), 'the new settings are not taken, the old ones stay in force')
        }
      }),
    )

    const startedMs = clock.monotonicMs()
    const operations = createOperations({
      status: () => ({
        uptimeS: Math.round((clock.monotonicMs() - startedMs) / 1000),
        listeners: listening.listeners.map(({ transport, endpoint }) => ({ transport, ...endpoint })),
        identity: identity.status(),
        presence,
        ...resolving.status(),
      }),
      presence: () => presence,
      identity,
    })
    const admin = await serveOperations(join(config.state, 'admin.sock'), () => ({
      ...operations,
      ...resolving.operations,
    }))
    started.push({ stop: () => admin.close() })

    await identity.run(signal)
  } finally {
    // Last in, first out; one that fails to stop must not keep the others.
    for (const part of started.toReversed())
      await part.stop(STOP_GRACE_MS).catch((error: unknown) => log.error(explain(error), 'a part did not stop cleanly'))
  }
}

/** Calls made while one is under way wait for it; of several that wait, the last one counts. */
function oneAtATime<T>(work: (input: T) => Promise<void>): (input: T) => void {
  let waiting: T[] = []
  let busy = false
  const run = async (): Promise<void> => {
    busy = true
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) await work(next)
    busy = false
  }
  return (input) => {
    waiting = [input]
    if (!busy) void run()
  }
}

function createIdentity(
  config: RouterConfig,
  { clock, log }: { clock: Clock; log: Log },
  present: (material: TlsMaterial) => void,
  onChange: () => void,
): IdentityManager {
  const { directory, eab, trust, lifetimeMs, orderSpanMs } = config.identity.acmeDelegation
  return new IdentityManager({
    name: config.identity.name,
    issuer: delegatedIssuer({
      directoryUrl: directory,
      eab,
      lifetimeS: lifetimeMs / 1000,
      orderSpanS: orderSpanMs / 1000,
      stateDir: config.state,
      transport: createHttpTransport({ ...(trust ? { ca: trust } : {}), userAgent: 'hearth' }),
      clock,
    }),
    stateDir: config.state,
    anchors: () => [...(trust ?? []).flatMap((pem) => fromPem(pem, ANCHORS_MAX)), ...systemAnchors()],
    present,
    onChange,
    clock,
    log,
  })
}
