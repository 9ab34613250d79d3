import type { Reply } from './hpack-encoder.ts'
import type { RequestHead } from './request-head.ts'

/** What answers the requests of one connection. A reply that is no promise leaves in the turn that read its request. */
export interface Handler {
  /** A body that has grown to this is handed over as it is; what follows is not read. */
  readonly bodyBytesMax: number
  /** Judges a request by its head. Undefined: its body is wanted, `finish` will be called with it. */
  begin(head: RequestHead): Reply | Promise<Reply> | undefined
  finish(body: Buffer): Reply | Promise<Reply>
  /** Hears of an error thrown by the two above. It ends that request only. */
  failed(error: unknown): void
}

/** What the connections of a server share. */
export interface Shared {
  readonly gather: Buffer
  /** For the date field, a second old at most. */
  readonly date: string
  monotonicMs(): number
}
