import { X509Certificate } from 'node:crypto'
import { mkdir, readFile } from 'node:fs/promises'
import { Client } from 'pg'
import { expect, it } from 'vitest'
import type { OrderRow } from '../../src/acme/server/rows.ts'
import { systemClock } from '../../src/core/clock.ts'
import { Fault } from '../../src/core/fault.ts'
import { createHttpTransport } from '../../src/net/http.ts'
import type { NewDevice } from '../../src/operator/delegation/device.ts'
import type { IssuanceRow, PublicationRow } from '../../src/operator/publication/rows.ts'
import { createCsr, parseCsr } from '../../src/pki/csr.ts'
import { generateKey, spkiOf } from '../../src/pki/key.ts'
import { delegatedIssuer } from '../../src/router/identity/issuers/delegated.ts'
import { type Daemon, eventually, pause } from './support/daemon.ts'
import { operatorIn } from './support/hearth.ts'
import { dnsUpdateBy, startKnot } from './support/knot.ts'
import { pebbleIn } from './support/pebble.ts'
import { postgresIn } from './support/postgres.ts'
import { openScene } from './support/scene.ts'

const ZONE = 'cpe.test'
const CLIENTS = 12
const CERTIFICATES_EACH = 3
const KILLS_MIN = 12
/** Of each life, from the moment it answers. */
const LIFE_MS_MIN = 100
const LIFE_MS_SPREAD = 900
/** Jobs of one that was killed are free again after their lease, 20 s. */
const LEFT_OVER_MS_MAX = 90_000

const scene = openScene()

it('two instances of the real program, killed (SIGKILL) in turn before a real CA: no order lost, one Order2 each', {
  timeout: 240_000,
}, async () => {
  const [knot, postgres] = await Promise.all([startKnot(scene, { [ZONE]: '' }), postgresIn(scene)])
  await postgres.start()
  const pebble = await pebbleIn(scene, { dnsServer: knot.address, validityS: 30 * 86_400 })
  const ca = await pebble.start()
  const shared = {
    store: postgres.url,
    zone: {
      name: ZONE,
      'dns-update': await dnsUpdateBy(knot, scene),
    },
    authorities: [{ name: 'pebble', kind: 'acme', directory: pebble.directoryUrl, trust: pebble.trust }],
  }
  const operator = await operatorIn(scene, 'operator', shared)
  const baseUrl = operator.directoryUrl.replace('/directory', '')
  const worker = await operatorIn(scene, 'worker', { ...shared, 'base-url': baseUrl, roles: ['worker'] })
  const programs = [operator, worker]
  const daemons: Daemon[] = []
  for (const program of programs) daemons.push(await program.start())
  const devices: NewDevice[] = []
  for (let n = 0; n < CLIENTS; n++) devices.push(await operator.addDevice())
  const trust = [await readFile(operator.root, 'utf8'), await pebble.issuingRoot()]

  const database = new Client({ connectionString: postgres.url })
  await database.connect()
  const rowsOf = async <T>(kind: string): Promise<readonly { readonly id: string; readonly row: T }[]> =>
    (await database.query<{ id: string; row: T }>('select id, row from hearth_row where kind = $1', [kind])).rows

  let areServed = false
  const served = Promise.all(devices.map((device, n) => certificatesOf(device, n, operator.directoryUrl, trust)))
  served.then(
    () => (areServed = true),
    () => (areServed = true),
  )
  let kills = 0
  /** Orders under way at the CA when one of them died, by what was written down of them. */
  const found = { placing: 0, placed: 0 }
  while (!areServed || kills < KILLS_MIN) {
    await pause(LIFE_MS_MIN + Math.random() * LIFE_MS_SPREAD)
    // Once there were enough, the last ones may live.
    if (kills >= KILLS_MIN) continue
    const index = kills++ % programs.length
    await daemons[index]!.stop('SIGKILL')
    for (const { row } of await rowsOf<IssuanceRow>('issuance'))
      if (row.attempt?.order !== undefined) found.placed++
      else if (row.attempt?.placingSinceMs !== undefined) found.placing++
    daemons[index] = await programs[index]!.start()
  }
  const certificates = (await served).flat()
  expect(certificates).toHaveLength(CLIENTS * CERTIFICATES_EACH)
  expect(found.placed + found.placing).toBeGreaterThan(0)

  const finalized = async () => (await rowsOf<OrderRow>('order')).filter(({ row }) => row.csr !== undefined)
  await eventually(
    async () => expect((await finalized()).filter(({ row }) => row.status === 'processing')).toEqual([]),
    LEFT_OVER_MS_MAX,
  )
  const orders = await finalized()
  const publications = await rowsOf<PublicationRow>('publication')
  await database.end()

  expect(new Set(orders.map(({ row }) => row.status))).toEqual(new Set(['valid']))
  expect(new Set(publications.map(({ id }) => id))).toEqual(new Set(orders.map(({ row }) => row.certificate)))
  expect(publications).toHaveLength(orders.length)
  for (const { row } of publications) {
    const leaf = new X509Certificate(row.pem)
    expect(leaf.subjectAltName).toBe(`DNS:${row.names[0]}`)
    expect(spkiIn(leaf)).toEqual(Buffer.from(parseCsr(Buffer.from(row.csr, 'base64url')).spki))
  }
  // What Pebble itself counted: one Order2 for each Order1, whichever instance placed it.
  const said = ca.output()
  expect(said.match(/Added order "[^"]+" to the db/g)).toHaveLength(orders.length)
  expect(new Set(said.match(/Issued certificate serial \S+ for order \S+/g)).size).toBe(orders.length)
})

function spkiIn(certificate: X509Certificate): Buffer {
  return certificate.publicKey.export({ type: 'spki', format: 'der' })
}

/** One after the other, each with a new key; asks again, with a new order, whenever the service died under a request. */
async function certificatesOf(device: NewDevice, index: number, directoryUrl: string, trust: readonly string[]) {
  const stateDir = scene.path(`router-${index}`)
  await mkdir(stateDir)
  const transport = createHttpTransport({ ca: trust, userAgent: 'test', timeoutMs: 5_000 })
  const issuer = delegatedIssuer({
    directoryUrl,
    eab: { kid: device.eab.kid, key: device.eab.key },
    lifetimeS: 7 * 86_400,
    orderSpanS: 30 * 86_400,
    stateDir,
    transport,
    clock: systemClock,
  })
  const dnsNames = [device.name]
  const leaves: X509Certificate[] = []
  while (leaves.length < CERTIFICATES_EACH) {
    const keyPem = await generateKey('p256')
    try {
      const { signal } = new AbortController()
      const identity = await issuer.issue(dnsNames, (plan) => createCsr({ ...plan, keyPem, dnsNames }), signal)
      const leaf = new X509Certificate(identity.chain[0]!)
      expect(leaf.subjectAltName).toBe(`DNS:${device.name}`)
      expect(spkiIn(leaf)).toEqual(Buffer.from(spkiOf(keyPem)))
      leaves.push(leaf)
    } catch (error) {
      if (!(error instanceof Fault) || !/^(ACME|HTTP)_/.test(error.code)) throw error
      await pause(200)
    }
  }
  transport.close()
  return leaves
}
