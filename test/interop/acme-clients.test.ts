import { readFile } from 'node:fs/promises'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { askOperation } from '../../src/net/operations.ts'
import type { NewDevice } from '../../src/operator/delegation/device.ts'
import { fromPem, parseCertificate } from '../../src/pki/certificate.ts'
import { eventually, type Ran, run } from './support/daemon.ts'
import { type OperatorProgram, operatorIn } from './support/hearth.ts'
import { openScene } from './support/scene.ts'

/**
 * Clients that know RFC 8555 and nothing of delegation: each opens an account with the key of a device, gets a certificate
 * for the device's name, and gets another one.
 */
const scene = openScene()
/** These clients start many small programs, which takes its time on a busy machine. */
vi.setConfig({ testTimeout: 300_000 })
let operator: OperatorProgram
let hook: string

beforeAll(async () => {
  operator = await operatorIn(scene, 'operator', {
    authorities: [{ name: 'own', kind: 'internal' }],
    testing: { 'reject-nonces': 0.05 },
  })
  await operator.start()
  // No client has anything to prove, so whoever asks for it fails the test: certbot, uacme, dehydrated.
  const script = '#!/bin/sh\ncase $1 in ""|begin|deploy_challenge) echo "asked for $*" >&2; exit 1 ;; esac\n'
  hook = await scene.write('hook.sh', script, 0o700)
})

/** The chain, when OpenSSL and GnuTLS both accept it for the name. */
async function accepted(chainFile: string, name: string): Promise<string> {
  const openssl = await run('openssl', [
    'verify',
    '-CAfile',
    operator.root,
    '-untrusted',
    chainFile,
    '-verify_hostname',
    name,
    chainFile,
  ])
  expect(openssl).toMatchObject({ code: 0 })
  const gnutls = await run('certtool', [
    '--verify',
    `--load-ca-certificate=${operator.root}`,
    `--infile=${chainFile}`,
    `--verify-hostname=${name}`,
  ])
  expect(`${gnutls.stdout}${gnutls.stderr}`).toContain('Chain verification output: Verified.')
  const chain = await readFile(chainFile, 'utf8')
  expect(parseCertificate(fromPem(chain)[0]!).dnsNames).toEqual([name])
  return chain
}

function succeeded(ran: Ran): void {
  expect(ran, `${ran.stdout}${ran.stderr}`).toMatchObject({ code: 0 })
}

const device = (): Promise<NewDevice> => operator.addDevice()

describe('certbot', () => {
  it('registers, orders, renews, revokes, and deactivates its account', async () => {
    const { name, eab } = await device()
    const folders = ['config', 'work', 'logs'].flatMap((folder) => [`--${folder}-dir`, scene.path('certbot', folder)])
    const certbot = (...args: readonly string[]): Promise<Ran> =>
      run('certbot', [...args, ...folders, '--server', operator.directoryUrl, '--non-interactive'], {
        env: { REQUESTS_CA_BUNDLE: operator.root },
      })
    const account = [
      '--agree-tos',
      '--register-unsafely-without-email',
      '--eab-kid',
      eab.kid,
      '--eab-hmac-key',
      eab.key,
    ]
    succeeded(await certbot('register', ...account))
    succeeded(
      await certbot('certonly', '--manual', '--preferred-challenges', 'dns', '--manual-auth-hook', hook, '-d', name),
    )
    const file = scene.path('certbot', 'config', 'live', name, 'fullchain.pem')
    const first = await accepted(file, name)
    succeeded(await certbot('renew', '--force-renewal', '--no-random-sleep-on-renew'))
    expect(await accepted(file, name)).not.toBe(first)
    succeeded(await certbot('update_account', '--email', 'noc@isp.example'))
    succeeded(await certbot('revoke', '--cert-name', name, '--reason', 'superseded', '--no-delete-after-revoke'))
    succeeded(await certbot('unregister'))
    expect((await certbot('renew', '--force-renewal', '--no-random-sleep-on-renew')).code).not.toBe(0)
  })
})

describe('lego', () => {
  it('registers, orders, renews, revokes, and gets no other name', async () => {
    const { name, eab } = await device()
    const lego = (domain: string, ...args: readonly string[]): Promise<Ran> =>
      run(
        'lego',
        [
          '--server',
          operator.directoryUrl,
          '--path',
          scene.path('lego'),
          '--email',
          'noc@isp.example',
          '--accept-tos',
          '--eab',
          '--kid',
          eab.kid,
          '--hmac',
          eab.key,
          '--http',
          '--http.port',
          '127.0.0.1:1',
          '--domains',
          domain,
          ...args,
        ],
        { env: { LEGO_CA_CERTIFICATES: operator.root } },
      )
    succeeded(await lego(name, 'run'))
    const file = scene.path('lego', 'certificates', `${name}.crt`)
    const first = await accepted(file, name)
    succeeded(await lego(name, 'renew', '--days', '3000', '--no-random-sleep'))
    expect(await accepted(file, name)).not.toBe(first)
    succeeded(await lego(name, 'revoke', '--keep'))
    await eventually(async () => {
      const again = await lego(name, 'revoke', '--keep')
      expect(again.stdout + again.stderr).toContain('alreadyRevoked')
    })
    const foreign = await lego('other.cpe.test', 'run')
    expect(foreign.code).not.toBe(0)
    expect(foreign.stdout + foreign.stderr).toContain('rejectedIdentifier')
  })
})

describe('uacme', () => {
  it('registers, orders, changes its key, orders again, and deactivates its account', async () => {
    const { name, eab } = await device()
    // It reads the system's roots only: in a mount namespace those are ours.
    const roots = '/etc/ssl/certs/ca-certificates.crt'
    const uacme = (...args: readonly string[]): Promise<Ran> =>
      run('unshare', [
        '-rm',
        'sh',
        '-c',
        `mount --bind "$0" ${roots} && exec uacme "$@"`,
        operator.root,
        '-v',
        '-y',
        '-a',
        operator.directoryUrl,
        '-c',
        scene.path('uacme'),
        '-t',
        'EC',
        '-o',
        ...args,
      ])
    succeeded(await uacme('-e', `${eab.kid}:${eab.key}`, 'new'))
    succeeded(await uacme('-h', hook, 'issue', name))
    const file = scene.path('uacme', name, 'cert.pem')
    const first = await accepted(file, name)
    succeeded(await uacme('newkey'))
    succeeded(await uacme('-h', hook, '-f', 'issue', name))
    expect(await accepted(file, name)).not.toBe(first)
    succeeded(await uacme('deactivate'))
    expect((await uacme('-h', hook, '-f', 'issue', name)).code).not.toBe(0)
  })
})

describe('dehydrated', () => {
  it('registers, orders, and renews', async () => {
    const { name, eab } = await device()
    const config = await scene.write(
      'dehydrated/config',
      [
        `CA=${operator.directoryUrl}`,
        `BASEDIR=${scene.path('dehydrated')}`,
        'CHALLENGETYPE=dns-01',
        `HOOK=${hook}`,
        `EAB_KID=${eab.kid}`,
        `EAB_HMAC_KEY=${eab.key}`,
        'CONTACT_EMAIL=noc@isp.example',
        '',
      ].join('\n'),
    )
    /** It gives up when a nonce is refused, so it is called again, as from cron. */
    const dehydrated = async (...args: readonly string[]): Promise<void> => {
      let ran: Ran
      let tries = 0
      do ran = await run('dehydrated', ['-f', config, ...args], { env: { CURL_CA_BUNDLE: operator.root } })
      while (ran.code !== 0 && /badNonce/.test(ran.stdout + ran.stderr) && ++tries < 10)
      succeeded(ran)
    }
    await dehydrated('--register', '--accept-terms')
    const file = scene.path('dehydrated', 'certs', name, 'fullchain.pem')
    await dehydrated('-c', '-d', name)
    const first = await accepted(file, name)
    await dehydrated('-c', '-x', '-d', name)
    expect(await accepted(file, name)).not.toBe(first)
  })
})

it('the operator has seen four devices enrol', async () => {
  const devices = await askOperation<readonly unknown[]>(`${operator.state}/admin.sock`, 'device-list', {})
  expect(JSON.stringify(devices).match(/"enrolled/g)?.length).toBeGreaterThanOrEqual(4)
})
