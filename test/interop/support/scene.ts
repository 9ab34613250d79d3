import { mkdtempSync, rmSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll } from 'vitest'
import { stopAllDaemons } from './daemon.ts'

/** A place for the files of one test file. */
export interface Scene {
  readonly directory: string
  path(...parts: readonly string[]): string
  write(name: string, content: string | Uint8Array, mode?: number): Promise<string>
  /** Settings as JSON, which is YAML. */
  settings(name: string, tree: object): Promise<string>
}

/** To be called once at the top of a file: afterwards its daemons are stopped and its directory is removed. */
export function openScene(): Scene {
  const directory = mkdtempSync(join(tmpdir(), 'hearth-interop-'))
  afterAll(async () => {
    await stopAllDaemons()
    rmSync(directory, { recursive: true, force: true })
  })
  const path = (...parts: readonly string[]): string => join(directory, ...parts)
  const write = async (name: string, content: string | Uint8Array, mode = 0o600): Promise<string> => {
    await mkdir(dirname(path(name)), { recursive: true })
    await writeFile(path(name), content, { mode })
    return path(name)
  }
  return { directory, path, write, settings: (name, tree) => write(name, `${JSON.stringify(tree, null, 2)}\n`) }
}
