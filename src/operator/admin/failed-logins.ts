import type { Clock } from '../../core/clock.ts'
import { clientNetwork } from '../../net/client-network.ts'

/** Failures of one client within the window, after which it is not listened to until the window is over. */
const FAILURES_MAX = 10
const WINDOW_MS = 60_000
/** A megabyte. When there are more clients that fail, the one that began first is forgotten. */
const CLIENTS_MAX = 10_000

/** Who showed wrong tokens of late. Tokens cannot be guessed; what this saves is the store, and the log. */
export interface FailedLogins {
  /** Milliseconds until this client is listened to again; 0: now. */
  blockedMs(address: string): number
  failed(address: string): void
}

export function failedLogins(clock: Clock): FailedLogins {
  const clients = new Map<string, { count: number; readonly sinceMs: number }>()
  const recent = (client: string) => {
    const found = clients.get(client)
    if (found && clock.monotonicMs() - found.sinceMs < WINDOW_MS) return found
    clients.delete(client)
    return undefined
  }
  return {
    blockedMs(address) {
      const found = recent(clientNetwork(address))
      return found && found.count >= FAILURES_MAX ? found.sinceMs + WINDOW_MS - clock.monotonicMs() : 0
    },
    failed(address) {
      const client = clientNetwork(address)
      const found = recent(client)
      if (found) found.count++
      else {
        const oldest = clients.keys().next()
        if (clients.size >= CLIENTS_MAX && !oldest.done) clients.delete(oldest.value)
        clients.set(client, { count: 1, sinceMs: clock.monotonicMs() })
      }
    },
  }
}
