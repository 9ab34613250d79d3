/** One request and its answer, from its header block until both sides have ended (RFC 9113 §5.1). */
export class Stream {
  readonly id: number
  readonly isHead: boolean
  readonly startedMs: number
  /** What its head says its body measures. */
  readonly contentLength: number | undefined
  /** Octets the client lets us send on this stream. Negative when it lowered its initial window. */
  sendWindow: number
  /** Octets, padding included, that the client may still send on it. */
  receiveWindow: number
  /** The client has sent END_STREAM: half-closed (remote). */
  remoteEnded: boolean
  /** The handler has what it wants; what still comes of the body is thrown away. */
  handed = false
  /** The handler is at work on it. */
  answering = false
  /** Nobody waits for the answer any more. */
  gone = false
  /** What has come of its body. Undefined for the many requests without one. */
  body: Buffer[] | undefined
  bodyBytes = 0
  /** The part of the answer that no window lets through. */
  rest: Buffer | undefined
  /** When the answer was ready, for one that waits. */
  readyMs = 0

  constructor(
    id: number,
    init: {
      readonly isHead: boolean
      readonly startedMs: number
      readonly contentLength: number | undefined
      readonly sendWindow: number
      readonly receiveWindow: number
      readonly remoteEnded: boolean
    },
  ) {
    this.id = id
    this.isHead = init.isHead
    this.startedMs = init.startedMs
    this.contentLength = init.contentLength
    this.sendWindow = init.sendWindow
    this.receiveWindow = init.receiveWindow
    this.remoteEnded = init.remoteEnded
  }
}
