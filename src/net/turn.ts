let waiting: (() => void)[] = []

/**
 * Calls `send` when everything has been read that this turn of the event loop brought. Datagrams that leave one after
 * the other wake the process at the other end once, and waking it costs more than all else about a datagram. What waits
 * is bounded by what one turn can bring.
 */
export function afterReading(send: () => void): void {
  if (waiting.push(send) === 1) setImmediate(sendAll)
}

/** Resolves when all that waits has been sent. */
export function allSent(): Promise<void> {
  return new Promise((resolve) => afterReading(resolve))
}

function sendAll(): void {
  const sends = waiting
  waiting = []
  for (const send of sends) send()
}
