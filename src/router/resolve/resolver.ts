import type { PreparedAnswer } from '../../dns/answer.ts'
import type { ExtendedError } from '../../dns/edns.ts'
import type { MessageView } from '../../dns/view.ts'

export type Transport = 'udp' | 'tcp' | 'dot' | 'doh'

export interface Client {
  /** Textual IP address, IPv4-mapped addresses already shortened to IPv4. */
  readonly address: string
  readonly transport: Transport
  /** Clients of one scope share cached answers; absent for all whose questions go the ordinary way. */
  readonly scope?: string
}

/** What a listener makes out of bytes. */
export interface Query {
  /** Reads the packet in place; nobody writes to it. */
  readonly view: MessageView
  readonly client: Client
  /** On the monotonic clock; after this nobody is waiting for the answer. */
  readonly deadlineMs: number
}

export interface Answer {
  readonly kind: 'answer'
  /**
   * A whole response without its OPT record: OPT is hop-by-hop (RFC 6891 §6.2.6), the listener writes its own.
   * Valid until the next `resolve` of the same chain: a cache hit lives in one reused buffer, so a listener copies at once.
   */
  readonly wire: Uint8Array
  /** Which layer or upstream made it, for logs and tests. */
  readonly from: string
  /** Seconds a DoH cache may keep it (RFC 8484 §5.1); absent for failures, which no one may keep. */
  readonly freshS?: number
  readonly extendedErrors?: readonly ExtendedError[]
  /** What checking an upstream's answer already found out, so that the cache need not walk it again. */
  readonly prepared?: PreparedAnswer
  /**
   * The answer to a signed question, OPT and signature included: given byte for byte, with only the id the asker's, kept by
   * no cache and shared with nobody (RFC 5625 §4.5).
   */
  readonly verbatim?: true
}

/** Never null: "send nothing" is a value with a reason. */
export type Outcome = Answer | { readonly kind: 'drop'; readonly reason: 'not-allowed' | 'rate-limit' | 'malformed' }

/** A line of `hearth why NAME`: what one layer would do with a question. */
export interface Reason {
  readonly layer: string
  readonly says: string
  /** True: the question ends here, the layers below are not asked. */
  readonly decides: boolean
}

/** What a layer that has something to say offers beside itself. Nothing is asked and nothing changes. */
export type Explain = (question: { readonly name: string; readonly type: number }, client: string) => Reason | undefined

/** Every layer, every upstream, the whole chain. A hit answers in the same tick (design §3.3). */
export interface Resolver {
  readonly id: string
  resolve(query: Query, signal: AbortSignal): Outcome | Promise<Outcome>
}

/** A resolver whose next hop is the network. It keeps the deadline of a query itself: by then it has answered or thrown. */
export interface Upstream extends Resolver {
  /** The link to the network has changed: closes warm connections and sockets, without failing what can be asked again. */
  reset?(): void
  /** Takes no more questions; what is under way is answered first. */
  close?(): void
}
