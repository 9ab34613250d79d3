import { type FSWatcher, watch } from 'node:fs'
import { basename, dirname } from 'node:path'
import type { Clock } from '../../../core/clock.ts'

/** Where the system tells us nothing (network file systems, a directory that was replaced), we look this often. */
export const LOOK_MS = 5_000
/** A DHCP server writes its file in several steps. */
export const SETTLE_MS = 200

/**
 * Calls `look` whenever one of the paths, or something in a directory among them, may have changed, and every few seconds
 * besides. One call at a time; it must not throw. Ends with the signal.
 */
export async function watchPaths(
  paths: readonly string[],
  look: () => Promise<void>,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<void> {
  let turn = new AbortController()
  let isTold = false
  const tell = (): void => {
    isTold = true
    turn.abort()
  }
  signal.addEventListener('abort', tell, { once: true })
  const watchers = new Map<string, FSWatcher>()
  const names = new Set(paths.map((path) => basename(path)))
  // The directory, not the file: a file that is replaced by renaming would be watched in its old place.
  const directories = new Set(paths.map((path) => dirname(path)))
  const watchAll = (): void => {
    for (const path of [...directories, ...paths]) {
      if (watchers.has(path)) continue
      const isFolder = !directories.has(path)
      const watcher = tryWatch(path, (file) => {
        if (file === null || isFolder || names.has(file)) tell()
      })
      if (!watcher) continue
      watchers.set(path, watcher)
      watcher.on('error', () => {
        watcher.close()
        watchers.delete(path)
      })
    }
  }
  try {
    while (!signal.aborted) {
      watchAll()
      await sleep(clock, LOOK_MS, turn.signal)
      if (isTold) await sleep(clock, SETTLE_MS, signal)
      if (signal.aborted) break
      isTold = false
      turn = new AbortController()
      await look()
    }
  } finally {
    signal.removeEventListener('abort', tell)
    for (const watcher of watchers.values()) watcher.close()
  }
}

function tryWatch(path: string, changed: (file: string | null) => void): FSWatcher | undefined {
  try {
    return watch(path, { persistent: false }, (_, file) => changed(file))
  } catch {
    return undefined // not there yet, or no more watches to be had
  }
}

/** Being woken early is not an error here. */
async function sleep(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  await clock.sleep(ms, signal).catch(() => {})
}
