import type { Member } from './member.ts'

/** Whom to ask, in which order, and how many before the first has answered. */
export interface Choice {
  readonly inOrder: readonly Member[]
  readonly atOnce: number
}

/** Who is asked at once by `parallel`: a third would load everybody by half as much again for little gain. */
const PARALLEL_MAX = 2
/** Share of the questions for which `fastest` asks another upstream beside the best, to learn how fast it is now. */
const EXPLORED_SHARE = 0.05

/** Each gets those that are up, in the order of the file; at least one. `random` is in [0, 1). */
export const STRATEGIES = {
  failover: (up) => ({ inOrder: up, atOnce: 1 }),
  fastest: (up, random) => {
    const inOrder = byExpectedTime(up)
    if (up.length === 1 || random() >= EXPLORED_SHARE) return { inOrder, atOnce: 1 }
    const [best, ...others] = inOrder as [Member, ...Member[]]
    // The asker does not wait for it, so that exploring costs a question and no time.
    const explored = others[Math.floor(random() * others.length)]!
    return { inOrder: [best, explored, ...others.filter((other) => other !== explored)], atOnce: 2 }
  },
  parallel: (up) => ({ inOrder: byExpectedTime(up), atOnce: PARALLEL_MAX }),
} as const satisfies Record<string, (up: readonly Member[], random: () => number) => Choice>

export type Strategy = keyof typeof STRATEGIES
export const STRATEGY_NAMES = Object.keys(STRATEGIES) as readonly Strategy[]

function byExpectedTime(members: readonly Member[]): readonly Member[] {
  if (members.length === 1) return members
  return members
    .map((member) => ({ member, ms: member.expectedMs() }))
    .sort((a, b) => a.ms - b.ms)
    .map(({ member }) => member)
}
