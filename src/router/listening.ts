import { networkInterfaces } from 'node:os'
import { explain } from '../core/log.ts'
import { type Endpoint, endpointText } from '../net/bind.ts'
import type { TlsMaterial } from '../net/tls.ts'
import { dohListener, type Http2Choice } from './listen/doh.ts'
import type { EncryptedListener, Listener, ListenerContext } from './listen/listener.ts'
import { dotListener, tcpListener } from './listen/tcp.ts'
import { udpListener } from './listen/udp.ts'
import type { Resolver, Transport } from './resolve/resolver.ts'
import type { ListenConfig } from './settings/listen.ts'

/** Answers under way when a listener ends get this long to leave. */
const GRACE_MS = 2_000

interface Wanted {
  readonly transport: Transport
  readonly at: Endpoint
  /** One of the addresses that `0.0.0.0` or `::` stands for: it may go, or not be ready yet, without being a failure. */
  readonly isOneOfAll?: boolean
  /** For DoH: another choice is another listener. */
  readonly http2?: Http2Choice
}

interface Open extends Wanted {
  readonly listener: Listener
}

/** The listeners of a settings file: opened, shown a certificate, and changed by a reload without touching the rest. */
export class Listening {
  readonly #context: ListenerContext
  readonly #resolver: Resolver
  #material: TlsMaterial
  #open: readonly Open[] = []
  /** Those in force. */
  #settings: ListenConfig | undefined
  /** Changes are made one after the other. */
  #lastChange: Promise<void> = Promise.resolve()

  constructor(context: ListenerContext, resolver: Resolver, material: TlsMaterial) {
    this.#context = context
    this.#resolver = resolver
    this.#material = material
  }

  get listeners(): readonly Listener[] {
    return this.#open.map(({ listener }) => listener)
  }

  /**
   * Opens what is new and closes what is no longer wanted; the others and their connections are not touched. Throws a
   * Fault when a new one cannot be opened, and then everything is as it was before.
   */
  apply(settings: ListenConfig): Promise<void> {
    return this.#inTurn(() => this.#change(settings))
  }

  /** Opens what could not be opened before, and follows the addresses that `0.0.0.0` and `::` stand for. */
  look(): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#settings) await this.#change(this.#settings)
    })
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const change = this.#lastChange.then(work)
    this.#lastChange = change.catch(() => {})
    return change
  }

  async #change(settings: ListenConfig): Promise<void> {
    const wanted = wantedBy(settings)
    const stays = this.#open.filter((open) => wanted.some((other) => isSame(open, other)))
    const leaves = this.#open.filter((open) => !stays.includes(open))
    const comes = wanted.filter((other) => !stays.some((open) => isSame(open, other)))
    // 127.0.0.1:53 and 0.0.0.0:53 cannot be open at one time, so these go first.
    const inTheWay = leaves.filter((open) => comes.some(({ at }) => at.port === open.at.port))
    for (const { listener } of inTheWay) await listener.stop(GRACE_MS)
    try {
      const opened = await this.#start(comes)
      this.#open = wanted.flatMap((other) => [...stays, ...opened].find((open) => isSame(open, other)) ?? [])
      // It may have been replaced while they were opened.
      if (opened.length > 0) this.present(this.#material)
    } catch (error) {
      // They are closed. Should that stay so, the next look finds them missing.
      this.#open = this.#open.filter((open) => !inTheWay.includes(open))
      if (inTheWay.length > 0) this.#open = [...this.#open, ...(await this.#start(inTheWay))]
      throw error
    }
    this.#settings = settings
    for (const { listener } of leaves)
      if (!inTheWay.some((open) => open.listener === listener)) await listener.stop(GRACE_MS)
  }

  /** All listeners show the new certificate, or all go on with the old one. */
  present(material: TlsMaterial): void {
    const before: { listener: EncryptedListener; material: TlsMaterial }[] = []
    try {
      for (const listener of this.listeners) {
        if (!isEncrypted(listener)) continue
        const old = listener.material
        listener.setMaterial(material)
        before.push({ listener, material: old })
      }
      this.#material = material
    } catch (error) {
      for (const { listener, material: old } of before) listener.setMaterial(old)
      throw error
    }
  }

  async stop(): Promise<void> {
    await this.#lastChange // what it opens is to be closed
    await Promise.all(this.listeners.map((listener) => listener.stop(GRACE_MS)))
  }

  /** All of them, or none and a Fault. */
  async #start(wanted: readonly Wanted[]): Promise<Open[]> {
    const started: Open[] = []
    try {
      for (const one of wanted) {
        const listener = this.#create(one)
        try {
          await listener.start(this.#resolver)
        } catch (error) {
          if (one.isOneOfAll !== true) throw error
          this.#context.log.debug(explain(error), 'an address is not ready yet')
          continue
        }
        started.push({ ...one, listener })
        this.#context.log.info({ transport: one.transport, ...listener.endpoint }, 'listening')
      }
      return started
    } catch (error) {
      for (const { listener } of started) await listener.stop(0)
      throw error
    }
  }

  #create({ transport, at, http2 }: Wanted): Listener {
    switch (transport) {
      case 'udp':
        return udpListener(at, this.#context)
      case 'tcp':
        return tcpListener(at, this.#context)
      case 'dot':
        return dotListener(at, this.#material, this.#context)
      case 'doh':
        return dohListener(at, this.#material, this.#context, http2)
    }
  }
}

function wantedBy({ do53, dot, doh, http2 }: ListenConfig): Wanted[] {
  return [
    ...do53.flatMap(udpWantedBy),
    ...do53.map((at): Wanted => ({ transport: 'tcp', at })),
    ...dot.map((at): Wanted => ({ transport: 'dot', at })),
    ...doh.map((at): Wanted => ({ transport: 'doh', at, http2 })),
  ]
}

/**
 * An answer must leave from the address that was asked (RFC 2181 §4.1). A UDP socket on all addresses would leave the
 * choice to the kernel, so each address gets a socket of its own; main.ts applies the settings again when they change.
 */
function udpWantedBy(at: Endpoint): Wanted[] {
  if (at.host !== ANY_IPV4 && at.host !== ANY) return [{ transport: 'udp', at }]
  const addresses = Object.entries(networkInterfaces()).flatMap(([name, list]) =>
    (list ?? [])
      .filter(({ family }) => at.host === ANY || family === 'IPv4')
      .map(({ address }) => (address.startsWith('fe80:') ? `${address}%${name}` : address)),
  )
  return addresses.map((host) => ({ transport: 'udp', at: { host, port: at.port }, isOneOfAll: true }))
}
const ANY_IPV4 = '0.0.0.0'
const ANY = '::'

function isSame(a: Wanted, b: Wanted): boolean {
  return a.transport === b.transport && a.http2 === b.http2 && endpointText(a.at) === endpointText(b.at)
}

function isEncrypted(listener: Listener): listener is EncryptedListener {
  return 'setMaterial' in listener
}
