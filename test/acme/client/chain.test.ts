import { expect, it } from 'vitest'
import { chainOf } from '../../../src/acme/client/chain.ts'
import { Fault } from '../../../src/core/fault.ts'
import { createLog } from '../../../src/core/log.ts'
import { toPem } from '../../../src/pki/certificate.ts'
import { generateKey, spkiOf } from '../../../src/pki/key.ts'
import { createRoot, signLeaf } from '../../../src/pki/sign.ts'

const { signal } = new AbortController()
const dates = { notBeforeMs: Date.UTC(2026, 10, 1), notAfterMs: Date.UTC(2026, 11, 10) }
const keyPem = await generateKey('p256')

async function chainTo(commonName: string): Promise<string> {
  const issuer = { certificate: await createRoot({ commonName, keyPem, ...dates }), keyPem }
  return toPem([await signLeaf({ issuer, spki: spkiOf(keyPem), dnsNames: ['a.example'], ...dates })])
}
const [old, wanted] = [await chainTo('Old Root'), await chainTo('Root, of "Example\\Co"')]

/** The first chain at `/0`, alternates behind it; what is no text fails to be downloaded. */
function authority(...chains: readonly (string | Error)[]) {
  const lines: string[] = []
  const client = {
    async certificate(url: string) {
      const chain = chains[Number(url.slice(1))]!
      if (chain instanceof Error) throw chain
      return { pem: chain, alternates: chains.slice(1).map((_, index) => `/${index + 1}`) }
    },
  }
  const log = Object.assign(createLog('silent'), { warn: (_facts: object, line: string) => void lines.push(line) })
  return { lines, of: (preferredChain?: string) => chainOf('/0', { client, preferredChain, log }, signal) }
}
const lost = new Fault('ACME_UNREACHABLE', 'no answer')

it('is the first one when no other is wanted', async () => {
  expect(await authority(old, wanted).of()).toBe(old)
})

it('is the one whose issuer has that common name, whatever characters are in it', async () => {
  const { of, lines } = authority(old, wanted)
  expect(await of('Root, of "Example\\Co"')).toBe(wanted)
  expect(await of('Old Root')).toBe(old)
  expect(lines).toEqual([])
})

it.each(['Root', 'of "Example\\Co"', 'Old'])(
  'is the first one, with a warning, when none has all of it: %s',
  async (name) => {
    const { of, lines } = authority(old, wanted)
    expect(await of(name)).toBe(old)
    expect(lines).toEqual(['the authority offers no such chain; its first one is used'])
  },
)

it('goes past alternates that cannot be downloaded or read', async () => {
  const { of, lines } = authority(old, lost, 'no chain', wanted)
  expect(await of('Root, of "Example\\Co"')).toBe(wanted)
  expect(lines).toHaveLength(2)
  expect(await authority(old, lost).of('Root')).toBe(old)
})

it('fails when the first one cannot be downloaded', async () => {
  await expect(authority(lost, wanted).of()).rejects.toBe(lost)
})
