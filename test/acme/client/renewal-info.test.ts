import { expect, it } from 'vitest'
import type { AcmeReply } from '../../../src/acme/client/exchange.ts'
import type { AcmeClient } from '../../../src/acme/client/plumbing.ts'
import { renewalWindow } from '../../../src/acme/client/renewal-info.ts'
import { AcmeProblem } from '../../../src/acme/problem.ts'
import { certId } from '../../../src/pki/certificate.ts'
import { generateKey, spkiOf } from '../../../src/pki/key.ts'
import { createRoot, signLeaf } from '../../../src/pki/sign.ts'

const { signal } = new AbortController()
const WINDOW = { start: '2026-12-01T00:00:00Z', end: '2026-12-02T00:00:00Z' }
const dates = { notBeforeMs: Date.UTC(2026, 10, 1), notAfterMs: Date.UTC(2026, 11, 10) }
const keyPem = await generateKey('p256')
const root = await createRoot({ commonName: 'a root', keyPem, ...dates })
const issuer = { certificate: root, keyPem }
const leaf = await signLeaf({ issuer, spki: spkiOf(keyPem), dnsNames: ['a.example'], ...dates })

function authority(reply: Partial<AcmeReply> | Error, renewalInfo: string | undefined = 'https://ca.example/info/') {
  const asked: string[] = []
  const client = {
    directory: async () => ({ renewalInfo }),
    async getPlain(url: string) {
      asked.push(url)
      if (reply instanceof Error) throw reply
      return reply
    },
    // Two of its methods are all that is called.
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  } as unknown as AcmeClient
  return { client, asked }
}

it('asks for the certificate by its id, with exactly one slash before it', async () => {
  const { client, asked } = authority({ content: { suggestedWindow: WINDOW }, retryAfterMs: 3_600_000 })
  expect(await renewalWindow(client, leaf, signal)).toEqual({
    startMs: Date.UTC(2026, 11, 1),
    endMs: Date.UTC(2026, 11, 2),
    askAgainAfterMs: 3_600_000,
  })
  expect(asked).toEqual([`https://ca.example/info/${certId(leaf)}`])
})

it.each([
  [1_000, 60_000],
  [864_000_000, 86_400_000],
  [undefined, 21_600_000],
])('asks again within bounds (Retry-After %s)', async (retryAfterMs, askAgainAfterMs) => {
  const { client } = authority({
    content: { suggestedWindow: WINDOW },
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  })
  expect(await renewalWindow(client, leaf, signal)).toMatchObject({ askAgainAfterMs })
})

it.each([
  ['a window that ends before it starts', { suggestedWindow: { start: WINDOW.end, end: WINDOW.start } }],
  ['a window that is none', { suggestedWindow: { start: 'soon', end: WINDOW.end } }],
  ['no window', {}],
  ['no object', 'soon'],
])('takes %s for no opinion', async (_what, content) => {
  expect(await renewalWindow(authority({ content }).client, leaf, signal)).toBeUndefined()
})

it('takes a refusal for no opinion, but not a failure', async () => {
  const unknown = new AcmeProblem('malformed', 'no such certificate', { status: 404 })
  expect(await renewalWindow(authority(unknown).client, leaf, signal)).toBeUndefined()
  const down = new AcmeProblem('serverInternal', 'down')
  await expect(renewalWindow(authority(down).client, leaf, signal)).rejects.toBe(down)
  const busy = new AcmeProblem('rateLimited', 'come back', { status: 429, retryAfterMs: 7_200_000 })
  await expect(renewalWindow(authority(busy).client, leaf, signal)).rejects.toBe(busy)
})
