import { X509Certificate } from 'node:crypto'
import { readFile, realpath, rm } from 'node:fs/promises'
import { basename } from 'node:path'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { askOperation } from '../../src/net/operations.ts'
import type { DeviceSummary } from '../../src/operator/admin/device-operations.ts'
import type { NewDevice } from '../../src/operator/delegation/device.ts'
import { fromPem, parseCertificate } from '../../src/pki/certificate.ts'
import { acmeShIn, opensslKey } from './support/acme-sh.ts'
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

/**
 * Dehydrated gives up when a nonce is refused, certbot when two are in a row, at times with an error of its own on the way
 * to saying so: they are called again.
 */
async function asFromCron(call: () => Promise<Ran>): Promise<Ran> {
  let ran = await call()
  for (let tries = 1; tries < CALLS_MAX && ran.code !== 0 && GAVE_UP.test(ran.stdout + ran.stderr); tries++)
    ran = await call()
  return ran
}
const CALLS_MAX = 10
const GAVE_UP = /badNonce|AttributeError: can't set attribute/

const device = (): Promise<NewDevice> => operator.addDevice()

describe('certbot', () => {
  it('registers, orders, renews, revokes, and deactivates its account', async () => {
    const { name, eab } = await device()
    const folders = ['config', 'work', 'logs'].flatMap((folder) => [`--${folder}-dir`, scene.path('certbot', folder)])
    const certbot = (...args: readonly string[]): Promise<Ran> =>
      asFromCron(() =>
        run('certbot', [...args, ...folders, '--server', operator.directoryUrl, '--non-interactive'], {
          env: { REQUESTS_CA_BUNDLE: operator.root },
        }),
      )
    const account = [
      '--agree-tos',
      '--register-unsafely-without-email',
      '--eab-kid',
      eab.kid,
      // One in 64 begins with a hyphen.
      `--eab-hmac-key=${eab.key}`,
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
    const dehydrated = async (...args: readonly string[]): Promise<void> =>
      succeeded(
        await asFromCron(() => run('dehydrated', ['-f', config, ...args], { env: { CURL_CA_BUNDLE: operator.root } })),
      )
    await dehydrated('--register', '--accept-terms')
    const file = scene.path('dehydrated', 'certs', name, 'fullchain.pem')
    await dehydrated('-c', '-d', name)
    const first = await accepted(file, name)
    await dehydrated('-c', '-x', '-d', name)
    expect(await accepted(file, name)).not.toBe(first)
  })
})

describe('acme.sh, as far as its requests go', () => {
  it.each(['rsa2048', 'prime256v1', 'secp384r1'] as const)(
    'with an account key %s: registers, orders, renews, rolls its key, revokes, deactivates',
    async (kind) => {
      const { name, eab } = await device()
      const folder = `acme-sh-${kind}`
      const [accountKey, nextKey] = [
        await opensslKey(scene, `${folder}/account.key`, kind),
        await opensslKey(scene, `${folder}/account.key.new`, kind),
      ]
      const certificateKey = await opensslKey(scene, `${folder}/${name}.key`, kind)
      const client = await acmeShIn(scene, folder, {
        directoryUrl: operator.directoryUrl,
        trust: operator.root,
        accountKey,
      })
      const url = await client.register(eab, ['noc@isp.example', 'noc2@isp.example'])
      expect(client.last().code).toBe('201')
      // It opens its account again whenever it is not sure.
      expect(await client.register(eab, ['noc@isp.example'])).toBe(url)
      expect(client.last().code).toBe('200')

      const issued = async (pem: string): Promise<string> => {
        const file = await scene.write(`${folder}/${name}.fullchain.pem`, pem)
        await accepted(file, name)
        return file
      }
      const first = await client.issue(name, certificateKey)
      const file = await issued(first)
      const { validFrom, validTo } = new X509Certificate(first)
      const [start, end] = await client.renewalWindow(file)
      expect(start * 1000).toBeGreaterThan(Date.parse(validFrom))
      expect(end).toBeGreaterThan(start)
      expect(end * 1000).toBeLessThan(Date.parse(validTo))
      await issued(await client.issue(name, certificateKey, file))

      await client.rollOver(nextKey)
      // A used nonce is refused in words it knows, so it goes on with another.
      client.useNonce(client.usedNonces()[0]!)
      await client.updateAccount(['noc3@isp.example'])
      expect(client.usedNonces().slice(0, -1)).toContain(client.usedNonces().at(-2))
      await client.revoke(file, 4)
      await eventually(async () => {
        await client.revoke(file, 4, certificateKey)
        expect(client.last().body).toContain('alreadyRevoked')
      })
      await client.deactivateAccount()
      await expect(client.issue(name, certificateKey)).rejects.toThrow(/401|no authorizations/)
      expect(client.last().code).toBe('401')
    },
  )
})

describe('acmetool', () => {
  const acmetool = (state: string, ...args: readonly string[]): Promise<Ran> =>
    run('acmetool', ['--state', scene.path(state), '--batch', '--hooks', scene.path('no-hooks'), ...args], {
      env: { SSL_CERT_FILE: operator.root },
    })

  it('cannot open an account, because it knows nothing of external account binding', async () => {
    const { name } = await device()
    await scene.write('acmetool-alone/conf/target', `request:\n  provider: ${operator.directoryUrl}\n`, 0o644)
    await scene.write('acmetool-alone/conf/responses', '"acme-enter-email": noc@isp.example\n', 0o644)
    const refused = await acmetool('acmetool-alone', 'want', name)
    expect(refused.code).not.toBe(0)
    expect(refused.stdout + refused.stderr).toContain('externalAccountRequired')
  })

  it('with the key of an account that another client opened: orders, revokes, orders again', async () => {
    const { name, eab } = await device()
    const accountKey = await opensslKey(scene, 'acmetool-account.key', 'rsa2048')
    const { directoryUrl, root: trust } = operator
    const enrolment = await acmeShIn(scene, 'acmetool-enrolment', { directoryUrl, trust, accountKey })
    await enrolment.register(eab, [])
    await scene.write('acmetool/conf/target', `request:\n  provider: ${directoryUrl}\n`, 0o644)
    succeeded(await acmetool('acmetool', 'import-pem-account', directoryUrl, accountKey))
    succeeded(await acmetool('acmetool', 'want', name))
    const file = scene.path('acmetool', 'live', name, 'fullchain')
    const first = await accepted(file, name)
    succeeded(await acmetool('acmetool', 'revoke', basename(await realpath(scene.path('acmetool', 'live', name)))))
    await eventually(async () => {
      await enrolment.revoke(file, 0)
      expect(enrolment.last().body).toContain('alreadyRevoked')
    })
    await rm(scene.path('acmetool', 'certs'), { recursive: true })
    succeeded(await acmetool('acmetool', 'reconcile'))
    expect(await accepted(file, name)).not.toBe(first)
  })
})

it('the operator has seen eight devices enrol', async () => {
  const { devices } = await askOperation<{ readonly devices: readonly DeviceSummary[] }>(
    `${operator.state}/admin.sock`,
    'device-list',
    {},
  )
  expect(devices.filter(({ enrolled }) => enrolled)).toHaveLength(8)
})
