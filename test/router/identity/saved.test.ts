import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import type { Identity } from '../../../src/pki/issuer.ts'
import { type Credential, loadCredential, saveCredential } from '../../../src/router/identity/saved.ts'
import { TestAuthority } from '../../support/tls.ts'

let credential: Credential
beforeAll(async () => {
  const { keyPem, chain } = await (await TestAuthority.create()).leaf()
  const identity: Identity = {
    names: ['dns.test'],
    chain,
    notBeforeMs: 1_000_000,
    notAfterMs: 9_000_000,
    renewAtMs: 5_000_000,
    star: { url: 'https://acme.test/star/1', lifetimeS: 8000, lifetimeAdjustS: 4000, endMs: 90_000_000 },
  }
  credential = { identity, keyPem }
})

async function stateDir(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'hearth-saved-'))
  onTestFinished(() => rm(directory, { recursive: true }))
  return directory
}
const unexpected = (file: string, reason: unknown): never => {
  throw new Error(`${file}: ${String(reason)}`)
}

describe('a saved credential', () => {
  it('comes back as it was, with and without STAR terms', async () => {
    const directory = await stateDir()
    const { star: _, ...plain } = credential.identity
    for (const identity of [credential.identity, plain]) {
      await saveCredential(directory, { identity, keyPem: credential.keyPem })
      const loaded = await loadCredential(directory, unexpected)
      expect(loaded?.keyPem).toBe(credential.keyPem)
      expect({
        ...loaded!.identity,
        chain: loaded!.identity.chain.map((der) => Buffer.from(der).toString('hex')),
      }).toEqual({
        ...identity,
        chain: identity.chain.map((der) => Buffer.from(der).toString('hex')),
      })
    }
  })

  it('is one file that nobody else may read, in a directory made for it, with nothing left beside it', async () => {
    const directory = join(await stateDir(), 'deep', 'state')
    await saveCredential(directory, credential)
    await saveCredential(directory, credential)
    expect(await readdir(directory)).toEqual(['identity.json'])
    expect((await stat(join(directory, 'identity.json'))).mode & 0o777).toBe(0o600)
    expect((await stat(directory)).mode & 0o777).toBe(0o700)
  })

  it('is the old one or the new one, whenever it is read', async () => {
    const directory = await stateDir()
    await saveCredential(directory, credential)
    const other: Credential = { ...credential, identity: { ...credential.identity, renewAtMs: 6_000_000 } }
    let writing = true
    const writer = (async () => {
      for (let index = 0; index < 20; index++) await saveCredential(directory, index % 2 === 0 ? other : credential)
      writing = false
    })()
    while (writing)
      expect([5_000_000, 6_000_000]).toContain((await loadCredential(directory, unexpected))?.identity.renewAtMs)
    await writer
  })

  it('that is not there is nothing', async () => {
    expect(await loadCredential(await stateDir(), unexpected)).toBeUndefined()
    expect(await loadCredential(join(await stateDir(), 'none'), unexpected)).toBeUndefined()
  })
})

describe('a damaged file', () => {
  const whole = async (): Promise<Record<string, unknown>> => {
    const directory = await stateDir()
    await saveCredential(directory, credential)
    return JSON.parse(await readFile(join(directory, 'identity.json'), 'utf8')) as Record<string, unknown>
  }

  it.each([
    ['is empty', () => ''],
    ['is cut off', (file: object) => JSON.stringify(file).slice(0, 500)],
    ['holds no object', () => 'null'],
    ['holds a list', () => '[]'],
    ['has no key', (file: object) => JSON.stringify({ ...file, key: undefined })],
    ['has no names', (file: object) => JSON.stringify({ ...file, names: 'dns.test' })],
    ['has no chain', (file: object) => JSON.stringify({ ...file, chain: undefined })],
    [
      'has a bad chain',
      (file: object) =>
        JSON.stringify({ ...file, chain: '-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n' }),
    ],
    ['has no date', (file: object) => JSON.stringify({ ...file, renewAt: undefined })],
    ['has a bad date', (file: object) => JSON.stringify({ ...file, notAfter: 'soon' })],
  ])('that %s is moved aside, reported and kept', async (_, damage) => {
    const directory = await stateDir()
    const text = damage(await whole())
    await writeFile(join(directory, 'identity.json'), text)
    const reported: unknown[] = []
    expect(await loadCredential(directory, (file, reason) => reported.push(file, reason))).toBeUndefined()
    expect(reported).toEqual([join(directory, 'identity.json.damaged'), expect.any(Error)])
    expect(await readdir(directory)).toEqual(['identity.json.damaged'])
    expect(await readFile(join(directory, 'identity.json.damaged'), 'utf8')).toBe(text)
    expect(await loadCredential(directory, unexpected)).toBeUndefined()
  })
})
