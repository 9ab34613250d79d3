import type { Migration } from 'kysely/migration'
import * as rowsAndJobs from './0001-rows-and-jobs.ts'
import * as partitions from './0002-partitions.ts'
import * as deviceStates from './0003-device-states.ts'

/** Applied in the order of their names. One that has been released never changes. */
export const MIGRATIONS: Readonly<Record<string, Migration>> = {
  '0001-rows-and-jobs': rowsAndJobs,
  '0002-partitions': partitions,
  '0003-device-states': deviceStates,
}
