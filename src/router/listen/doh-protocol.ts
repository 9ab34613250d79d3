import type { Readable } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import type { Client } from '../resolve/resolver.ts'
import { MESSAGE_BYTES_MAX } from './reply.ts'

/** One version of HTTP, on connections it is handed. */
export interface DohProtocol {
  take(socket: TLSSocket, client: Client): void
  /** No new requests; each connection ends when its open ones are answered. */
  finish(): void
}

/** HTTP requests and their header lists. */
export const HEADER_LIST_BYTES_MAX = 16_384
/** Time from one sign of life to the next before an idle connection is closed. */
export const IDLE_MS = 60_000

/** Reads at most a chunk more than a message may have: enough to refuse it. */
export function readBody(from: Readable, done: (body: Uint8Array) => void): void {
  const chunks: Buffer[] = []
  let length = 0
  from.on('data', (chunk: Buffer) => {
    if (length <= MESSAGE_BYTES_MAX) chunks.push(chunk)
    length += chunk.length
    if (length > MESSAGE_BYTES_MAX && length - chunk.length <= MESSAGE_BYTES_MAX) done(Buffer.concat(chunks))
  })
  from.on('end', () => {
    if (length <= MESSAGE_BYTES_MAX) done(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks))
  })
}
