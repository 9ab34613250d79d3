import { mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { AccountRow, OrderRow } from '../../../src/acme/server/rows.ts'
import { runProgram } from '../../../src/core/command.ts'
import type { Table } from '../../../src/core/table.ts'
import { serveOperations } from '../../../src/net/operations.ts'
import { socketFace } from '../../../src/operator/admin/operations.ts'
import { OPERATOR_COMMANDS } from '../../../src/operator/cli/commands.ts'
import { loadOperatorConfig } from '../../../src/operator/config.ts'
import type { NewDevice } from '../../../src/operator/delegation/device.ts'
import { type Management, openManagement } from '../../../src/operator/management.ts'
import { loadRouterConfig } from '../../../src/router/config.ts'
import { memoryJobs, memoryTable } from '../../../src/store/memory.ts'
import { ManualClock } from '../../support/manual-clock.ts'

const DAY_MS = 86_400_000
const ROOT = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'

let directory: string
let tables: Map<string, Table<unknown>>
let clock: ManualClock
let management: Management
let server: { close(): Promise<void> }
let signal: AbortSignal

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'hearth-cli-'))
  signal = new AbortController().signal
  clock = new ManualClock()
  tables = new Map()
  await mkdir(at('state'), { mode: 0o700 })
  await writeFile(at('state', 'root.pem'), ROOT)
  await writeFile(
    at('operator.yaml'),
    'zone: { name: cpe.example }\nauthorities: [{ name: own, kind: internal }]\nbase-url: https://acme.example\n',
  )
  const store = { table: <T>(name: string) => tableOf<T>(name), jobs: memoryJobs }
  management = openManagement(await loadOperatorConfig(at('operator.yaml')), store, clock)
  const face = socketFace(management.operations)
  server = await serveOperations(at('state', 'admin.sock'), () => face)
})
afterEach(async () => {
  await server.close()
  await rm(directory, { recursive: true })
})

function at(...parts: string[]): string {
  return join(directory, ...parts)
}
function tableOf<T>(name: string): Table<T> {
  if (!tables.has(name)) tables.set(name, memoryTable<unknown>())
  return tables.get(name) as Table<T>
}

async function run(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  const out: string[] = []
  const err: string[] = []
  const code = await runProgram(
    { name: 'hearth-operator', version: '0', about: 'about' },
    OPERATOR_COMMANDS,
    [...argv, ...(argv.includes('--help') ? [] : ['--config', at('operator.yaml')])],
    { print: (text) => out.push(text), complain: (text) => err.push(text), signal, onHangup: () => {} },
  )
  return { code, out: out.join('\n'), err: err.join('\n') }
}
const good = async (...argv: string[]): Promise<string> => {
  const { code, out, err } = await run(...argv)
  expect([code, err]).toEqual([0, ''])
  return out
}
const count = async (): Promise<number> => (await tableOf('device').list({ limit: 100_000 })).length

/** A router with an order whose certificate is valid for five days. */
async function enrolled(name: string): Promise<void> {
  await good('device', 'add', name)
  const account: AccountRow = { status: 'valid', jwk: { kty: 'EC' }, contact: [], termsOfServiceAgreed: true }
  await tableOf<AccountRow>('account').insert('account-1', account)
  await management.registry.externalAccounts.bind(`${name}.cpe.example`, 'account-1')
  await tableOf('publication').insert('certificate-1', { notAfterMs: clock.nowMs() + 5 * DAY_MS })
  await tableOf<OrderRow>('order').insert('order-1', {
    account: 'account-1',
    status: 'valid',
    identifiers: [`${name}.cpe.example`],
    delegation: `${name}.cpe.example`,
    star: true,
    autoRenewal: { endMs: clock.nowMs() + 30 * DAY_MS, lifetimeS: 604_800, lifetimeAdjustS: 0 },
    allowCertificateGet: true,
    expiresMs: clock.nowMs() + 30 * DAY_MS,
    certificate: 'certificate-1',
  })
}

describe('every verb', () => {
  it.each(Object.keys(OPERATOR_COMMANDS))('%s has help that fits into 120 columns', async (verb) => {
    const { code, out } = await run(...verb.split(' '), '--help')
    expect(code).toBe(0)
    expect(Math.max(...out.split('\n').map((line) => line.length))).toBeLessThanOrEqual(120)
  })
})

describe('device add', () => {
  it('shows the name and the key of one', async () => {
    expect(await good('device', 'add', 'home')).toMatch(
      /^name {5}home\.cpe\.example\neab kid {2}home\.cpe\.example\neab key {2}[\w-]{43}\n/,
    )
    expect(JSON.parse(await good('device', 'add', '--count', '2', '--json'))).toMatchObject([
      { directory: 'https://acme.example/directory', eab: { key: expect.any(String) as string } },
      {},
    ])
  })

  it('writes many into a file that only its owner can read, and never over another', async () => {
    const out = at('keys.jsonl')
    expect(await good('device', 'add', '--count', '2500', '--out', out)).toBe(
      `2500 routers registered; the keys are in ${out} and nowhere else`,
    )
    const devices = (await readFile(out, 'utf8'))
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as NewDevice)
    expect(new Set(devices.map(({ name }) => name)).size).toBe(2500)
    expect((await stat(out)).mode & 0o777).toBe(0o600)
    expect(await readdir(directory)).not.toContain('keys.jsonl.progress')
    expect(await run('device', 'add', '--count', '1', '--out', out)).toMatchObject({ code: 2 })
    expect(await count()).toBe(2500)
  })

  it.each(['jsonl', 'json', 'csv'])(
    'goes on after it was killed in the middle (%s): each router once, each key good',
    async (format) => {
      const out = at('keys')
      const command = ['device', 'add', '--count', '2100', '--format', format, '--out', out]
      // The answer of the second batch is lost, and half a record is in the file.
      const { add } = management.registry
      let calls = 0
      management.registry.add = async (additions) => {
        const added = await add(additions)
        if (++calls === 2) throw new Error('killed')
        return added
      }
      expect((await run(...command)).code).not.toBe(0)
      await writeFile(out, `${await readFile(out, 'utf8')}{"name":"half`)
      expect(await good(...command)).toContain(
        `${out} holds 1000 of 2100 already; going on from there\n2100 routers registered`,
      )
      const text = await readFile(out, 'utf8')
      const pairs =
        format === 'csv'
          ? text
              .trimEnd()
              .split('\r\n')
              .slice(1)
              .map((line) => line.split(','))
              .map(([name, , , key]) => [name!, key!] as const)
          : (format === 'json'
              ? (JSON.parse(text) as NewDevice[])
              : text
                  .trimEnd()
                  .split('\n')
                  .map((line) => JSON.parse(line) as NewDevice)
            ).map(({ name, eab }) => [name, eab.key] as const)
      expect(pairs.length).toBe(2100)
      expect(await count()).toBe(2100)
      for (const [name, key] of pairs) {
        const known = await management.registry.externalAccounts.find(name)
        expect(Buffer.from(known!.key).toString('base64url')).toBe(key)
      }
    },
  )

  it('stops between batches when asked to, and goes on later', async () => {
    const stop = new AbortController()
    signal = stop.signal
    const { add } = management.registry
    management.registry.add = async (additions) => {
      stop.abort()
      return add(additions)
    }
    const command = ['device', 'add', '--count', '1500', '--out', at('keys')]
    expect(await run(...command)).toMatchObject({
      code: 1,
      out: 'stopped after 1000 of 1500; the same command goes on from there',
    })
    signal = new AbortController().signal
    await good(...command)
    expect(await count()).toBe(1500)
  })

  it('does not go on with the file of another command', async () => {
    management.registry.add = () => Promise.reject(new Error('killed'))
    await run('device', 'add', '--count', '5', '--out', at('keys'))
    const other = await run('device', 'add', '--count', '6', '--out', at('keys'))
    expect(other.code).toBe(2)
    expect(other.err).toContain('was begun by another command (--count 5, jsonl)')
  })

  it('takes names from a file, and tells every line that is wrong before it adds any', async () => {
    const names = at('names.txt')
    await good('device', 'add', 'taken')
    await writeFile(names, 'attic\n# upstairs\nhall # main\n00:11:22:33:44:55\nattic\nbad name\nTaken\n')
    const wrong = await run('device', 'add', '--from', names, '--out', at('keys'))
    expect(wrong.code).toBe(1)
    expect(wrong.err.split('\n').slice(1, 5)).toEqual([
      expect.stringContaining(`${names}:4: 00:11:22:33:44:55 looks like a MAC address`),
      `${names}:5: attic is given twice`,
      `${names}:6: bad name is not one label (letters, digits, hyphens) under cpe.example`,
      `${names}:7: Taken is registered already`,
    ])
    expect(await count()).toBe(1)
    await writeFile(names, 'attic\nhall\r\n')
    expect(await good('device', 'add', '--from', names, '--out', at('keys'))).toContain('2 routers registered')
    expect(await count()).toBe(3)
  })

  it('goes on with a file of names, too', async () => {
    const lines = Array.from({ length: 2100 }, (_, n) => `router-${n}`)
    await writeFile(at('names.txt'), lines.join('\n'))
    const { add } = management.registry
    let calls = 0
    management.registry.add = async (additions) => {
      const added = await add(additions)
      if (++calls === 2) throw new Error('killed')
      return added
    }
    const command = ['device', 'add', '--from', at('names.txt'), '--out', at('keys')]
    expect((await run(...command)).code).not.toBe(0)
    await good(...command)
    const written = (await readFile(at('keys'), 'utf8'))
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as NewDevice).name)
    expect(written).toEqual(lines.map((line) => `${line}.cpe.example`))
    expect(await count()).toBe(2100)
  })

  it('makes a directory for each router that hearth itself can read', async () => {
    await good('device', 'add', 'home', '--format', 'openwrt', '--out', at('factory'))
    const home = at('factory', 'home.cpe.example')
    expect((await readdir(home)).toSorted()).toEqual(['eab.key', 'identity.yaml', 'operator-root.pem'])
    expect((await stat(join(home, 'eab.key'))).mode & 0o777).toBe(0o600)
    const settings = await readFile(join(home, 'identity.yaml'), 'utf8')
    await writeFile(join(home, 'hearth.yaml'), `${settings}upstreams: [{ url: udp://192.0.2.1 }]\n`)
    const { identity } = await loadRouterConfig(join(home, 'hearth.yaml'))
    const key = (await readFile(join(home, 'eab.key'), 'utf8')).trim()
    expect(identity).toMatchObject({
      name: 'home.cpe.example',
      acmeDelegation: {
        directory: 'https://acme.example/directory',
        eab: { kid: 'home.cpe.example', key },
        trust: [ROOT],
      },
    })
  })

  it.each([
    [['--count', '0']],
    [['--count', '1000001']],
    [['--count', '1001']],
    [['home', '--count', '2']],
    [['--format', 'xml']],
    [['--format', 'openwrt']],
    [['--from', '/dev/null']],
  ])('%j is refused as wrong usage', async (options) => {
    expect((await run('device', 'add', ...options)).code).toBe(2)
    expect(await count()).toBe(0)
  })
})

describe('device list', () => {
  it('shows how each router stands, in 80 columns', async () => {
    await enrolled('home')
    await good('device', 'add', 'attic')
    const out = await good('device', 'list')
    expect(out).toBe(
      [
        'NAME               STATE    VALID UNTIL       ADDED',
        'attic.cpe.example  waiting  -                 2026-11-24',
        'home.cpe.example   valid    2026-11-29 00:00  2026-11-24',
      ].join('\n'),
    )
  })

  it('is the same for programs, in pages and by state', async () => {
    await enrolled('home')
    for (const name of ['a', 'b', 'z']) await good('device', 'add', name)
    const names = async (...options: string[]) =>
      (JSON.parse(await good('device', 'list', '--json', ...options)) as { name: string }[]).map(({ name }) => name[0])
    expect(JSON.parse(await good('device', 'list', '--json', '--state', 'valid'))).toEqual([
      {
        name: 'home.cpe.example',
        state: 'valid',
        enrolled: true,
        added: '2026-11-24T00:00:00Z',
        validUntil: '2026-11-29T00:00:00Z',
      },
    ])
    expect(await names('--limit', '2')).toEqual(['a', 'b'])
    expect(await names('--after', 'b.cpe.example')).toEqual(['h', 'z'])
    expect(await names('--state', 'waiting')).toEqual(['a', 'b', 'z'])
    expect(await names('--state', 'waiting', '--limit', '2')).toEqual(['a', 'b'])
    expect(await good('device', 'list', '--limit', '1')).toContain('there are more: add --after a.cpe.example')
    expect(await good('device', 'list', '--state', 'failed')).toBe('no router is failed')
    expect((await run('device', 'list', '--state', 'odd')).code).toBe(2)
  })
})

describe('the life of a router', () => {
  it('is shown, rotated, revoked and removed', async () => {
    await enrolled('home')
    expect(await good('device', 'show', 'home')).toContain('order-1  valid   2026-11-29 00:00  home.cpe.example')
    expect(await good('device', 'rotate', 'home')).toContain('eab key')
    expect(await good('device', 'show', 'home')).toContain('made 2026-11-24 00:00, not used yet')
    expect(await good('device', 'revoke', 'home')).toBe(
      'home.cpe.example is revoked; its last certificate may be believed until 2026-11-29 00:00 UTC',
    )
    expect(await good('order', 'show', 'order-1')).toContain('canceled')
    expect((await run('device', 'remove', 'home')).err).toContain('remove it after that')
    clock.step(6 * DAY_MS)
    expect(await good('device', 'remove', 'home')).toBe('home.cpe.example is removed')
    expect((await run('device', 'show', 'home')).code).toBe(1)
  })

  it('an export holds no key, unless it is a new one', async () => {
    await good('device', 'add', 'home')
    const before = (await management.registry.externalAccounts.find('home.cpe.example'))!.key
    const shown = await good('device', 'export', 'home')
    expect(shown).toContain('eab: { kid: home.cpe.example, key-file: eab.key }')
    expect(shown).not.toContain(Buffer.from(before).toString('base64url'))
    expect((await run('device', 'export', 'home', '--out', at('x'))).code).toBe(2)
    await good('device', 'export', 'home', '--rotate', '--out', at('key.jsonl'))
    const { eab } = JSON.parse(await readFile(at('key.jsonl'), 'utf8')) as NewDevice
    const after = (await management.registry.externalAccounts.find('home.cpe.example'))!.key
    expect(eab.key).toBe(Buffer.from(after).toString('base64url'))
    expect(after).not.toEqual(before)
  })

  it('a key is not made when there is no place to write it, and no file is left when there is no key', async () => {
    await good('device', 'add', 'home')
    const before = (await management.registry.externalAccounts.find('home.cpe.example'))!.key
    await writeFile(at('taken'), 'x')
    expect((await run('device', 'rotate', 'home', '--out', at('taken'))).code).toBe(2)
    expect((await run('device', 'rotate', 'home', '--out', at('none', 'key'))).err).toContain('does not exist')
    expect((await management.registry.externalAccounts.find('home.cpe.example'))!.key).toEqual(before)
    expect((await run('device', 'rotate', 'nobody', '--out', at('new'))).code).toBe(1)
    expect((await readdir(directory)).filter((name) => name.startsWith('new'))).toEqual([])
  })

  it('a transfer ends what the old owner had', async () => {
    await enrolled('home')
    expect(await good('device', 'transfer', 'home')).toContain(
      'the old certificate may be believed until 2026-11-29 00:00 UTC',
    )
    expect(await good('device', 'list', '--state', 'waiting')).toContain('home.cpe.example')
  })
})

describe('delegations, orders and authorities', () => {
  it('are listed and shown', async () => {
    expect(await good('delegation', 'list')).toBe('no router has enrolled yet')
    expect(await good('order', 'list')).toBe('there are no orders yet')
    await enrolled('home')
    expect(await good('delegation', 'list')).toBe('NAME              ACCOUNT\nhome.cpe.example  account-1')
    expect(JSON.parse(await good('delegation', 'show', 'home'))).toMatchObject({
      name: 'home.cpe.example',
      'csr-template': { extensions: { subjectAltName: { DNS: ['home.cpe.example'] } } },
    })
    expect(JSON.parse(await good('order', 'list', '--device', 'home', '--json'))).toEqual([
      {
        id: 'order-1',
        status: 'valid',
        names: ['home.cpe.example'],
        renews: true,
        expires: '2026-12-24T00:00:00Z',
        validUntil: '2026-11-29T00:00:00Z',
      },
    ])
    expect(await good('order', 'list', '--status', 'invalid')).toBe('there is no such order')
    expect(await good('order', 'cancel', 'order-1')).toBe(
      'order order-1 is canceled; its last certificate is valid until 2026-11-29 00:00 UTC',
    )
    expect(await good('order', 'list', '--status', 'canceled')).toContain('order-1')
    expect(await good('authority', 'list')).toBe('NAME  KIND      DIRECTORY\nown   internal  -')
    expect(await good('authority', 'list', '--caa')).toContain('cpe.example. CAA 0 issue ";"')
    expect(await good('authority', 'test')).toContain('own  works')
    expect((await run('authority', 'test', 'other')).code).toBe(1)
  })
})

describe('the audit log', () => {
  it('is shown, exported and verified, in the store and in the file', async () => {
    await enrolled('home')
    await good('device', 'revoke', 'home', '--reason', 'keyCompromise')
    expect(await good('audit', 'show')).toMatch(
      /device-added +cli \S+ \(uid \d+\) +home\.cpe\.example\n.*device-enrolled +account account-1 .*\n.*device-revoked .*home\.cpe\.example, keyCompromise$/,
    )
    expect(await good('audit', 'verify')).toBe('3 entries in 1 chain fit together')
    const out = at('audit.jsonl')
    expect(await good('audit', 'export', '--out', out)).toBe(`3 entries are in ${out}`)
    expect(await good('audit', 'verify', out)).toBe('3 entries in 1 chain fit together')
    expect((await run('audit', 'export', '--out', out)).code).toBe(2)

    const lines = (await readFile(out, 'utf8')).trimEnd().split('\n')
    await writeFile(out, `${lines.join('\n').replace('keyCompromise', 'superseded')}\n${lines[2]}`)
    expect((await run('audit', 'verify', out)).out).toContain('BROKEN at entry 4')
    await writeFile(out, lines.slice(1).join('\n'))
    expect((await run('audit', 'verify', out)).out).toContain('entry 1 of its chain')
    expect(await good('audit', 'verify', out, '--part')).toContain('1 of them rest on entries before this part')
    await truncate(out, 10)
    expect(await run('audit', 'verify', out)).toMatchObject({ code: 2 })
  })

  it('can be read from a day on', async () => {
    await good('device', 'add', 'a')
    clock.step(3 * DAY_MS)
    await good('device', 'add', 'b')
    expect(await good('audit', 'show', '--since', '2026-11-26')).toMatch(/^2026-11-27 .* b\.cpe\.example$/)
    expect((await run('audit', 'show', '--since', 'yesterday')).code).toBe(2)
  })
})

describe('while the service is stopped', () => {
  it('the same works on its store', async () => {
    await server.close()
    // Opening the embedded engine takes seconds: once is enough.
    await good('device', 'add', '--count', '20', '--out', at('keys'))
    expect((await readFile(at('keys'), 'utf8')).trimEnd().split('\n').length).toBe(20)
    expect(await count()).toBe(0)
  }, 60_000)
})
