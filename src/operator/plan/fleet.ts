import { type StarPlan, starPlan } from '../../acme/star.ts'
import { seededRandom } from '../../core/seeded-random.ts'
import type { BudgetLimits } from '../schedule/budget.ts'
import { spreadFraction } from '../schedule/renewal.ts'
import { PARALLEL_MAX } from '../worker.ts'

/** A fleet of routers that all have a certificate, at evenly spread moments of its life, and who issues for it. */
export interface Fleet {
  readonly devices: number
  /** Nominal, as routers ask for it. */
  readonly lifetimeMs: number
  /** In order of preference. */
  readonly authorities: readonly { readonly name: string; readonly limits: BudgetLimits }[]
  readonly spread: number
  readonly urgentShare: number
  /** Of one instance, as in the settings. */
  readonly ordersPerMinute: number
  /** How long each CA takes for one certificate, dns-01 included; and how long one that is out takes to fail. */
  readonly issuanceMs: number
  /** Those with the role `worker`. */
  readonly instances: number
}

/** Twice of what the fleet keeps busy on average: there must be something left to catch up with after an outage. */
const HEADROOM = 2

/** How many instances this fleet should have. */
export function instancesFor({
  devices,
  lifetimeMs,
  issuanceMs,
}: Pick<Fleet, 'devices' | 'lifetimeMs' | 'issuanceMs'>): number {
  return Math.max(1, Math.ceil((HEADROOM * devices * issuanceMs) / lifetimeMs / PARALLEL_MAX))
}

/** Issuances that all instances have under way at most. */
export function parallelMax({ instances }: Fleet): number {
  return instances * PARALLEL_MAX
}

/** When a simulation begins: long enough after 1970 for every window to be empty at first. */
export const START_MS = Date.UTC(2027, 0, 1)
const AGE_LIFETIMES = 3
const END_MS = START_MS + 100 * 366 * 86_400_000

/** The STAR plans of all devices. Made once for all courses of a fleet: half a second for each hundred thousand. */
export interface Population {
  /** One object, written over at each call: fifty million would be garbage. */
  planOf(device: number): StarPlan
}

export function populate({ devices, lifetimeMs, spread }: Fleet): Population {
  const random = seededRandom(1)
  const startMs = new Float64Array(devices)
  const adjustMs = new Float64Array(devices)
  const terms = {
    startMs: START_MS - AGE_LIFETIMES * lifetimeMs,
    endMs: END_MS,
    lifetimeS: Math.ceil(lifetimeMs / 1000),
    lifetimeAdjustS: 0,
  }
  for (let device = 0; device < devices; device++) {
    const fraction = spreadFraction(`device ${device}`, spread)
    adjustMs[device] = starPlan({ ...terms, fraction }).adjustMs
    // In order of the moments they renew at, so that those due together lie together in memory: four times as fast.
    startMs[device] = START_MS + ((device + random()) / devices - 2) * lifetimeMs + adjustMs[device]!
  }
  const shared: { -readonly [K in keyof StarPlan]: StarPlan[K] } = starPlan(terms)
  return {
    planOf(device) {
      shared.startMs = startMs[device]!
      shared.adjustMs = adjustMs[device]!
      return shared
    },
  }
}
