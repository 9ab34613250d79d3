import { Fault } from '../../core/fault.ts'
import type { Endpoint } from '../../net/bind.ts'
import type { Answer, Query, Resolver } from '../resolve/resolver.ts'

/** One connection to an upstream, open or being opened, with many questions on it. */
export interface WarmConnection {
  /** False once it is closed or full: the next question gets another one. */
  readonly usable: boolean
  readonly everConnected: boolean
  /** Throws ConnectionLost when the connection ends under the question. */
  ask(query: Query): Promise<Answer>
}

export class ConnectionLost extends Error {}

/** A resolver over one warm connection at a time. `open` calls `onClose` once, after it has returned. */
export function warmUpstream(
  { id, endpoints }: { readonly id: string; readonly endpoints: readonly Endpoint[] },
  open: (endpoint: Endpoint, onClose: () => void) => WarmConnection,
): Resolver {
  let current: WarmConnection | undefined
  let turn = 0

  const connection = (): WarmConnection => {
    if (current?.usable) return current
    const opened = open(endpoints[turn % endpoints.length]!, () => {
      if (current === opened) current = undefined
      if (!opened.everConnected) turn++ // the next question tries the next pinned address
    })
    current = opened
    return opened
  }

  return {
    id,
    async resolve(query) {
      const first = connection()
      const fresh = !first.everConnected
      try {
        return await first.ask(query)
      } catch (error) {
        // A server may close an idle connection just as we use it (RFC 7766 §6.2.4): ask once more on a new one.
        if (fresh || !(error instanceof ConnectionLost)) throw faultOf(error)
        return await connection()
          .ask(query)
          .catch((second: unknown) => Promise.reject(faultOf(second)))
      }
    },
  }
}

function faultOf(error: unknown): unknown {
  return error instanceof ConnectionLost ? new Fault('UPSTREAM_UNREACHABLE', error.message, {}, error.cause) : error
}
