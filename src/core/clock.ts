/** Time is passed in, so that tests own it. Wall time judges certificates; monotonic time counts TTLs and timeouts. */
export interface Clock {
  /** Milliseconds since 1970 (UTC). May step. */
  nowMs(): number
  /** Milliseconds since some fixed moment. Never steps. */
  monotonicMs(): number
  /** Resolves after `ms` of monotonic time; rejects with the signal's reason when aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

/** setTimeout treats anything longer as 1 ms. */
const TIMEOUT_MS_MAX = 2 ** 31 - 1

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  async sleep(ms, signal) {
    for (let left = ms; left > 0; left -= TIMEOUT_MS_MAX) await sleepOnce(Math.min(left, TIMEOUT_MS_MAX), signal)
  },
}

function sleepOnce(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason)
    const onAbort = (): void => {
      clearTimeout(timer)
      reject(signal?.reason)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    }, ms)
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}
