/** Counts open connections, in all and per client address, and refuses those over the bound. */
export class ConnectionLimit {
  readonly #totalMax: number
  readonly #perClientMax: number
  readonly #perClient = new Map<string, number>()
  #total = 0

  constructor(totalMax: number, perClientMax: number) {
    this.#totalMax = totalMax
    this.#perClientMax = perClientMax
  }

  /** The function that gives the place back (once), or undefined when there is none. */
  admit(address: string): (() => void) | undefined {
    const ofClient = this.#perClient.get(address) ?? 0
    if (this.#total >= this.#totalMax || ofClient >= this.#perClientMax) return undefined
    this.#total++
    this.#perClient.set(address, ofClient + 1)
    let open = true
    return () => {
      if (!open) return
      open = false
      this.#total--
      const left = this.#perClient.get(address)! - 1
      if (left > 0) this.#perClient.set(address, left)
      else this.#perClient.delete(address)
    }
  }

  get open(): number {
    return this.#total
  }
}
