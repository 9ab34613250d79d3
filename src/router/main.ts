import { join } from 'node:path'
import type { Clock } from '../core/clock.ts'
import { explain, type Log } from '../core/log.ts'
import { createHttpTransport } from '../net/http.ts'
import { serveOperations } from '../net/operations.ts'
import type { TlsMaterial } from '../net/tls.ts'
import { systemAnchors } from '../net/tls.ts'
import { fromPem } from '../pki/certificate.ts'
import { lockDirectory } from '../store/file.ts'
import { createOperations } from './admin/operations.ts'
import type { RouterConfig } from './config.ts'
import { derivePresence } from './discovery/derive.ts'
import type { Presence } from './discovery/presence.ts'
import { delegatedIssuer } from './identity/issuers/delegated.ts'
import { IdentityManager } from './identity/manager.ts'
import { dohListener } from './listen/doh.ts'
import type { EncryptedListener, Listener } from './listen/listener.ts'
import { dotListener, tcpListener } from './listen/tcp.ts'
import { udpListener } from './listen/udp.ts'
import { createResolving } from './resolving.ts'

/** Answers under way when we stop get this long to leave. */
const STOP_GRACE_MS = 2_000
const LOOK_AT_ADDRESSES_MS = 30_000
/** A whole system store has some 150. */
const ANCHORS_MAX = 1_000

/** The router, from settings to the moment the signal says stop. Throws a Fault when it cannot start. */
export async function runRouter(
  config: RouterConfig,
  { clock, log, signal }: { readonly clock: Clock; readonly log: Log; readonly signal: AbortSignal },
): Promise<void> {
  const lock = await lockDirectory(config.state)
  const started: { stop(graceMs: number): Promise<void> }[] = [{ stop: () => lock.release() }]
  try {
    const identity = createIdentity(
      config,
      { clock, log },
      (material) => presentOn(encrypted, material),
      () => refresh(),
    )
    const material = await identity.start()

    const context = { clock, log }
    const encrypted: EncryptedListener[] = [
      ...config.listen.dot.map((at) => dotListener(at, material, context)),
      ...config.listen.doh.map((at) => dohListener(at, material, context)),
    ]
    const plain: Listener[] = config.listen.do53.flatMap((at) => [udpListener(at, context), tcpListener(at, context)])
    const listeners = [...plain, ...encrypted]

    const derive = (): Presence =>
      derivePresence({ name: config.identity.name, ...config.advertise }, listeners, identity.identity)
    let presence = derive()
    const refresh = (): void => {
      presence = derive()
    }

    const resolving = await createResolving(config, { ...context, presence: () => presence })
    started.push(resolving)
    for (const listener of listeners) {
      await listener.start(resolving.resolver)
      started.push(listener)
      log.info({ transport: listener.transport, ...listener.endpoint }, 'listening')
    }
    refresh()
    // Interfaces come up after us and are renumbered without telling us.
    const looking = setInterval(refresh, LOOK_AT_ADDRESSES_MS)
    started.push({ stop: async () => clearInterval(looking) })

    const startedMs = clock.monotonicMs()
    const operations = createOperations({
      status: () => ({
        uptimeS: Math.round((clock.monotonicMs() - startedMs) / 1000),
        listeners: listeners.map(({ transport, endpoint }) => ({ transport, ...endpoint })),
        identity: identity.status(),
        presence,
        ...resolving.status(),
      }),
      presence: () => presence,
      identity,
    })
    const admin = await serveOperations(join(config.state, 'admin.sock'), { ...operations, ...resolving.operations })
    started.push({ stop: () => admin.close() })

    await identity.run(signal)
  } finally {
    // Last in, first out; one that fails to stop must not keep the others.
    for (const part of started.toReversed())
      await part.stop(STOP_GRACE_MS).catch((error: unknown) => log.error(explain(error), 'a part did not stop cleanly'))
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

/** All listeners show the new certificate, or all go on with the old one. */
function presentOn(listeners: readonly EncryptedListener[], material: TlsMaterial): void {
  const before: { listener: EncryptedListener; material: TlsMaterial }[] = []
  try {
    for (const listener of listeners) {
      const old = listener.material
      listener.setMaterial(material)
      before.push({ listener, material: old })
    }
  } catch (error) {
    for (const { listener, material: old } of before) listener.setMaterial(old)
    throw error
  }
}
