import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../core/clock.ts'

/**
 * Whether the wall clock can be right. Boards without a battery start in the past, and time servers are found by DNS
 * (dns §9.10). It cannot be earlier than when this program was built or last wrote its state; later cannot be told.
 */
export interface ClockTrust {
  readonly floorMs: number
  isTrusted(): boolean
}

/** Milliseconds since 1970; scripts/build.mjs writes it in. A program run from its source has no such moment. */
const BUILT_MS = Number(process.env.HEARTH_BUILT_MS ?? 0)
/** More files than any state directory has. */
const FILES_MAX = 1_000

/** `stateDir` may not be there yet. */
export async function createClockTrust(clock: Clock, stateDir: string, builtMs = BUILT_MS): Promise<ClockTrust> {
  const names = (await readdir(stateDir).catch(() => [])).slice(0, FILES_MAX)
  const written = await Promise.all(names.map((name) => stat(join(stateDir, name)).catch(() => undefined)))
  // Socket and lock are made anew at each start, whatever the clock says then.
  const floorMs = Math.max(builtMs, ...written.map((found) => (found?.isFile() === true ? found.mtimeMs : 0)))
  return { floorMs, isTrusted: () => clock.nowMs() >= floorMs }
}
