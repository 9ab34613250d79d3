import type { AuthorityPool } from '../authority/pool.ts'

/** How the authorities do, as the admin API, its page and the metrics show it. Looking at it costs nothing. */
export type AuthorityHealth = Pick<AuthorityPool, 'status' | 'failOvers'>
