import type { Clock } from '../../core/clock.ts'
import type { AuthorityHealth } from '../watch/authority-health.ts'

export interface Readiness {
  readonly isReady: boolean
  /** For people: why not. */
  readonly reason: string
}

const STORE_MS_MAX = 2_000
/** However often monitors ask, the store is asked this often. */
const FRESH_MS = 1_000

/** Ready when the store answers and at least one authority can be asked. */
export function readiness(options: {
  readonly askStore: () => Promise<unknown>
  readonly health: Pick<AuthorityHealth, 'status'>
  readonly clock: Clock
}): () => Promise<Readiness> {
  const { askStore, health, clock } = options
  let storeAnswers: Promise<boolean> | undefined
  let askedMs = 0
  return async () => {
    if (!storeAnswers || clock.monotonicMs() - askedMs >= FRESH_MS) {
      askedMs = clock.monotonicMs()
      storeAnswers = within(askStore())
    }
    if (!(await storeAnswers)) return { isReady: false, reason: 'the store does not answer' }
    // Forwarded orders go to one that is not watched.
    const states = health.status()
    if (states.length > 0 && states.every(({ state }) => state === 'open'))
      return { isReady: false, reason: 'no authority can be asked' }
    return { isReady: true, reason: 'ready' }
  }
}

async function within(asked: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), STORE_MS_MAX)
  })
  try {
    return await Promise.race([asked.then(() => true), late])
  } catch {
    return false
  } finally {
    clearTimeout(timer)
  }
}
