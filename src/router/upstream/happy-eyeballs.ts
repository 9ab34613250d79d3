import { isIPv6 } from 'node:net'
import { Fault } from '../../core/fault.ts'
import type { Endpoint } from '../../net/bind.ts'

/** Connection Attempt Delay (RFC 8305 §5). */
const STAGGER_MS = 250

/** One connection being made. */
export interface Attempt<T> {
  readonly done: Promise<T>
  /** Gives it up, and closes what it led to if it was too late for that. */
  cancel(): void
}

export interface Winner<T> {
  readonly endpoint: Endpoint
  readonly connection: T
}

/**
 * Happy eyeballs (RFC 8305): the addresses are tried in their order, the next one when the last has failed or is slow, and
 * the first connection that is complete wins. The others are given up. At most one attempt per address.
 */
export function firstToConnect<T>(
  endpoints: readonly Endpoint[],
  attempt: (endpoint: Endpoint) => Attempt<T>,
): Attempt<Winner<T>> {
  const running = new Set<Attempt<T>>()
  let next = 0
  let timer: NodeJS.Timeout | undefined
  let isOver = false
  const stop = (): void => {
    isOver = true
    clearTimeout(timer)
    for (const other of running) other.cancel()
    running.clear()
  }
  const done = new Promise<Winner<T>>((resolve, reject) => {
    let reason: unknown
    const start = (): void => {
      clearTimeout(timer)
      const endpoint = endpoints[next++]!
      const one = attempt(endpoint)
      running.add(one)
      one.done.then(
        (connection) => {
          running.delete(one)
          if (isOver) return
          stop()
          resolve({ endpoint, connection })
        },
        (error: unknown) => {
          running.delete(one)
          reason = graver(reason, error)
          if (isOver) return reject(reason)
          if (next < endpoints.length) start()
          else if (running.size === 0) reject(reason)
        },
      )
      if (next === endpoints.length) return
      timer = setTimeout(start, STAGGER_MS)
      timer.unref()
    }
    start()
  })
  return { done, cancel: stop }
}

/** That one address is dead says less than that another one is not who it should be. */
function graver(known: unknown, error: unknown): unknown {
  return known instanceof Fault && known.code === 'UPSTREAM_UNTRUSTED' ? known : error
}

/** The last winner first, then IPv6 and IPv4 in turns, IPv6 first (RFC 8305 §4). */
export function connectionOrder(endpoints: readonly Endpoint[], winner: Endpoint | undefined): readonly Endpoint[] {
  const isWinner = ({ host, port }: Endpoint): boolean => host === winner?.host && port === winner.port
  const others = endpoints.filter((endpoint) => !isWinner(endpoint))
  const v6 = others.filter(({ host }) => isIPv6(host))
  const v4 = others.filter(({ host }) => !isIPv6(host))
  const inTurns = Array.from({ length: Math.max(v6.length, v4.length) }, (_, at) => [v6[at], v4[at]]).flat()
  return [...endpoints.filter(isWinner), ...inTurns.filter((endpoint) => endpoint !== undefined)]
}
