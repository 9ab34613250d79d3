import { ConnectionError } from './error.ts'

/** What every client sends first (RFC 9113 §3.4). */
export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1')

/** Reads the client's preface, split anywhere. */
export class PrefaceReader {
  #have = 0

  get done(): boolean {
    return this.#have === PREFACE.length
  }

  /** How many octets of the chunk belonged to it. Throws at the first octet that does not. */
  take(chunk: Uint8Array): number {
    const count = Math.min(chunk.length, PREFACE.length - this.#have)
    for (let at = 0; at < count; at++)
      if (chunk[at] !== PREFACE[this.#have + at])
        throw new ConnectionError('PROTOCOL_ERROR', 'this is not an HTTP/2 connection preface')
    this.#have += count
    return count
  }
}
