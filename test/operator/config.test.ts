import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { loadOperatorConfig } from '../../src/operator/config.ts'

const directory = await mkdtemp(join(tmpdir(), 'hearth-operator-config-'))
afterAll(() => rm(directory, { recursive: true }))

async function load(...authorities: readonly string[]) {
  const file = join(directory, 'hearth-operator.yaml')
  const list = authorities.map((one) => `  - { ${one} }`).join('\n')
  await writeFile(file, `zone: { name: cpe.example, hook: /bin/true }\nauthorities:\n${list}\n`)
  return loadOperatorConfig(file)
}
const DIRECTORY = 'directory: https://ca.example/dir'

it.each(['star', 'delegation'])('an authority of kind %s stands alone', async (kind) => {
  const { authorities } = await load(`name: next, kind: ${kind}, ${DIRECTORY}`)
  expect(authorities).toMatchObject([{ name: 'next', kind, directory: 'https://ca.example/dir' }])
  const two = load(`name: next, kind: ${kind}, ${DIRECTORY}`, 'name: backup, kind: internal')
  await expect(two).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringMatching(/authorities\.0\.kind: next keeps the certificates itself.*let it stand alone/),
  })
})

it.each(['acme', 'star', 'delegation'])('an authority of kind %s needs a directory', async (kind) => {
  await expect(load(`name: next, kind: ${kind}`)).rejects.toMatchObject({
    message: expect.stringContaining(`an authority of kind ${kind} needs a directory`),
  })
})
