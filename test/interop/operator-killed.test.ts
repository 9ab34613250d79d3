import { writeFile } from 'node:fs/promises'
import { build } from 'esbuild'
import { beforeAll, describe, expect, it } from 'vitest'
import type { AccountRow, OrderRow } from '../../src/acme/server/rows.ts'
import { toBase64url } from '../../src/core/bytes.ts'
import type { PublicationRow } from '../../src/operator/publication/rows.ts'
import { fromPem, parseCertificate } from '../../src/pki/certificate.ts'
import { createCsr } from '../../src/pki/csr.ts'
import { generateKey, sameKey, spkiOf } from '../../src/pki/key.ts'
import { createRoot } from '../../src/pki/sign.ts'
import { openFileTable } from '../../src/store/file-table.ts'
import { pause, startDaemon } from './support/daemon.ts'
import type { CaOrderRow } from './support/mortal-worker.ts'
import { openScene } from './support/scene.ts'

const ORDERS = 120
const KILLS_MIN = 30
const LIVES_MAX = 400
const DAY_MS = 86_400_000

describe('a worker that is killed again and again (SIGKILL), over tables in files', () => {
  const scene = openScene()
  const program = scene.path('mortal-worker.mjs')
  const keys = new Map<string, string>()

  beforeAll(async () => {
    await build({
      entryPoints: [`${import.meta.dirname}/support/mortal-worker.ts`],
      outfile: program,
      bundle: true,
      platform: 'node',
      format: 'esm',
      target: 'node20',
      logLevel: 'error',
      banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url)" },
    })
    const keyPem = await generateKey('p256')
    const nowMs = Math.floor(Date.now() / 1000) * 1000
    const root = await createRoot({
      commonName: 'Pretend root',
      keyPem,
      notBeforeMs: nowMs - DAY_MS,
      notAfterMs: nowMs + 100 * DAY_MS,
    })
    await writeFile(scene.path('ca.txt'), `${keyPem.trim()}\n\n${Buffer.from(root).toString('hex')}`)
    const accounts = await openFileTable<AccountRow>(scene.path('account'))
    await accounts.insert('account', { status: 'valid', jwk: { kty: 'EC' }, contact: [], termsOfServiceAgreed: true })
    const orders = await openFileTable<OrderRow>(scene.path('order'))
    for (let index = 0; index < ORDERS; index++) {
      const name = `cpe-${index}.cpe.test`
      const key = await generateKey('p256')
      keys.set(name, key)
      await orders.insert(`order-${index}`, {
        account: 'account',
        status: 'processing',
        identifiers: [name],
        delegation: name,
        star: true,
        autoRenewal: { endMs: nowMs + 30 * DAY_MS, lifetimeS: 7 * 86_400, lifetimeAdjustS: 0 },
        allowCertificateGet: true,
        expiresMs: nowMs + 30 * DAY_MS,
        csr: toBase64url(await createCsr({ keyPem: key, dnsNames: [name] })),
      })
    }
  })

  it('loses no order, places none twice, and publishes each for its own key and name', {
    timeout: 600_000,
  }, async () => {
    let kills = 0
    for (let life = 0; life < LIVES_MAX; life++) {
      const worker = startDaemon(process.execPath, [program, scene.directory])
      await worker
        .until(async () => {
          if (!worker.output().includes('at work')) throw new Error('not yet')
        })
        .catch((error: unknown) => {
          if (!worker.output().includes('done')) throw error
        })
      // Long enough for a step or two at first; the last ones may live until the work is done.
      await Promise.race([worker.ended, pause(kills < KILLS_MIN ? 5 + Math.random() * 60 : 60_000)])
      if (worker.output().includes('done')) break
      await worker.stop('SIGKILL')
      kills++
    }
    expect(kills).toBeGreaterThanOrEqual(KILLS_MIN)

    const orders = await (await openFileTable<OrderRow>(scene.path('order'))).list({ limit: 2 * ORDERS })
    expect(orders.map(({ row }) => row.status)).toEqual(Array.from({ length: ORDERS }, () => 'valid'))
    const publications = await openFileTable<PublicationRow>(scene.path('publication'))
    expect((await publications.list({ limit: 2 * ORDERS })).length).toBe(ORDERS)
    for (const { row } of orders) {
      const published = (await publications.find(row.certificate!))!.row
      const leaf = parseCertificate(fromPem(published.pem)[0]!)
      expect(leaf.dnsNames).toEqual(row.identifiers)
      expect(sameKey(leaf.spki, spkiOf(keys.get(row.identifiers[0]!)!))).toBe(true)
    }
    const atCa = await (await openFileTable<CaOrderRow>(scene.path('ca'))).list({ limit: 10 * ORDERS })
    const names = atCa.map(({ row }) => row.names.join())
    expect(names.toSorted()).toEqual([...keys.keys()].toSorted())
  })
})
