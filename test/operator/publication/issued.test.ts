import { beforeEach, expect, it } from 'vitest'
import type { AuditEvent } from '../../../src/operator/audit/entry.ts'
import { type IssuedIndex, type IssuedRow, issuedCertificates } from '../../../src/operator/publication/issued.ts'
import type { PublicationRow } from '../../../src/operator/publication/rows.ts'
import { certId, toPem } from '../../../src/pki/certificate.ts'
import { generateKey, spkiOf } from '../../../src/pki/key.ts'
import { createRoot, signLeaf } from '../../../src/pki/sign.ts'
import { memoryTable } from '../../../src/store/memory.ts'

const dates = { notBeforeMs: Date.UTC(2026, 10, 1), notAfterMs: Date.UTC(2026, 11, 1) }
const keyPem = await generateKey('p256')
const issuer = { certificate: await createRoot({ commonName: 'a root', keyPem, ...dates }), keyPem }
const newLeaf = () => signLeaf({ issuer, spki: spkiOf(keyPem), dnsNames: ['a.example'], ...dates })
const [first, second] = [await newLeaf(), await newLeaf()]
const terms = {
  kind: 'single',
  startMs: dates.notBeforeMs,
  endMs: dates.notAfterMs,
  lifetimeS: 86_400,
  lifetimeAdjustS: 0,
}

const publications = memoryTable<PublicationRow>()
let table: ReturnType<typeof memoryTable<IssuedRow>>
let revoked: (readonly [string, string])[]
let events: AuditEvent[]
let index: IssuedIndex

beforeEach(async () => {
  table = memoryTable<IssuedRow>()
  revoked = []
  events = []
  index = issuedCertificates({
    table,
    publications,
    replacements: memoryTable(),
    async revoke(publication, reason) {
      revoked.push([publication, reason])
      const { row } = (await publications.find(publication))!
      await publish(first, { ...row, revocation: { reason } })
    },
    audit: { record: async (event) => void events.push(event) },
  })
  await publish(first, {})
})

async function publish(leaf: Uint8Array, more: Partial<PublicationRow>): Promise<void> {
  const row = {
    account: 'acc',
    names: ['a.example'],
    csr: '',
    getAllowed: false,
    terms,
    index: 0,
    pem: toPem([leaf]),
    ...dates,
    ...more,
  } as PublicationRow
  const seen = await publications.find('p1')
  await (seen ? publications.replace(seen, row) : publications.insert('p1', row))
}

it('finds what was published, and whose it is', async () => {
  const renewal = { startMs: 1, endMs: 2, askAgainMs: 3 }
  await publish(first, { renewal })
  await index.note(toPem([first]), 'p1')
  await index.note(toPem([first]), 'p1')
  expect(await index.find(certId(first))).toEqual({
    account: 'acc',
    leaf: Buffer.from(first),
    star: false,
    revoked: false,
    renewal,
  })
  expect(await index.find(certId(second))).toBeUndefined()
})

it('knows the next one only once it is published, and forgets the last', async () => {
  await index.note(toPem([first]), 'p1')
  await index.note(toPem([second]), 'p1')
  expect(await index.find(certId(second))).toBeUndefined()
  await publish(second, {})
  await index.forget(toPem([first]))
  expect(await index.find(certId(second))).toMatchObject({ account: 'acc' })
  expect(await table.list({ limit: 10 })).toHaveLength(1)
})

it('says what renews by itself and what is revoked', async () => {
  await index.note(toPem([first]), 'p1')
  await publish(first, { terms: { ...terms, kind: 'star' }, canceled: true })
  expect(await index.find(certId(first))).toMatchObject({ star: true, revoked: true })
})

it('has the publication revoked for the reason that was given', async () => {
  await index.note(toPem([first]), 'p1')
  await index.revoke(certId(first), { reason: 'keyCompromise', account: 'acc' })
  await index.revoke(certId(second), { reason: 'keyCompromise' })
  expect(revoked).toEqual([['p1', 'keyCompromise']])
})

it('has on record who asked for that, once', async () => {
  await index.note(toPem([first]), 'p1')
  const asked = { reason: 'superseded' } as const
  for (let n = 0; n < 3; n++) await index.revoke(certId(first), asked)
  expect(revoked.length).toBe(3)
  expect(events).toEqual([
    {
      event: 'revocation-requested',
      by: 'key of the certificate',
      account: 'acc',
      device: 'a.example',
      reason: 'superseded',
    },
  ])
})
