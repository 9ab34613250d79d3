import { Fault, reasonOf } from '../../core/fault.ts'
import { explain, type Log } from '../../core/log.ts'
import { type Authority, ISSUE_MS_MAX } from './authority.ts'

/** Asks the authorities in order until one issues: the backup stands in while the primary is out. Is itself an Authority. */
export function firstThatIssues(authorities: readonly Authority[], log: Log): Authority {
  return {
    id: authorities.map((authority) => authority.id).join(', then '),
    async issue(wish, attempt) {
      const reasons: string[] = []
      for (const authority of authorities) {
        try {
          // Each has its own time: one that hangs must leave the next one all of it.
          const signal = AbortSignal.any([attempt.signal, AbortSignal.timeout(ISSUE_MS_MAX)])
          return await authority.issue(wish, { ...attempt, signal })
        } catch (error) {
          if (attempt.signal.aborted) throw error
          reasons.push(`${authority.id}: ${reasonOf(error)}`)
          log.warn({ authority: authority.id, names: wish.names, ...explain(error) }, 'authority did not issue')
        }
      }
      throw new Fault(
        'AUTHORITY_UNAVAILABLE',
        `no authority issued for ${wish.names.join(', ')}: ${reasons.join('; ')}`,
      )
    },
  }
}
