import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { describeSettings } from '../src/core/settings-reference.ts'
import { loadOperatorConfig, OPERATOR_SETTINGS } from '../src/operator/config.ts'
import { loadRouterConfig, ROUTER_SETTINGS } from '../src/router/config.ts'

const SAMPLES = join(import.meta.dirname, '../config')

let directory: string
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'hearth-samples-'))
  for (const file of ['hearth.yaml', 'hearth-operator.yaml']) await copyFile(join(SAMPLES, file), join(directory, file))
  for (const key of ['eab.key', 'tsig.key']) await writeFile(join(directory, key), 'c2VjcmV0\n', { mode: 0o600 })
})
afterAll(() => rm(directory, { recursive: true }))

describe('the commented samples in config/', () => {
  it('hearth.yaml is read, with paths relative to itself', async () => {
    const config = await loadRouterConfig(join(directory, 'hearth.yaml'))
    expect(config.state).toBe(join(directory, 'state'))
    expect(config.identity.acmeDelegation.eab).toEqual({ kid: 'cpe-7f3a9c21d0.example.net', key: 'c2VjcmV0' })
    expect(config.upstreams.map(({ address }) => address.name)).toEqual(['dns.quad9.net', 'dns.quad9.net'])
  })

  it('hearth-operator.yaml is read', async () => {
    const config = await loadOperatorConfig(join(directory, 'hearth-operator.yaml'))
    expect(config.store).toBe(`pglite:${join(directory, 'state')}/store`)
    expect(config.zone.dnsUpdate?.key?.secret.toString()).toBe('secret')
    expect(config.authorities.map(({ kind }) => kind)).toEqual(['acme', 'internal'])
  })

  it.each([
    ['hearth.yaml', ROUTER_SETTINGS],
    ['hearth-operator.yaml', OPERATOR_SETTINGS],
  ] as const)('%s names every key there is', async (file, settings) => {
    const text = await readFile(join(SAMPLES, file), 'utf8')
    const keys = describeSettings(settings).map(({ key }) => key.split('.').at(-1)!)
    expect(keys.filter((key) => !new RegExp(`\\b${key}:`).test(text))).toEqual([])
  })

  it('a key file that others may read is refused, with the command that mends it', async () => {
    const open = await mkdtemp(join(tmpdir(), 'hearth-samples-'))
    await copyFile(join(SAMPLES, 'hearth.yaml'), join(open, 'hearth.yaml'))
    await writeFile(join(open, 'eab.key'), 'c2VjcmV0\n', { mode: 0o644 })
    await expect(loadRouterConfig(join(open, 'hearth.yaml'))).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining(`chmod 600 ${join(open, 'eab.key')}`),
    })
    await rm(open, { recursive: true })
  })
})
