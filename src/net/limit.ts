import { clientNetwork } from './client-network.ts'

/** Connections asked to give up their place before a new one is refused: enough to find an idle one among busy ones. */
const ASKED_TO_LEAVE_MAX = 64

interface Place {
  readonly giveUp: (() => boolean) | undefined
}

/**
 * Counts open connections, in all and per client (an IPv4 address or a /64 of IPv6), and refuses those over the bound.
 * When all places are taken, the client that has most of them gives up an idle one to a client that has fewer.
 */
export class ConnectionLimit {
  /** May be changed; connections that are over a new bound stay until they end. */
  totalMax: number
  perClientMax: number
  readonly #perClient = new Map<string, Set<Place>>()
  #total = 0

  constructor(totalMax: number, perClientMax: number) {
    this.totalMax = totalMax
    this.perClientMax = perClientMax
  }

  /**
   * The function that gives the place back (once), or undefined when there is none. `giveUp` ends the connection if it is
   * idle and says whether it did; its place is free from then on.
   */
  admit(address: string, giveUp?: () => boolean): (() => void) | undefined {
    const client = clientNetwork(address)
    const taken = this.#perClient.get(client)?.size ?? 0
    if (taken >= this.perClientMax) return undefined
    if (this.#total >= this.totalMax && !this.#makeRoom(taken)) return undefined
    const place: Place = { giveUp }
    this.#total++
    const places = this.#perClient.get(client)
    if (places) places.add(place)
    else this.#perClient.set(client, new Set([place]))
    return () => this.#leave(client, place)
  }

  get open(): number {
    return this.#total
  }

  #leave(client: string, place: Place): void {
    const places = this.#perClient.get(client)
    if (!places?.delete(place)) return
    this.#total--
    if (places.size === 0) this.#perClient.delete(client)
  }

  /** For a client that has `taken` places. Of two with as many, neither makes room for the other. */
  #makeRoom(taken: number): boolean {
    let most: readonly [string, Set<Place>] | undefined
    for (const entry of this.#perClient) if (!most || entry[1].size > most[1].size) most = entry
    if (!most || most[1].size <= taken + 1) return false
    const [client, places] = most
    let asked = 0
    // The oldest first.
    for (const place of places) {
      if (asked++ === ASKED_TO_LEAVE_MAX) return false
      if (!place.giveUp?.()) continue
      this.#leave(client, place)
      return true
    }
    return false
  }
}

/** Counts work under way, in all and per client, so that no client can take all of it. */
export class WorkLimit {
  readonly #totalMax: number
  readonly #perClientMax: number
  readonly #perClient = new Map<string, number>()
  #total = 0

  constructor(totalMax: number, perClientMax: number) {
    this.#totalMax = totalMax
    this.#perClientMax = perClientMax
  }

  get open(): number {
    return this.#total
  }

  hasRoomFor(address: string): boolean {
    // The usual case, and cheap: nobody can have more than there is.
    if (this.#total < this.#perClientMax) return this.#total < this.#totalMax
    return this.#total < this.#totalMax && (this.#perClient.get(clientNetwork(address)) ?? 0) < this.#perClientMax
  }

  begin(address: string): void {
    const client = clientNetwork(address)
    this.#total++
    this.#perClient.set(client, (this.#perClient.get(client) ?? 0) + 1)
  }

  end(address: string): void {
    const client = clientNetwork(address)
    const left = this.#perClient.get(client)! - 1
    this.#total--
    if (left > 0) this.#perClient.set(client, left)
    else this.#perClient.delete(client)
  }
}
