import { request } from 'node:https'
import { makeAuthority } from './authority.ts'
import { type Daemon, startDaemon } from './daemon.ts'
import { freePorts } from './ports.ts'
import type { Scene } from './scene.ts'

export interface Pebble {
  readonly directoryUrl: string
  /** PEM file: the root of Pebble's own HTTPS. */
  readonly trust: string
  /** It forgets everything when it stops, and issues from a new root after each start. */
  start(): Promise<Daemon>
  /** PEM of the root it issues from now; `nth` above 0: of an alternate chain. */
  issuingRoot(nth?: number): Promise<string>
  /** What it thinks of a certificate, by its serial number in hex: `Status`, and the `Reason` of a revocation. */
  statusOf(serial: string): Promise<{ readonly Status: string; readonly Reason?: number }>
}

/** The real Pebble, strict, refusing 15 % of good nonces, resolving through `dnsServer`. */
export async function pebbleIn(
  scene: Scene,
  options: { readonly dnsServer: string; readonly validityS: number; readonly alternateRoots?: number },
  name = 'pebble',
): Promise<Pebble> {
  const [port, managementPort, httpPort, tlsPort] = await freePorts(4)
  const authority = await makeAuthority('HTTPS of the test CA')
  const { key, chain } = await authority.certify({ dnsNames: ['localhost'], ipAddresses: ['127.0.0.1'] })
  const settings = await scene.settings(`${name}/pebble.json`, {
    pebble: {
      listenAddress: `127.0.0.1:${port}`,
      managementListenAddress: `127.0.0.1:${managementPort}`,
      certificate: await scene.write(`${name}/https.pem`, chain),
      privateKey: await scene.write(`${name}/https.key`, key),
      httpPort,
      tlsPort,
      ocspResponderURL: '',
      externalAccountBindingRequired: false,
      certificateValidityPeriod: options.validityS,
    },
  })
  const issuingRoot = (nth = 0): Promise<string> =>
    get(`https://127.0.0.1:${managementPort}/roots/${nth}`, authority.rootPem)
  return {
    directoryUrl: `https://127.0.0.1:${port}/dir`,
    trust: await scene.write(`${name}/trust.pem`, authority.rootPem),
    issuingRoot,
    async statusOf(serial) {
      const url = `https://127.0.0.1:${managementPort}/cert-status-by-serial/${serial}`
      return JSON.parse(await get(url, authority.rootPem)) as { Status: string; Reason?: number }
    },
    async start() {
      const daemon = startDaemon('pebble', ['-config', settings, '-strict', '-dnsserver', options.dnsServer], {
        env: {
          PEBBLE_WFE_NONCEREJECT: '15',
          PEBBLE_VA_NOSLEEP: '1',
          PEBBLE_ALTERNATE_ROOTS: String(options.alternateRoots ?? 0),
        },
      })
      await daemon.until(() => issuingRoot())
      return daemon
    },
  }
}

function get(url: string, ca: string): Promise<string> {
  return new Promise((resolve, reject) => {
    request(url, { ca, agent: false }, (response) => {
      let body = ''
      response.on('data', (chunk: Buffer) => {
        body += chunk.toString()
      })
      response.on('end', () => (response.statusCode === 200 ? resolve(body) : reject(new Error(body))))
    })
      .on('error', reject)
      .end()
  })
}
