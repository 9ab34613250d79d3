import { readFile } from 'node:fs/promises'
import { request } from 'node:https'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type HttpServer, serveHttp } from '../../src/net/http.ts'
import { TestAuthority } from '../support/tls.ts'
import { run } from './support/daemon.ts'
import { openScene } from './support/scene.ts'

describe('a server that asks clients for a certificate', () => {
  const scene = openScene()
  let ours: TestAuthority
  let server: HttpServer
  let known: { readonly key: string; readonly cert: string }

  beforeAll(async () => {
    ours = await TestAuthority.create()
    const { keyPem, chainPem } = await ours.material({ ipAddresses: ['127.0.0.1'], dnsNames: [] })
    known = await client('monitor.example')
    server = await serveHttp({
      host: '127.0.0.1',
      port: 0,
      tls: { key: keyPem, cert: chainPem },
      clientCa: [known.cert],
      handler: async ({ clientName }) => ({ status: 200, headers: {}, body: clientName ?? 'nobody' }),
    })
    server.setCertificate({ key: keyPem, cert: chainPem })
  })
  afterAll(() => server.close())

  const nameSeen = (shown: { readonly key?: string; readonly cert?: string }): Promise<string> =>
    new Promise((resolve, reject) => {
      const options = { host: '127.0.0.1', port: server.port, ca: ours.rootPem, agent: false, ...shown }
      request(options, (response) => {
        response.on('data', (chunk: Buffer) => resolve(chunk.toString()))
      })
        .on('error', reject)
        .end()
    })
  /** Made by OpenSSL; each is its own root. */
  const client = async (name: string): Promise<{ readonly key: string; readonly cert: string }> => {
    const [key, cert] = [scene.path(`${name}.key`), scene.path(`${name}.pem`)]
    const purpose = ['-addext', 'extendedKeyUsage=clientAuth', '-addext', 'keyUsage=digitalSignature,keyCertSign']
    const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2']
    const made = await run('openssl', [
      'req',
      '-x509',
      '-subj',
      `/CN=${name}`,
      ...kind,
      ...purpose,
      '-keyout',
      key,
      '-out',
      cert,
    ])
    expect([made.code, name]).toEqual([0, name])
    return { key: await readFile(key, 'utf8'), cert: await readFile(cert, 'utf8') }
  }

  it('knows its holder by name', async () => {
    expect(await nameSeen(known)).toBe('monitor.example')
  })

  it('takes one that leads to other roots, or none, for nobody', async () => {
    expect(await nameSeen(await client('stranger.example'))).toBe('nobody')
    expect(await nameSeen({})).toBe('nobody')
  })
})
