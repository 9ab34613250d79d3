import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** A settings file of a router whose operator cannot be reached, with the key file it names. `lines` are all the rest. */
export async function writeRouterSettings(directory: string, lines: string): Promise<string> {
  await writeFile(join(directory, 'eab.key'), Buffer.alloc(32, 1).toString('base64url'), { mode: 0o600 })
  const file = join(directory, 'hearth.yaml')
  await writeFile(
    file,
    `identity:
  name: cpe.example.net
  acme-delegation:
    directory: https://127.0.0.1:1/directory
    eab: { kid: cpe, key-file: eab.key }
${lines}`,
  )
  return file
}
