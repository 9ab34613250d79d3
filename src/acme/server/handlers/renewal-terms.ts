import { isJsonObject, type JsonObject } from '../../json.ts'
import { AcmeProblem } from '../../problem.ts'
import { buildDate, parseDateMs, type RenewalTerms } from '../../resource.ts'
import type { AcmeContext } from '../context.ts'

/**
 * The `auto-renewal` object of a newOrder (RFC 8739 §3.1.1). Terms outside our bounds are refused, naming the bound:
 * silently ordering something else would surprise whoever asked.
 */
export function readRenewalTerms(value: unknown, { autoRenewal, clock }: AcmeContext): RenewalTerms {
  if (!isJsonObject(value)) throw malformed('"auto-renewal" is not an object')
  if (!autoRenewal) throw malformed('this server does not renew certificates by itself')
  const nowMs = clock.nowMs()
  const startMs = readDate(value, 'start-date')
  const endMs = readDate(value, 'end-date')
  if (endMs === undefined) throw malformed('"auto-renewal" has no "end-date"')
  if (endMs <= Math.max(nowMs, startMs ?? 0)) {
    throw malformed('"end-date" must come after "start-date", and lie in the future')
  }
  const durationS = (endMs - (startMs ?? nowMs)) / 1000
  if (durationS > autoRenewal.maxDurationS) {
    throw malformed(`from "start-date" to "end-date" at most ${autoRenewal.maxDurationS} s, until ${latestEnd()}`)
  }
  const lifetimeS = readSeconds(value, 'lifetime')
  if (lifetimeS === undefined || lifetimeS < autoRenewal.minLifetimeS) {
    throw malformed(`"lifetime" must be at least ${autoRenewal.minLifetimeS} s`)
  }
  const lifetimeAdjustS = readSeconds(value, 'lifetime-adjust') ?? 0
  return { ...(startMs === undefined ? {} : { startMs }), endMs, lifetimeS, lifetimeAdjustS }

  function latestEnd(): string {
    return buildDate((startMs ?? nowMs) + autoRenewal!.maxDurationS * 1000)
  }
}

function readDate(value: JsonObject, member: string): number | undefined {
  if (value[member] === undefined) return undefined
  const ms = parseDateMs(value[member])
  if (ms === undefined) throw malformed(`"${member}" is not an RFC 3339 date and time`)
  return ms
}

function readSeconds(value: JsonObject, member: string): number | undefined {
  const seconds = value[member]
  if (seconds === undefined) return undefined
  if (typeof seconds !== 'number' || !Number.isSafeInteger(seconds) || seconds < 0) {
    throw malformed(`"${member}" is not a whole number of seconds`)
  }
  return seconds
}

function malformed(detail: string): AcmeProblem {
  return new AcmeProblem('malformed', detail)
}
