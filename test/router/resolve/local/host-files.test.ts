import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { RCODE, TYPE } from '../../../../src/dns/codes.ts'
import { type HostFile, readHostFiles, stampOf } from '../../../../src/router/resolve/local/host-files.ts'
import { LOOK_MS } from '../../../../src/router/resolve/local/watch.ts'
import { createLocal } from '../../../../src/router/resolve/local.ts'
import { localOver, PLAIN_PRESENCE, textsOf, zoneOf } from '../../../support/local.ts'
import { recordingLog } from '../../../support/log.ts'
import { ManualClock } from '../../../support/manual-clock.ts'

async function temporaryDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'hearth-hosts-'))
  onTestFinished(() => rm(directory, { recursive: true }))
  return directory
}
const hostsFile = (path: string): HostFile => ({ path, kind: 'hosts file', format: 'auto' })
const leaseFile = (path: string): HostFile => ({ path, kind: 'lease file', format: 'auto' })

async function localWith(hostFiles: readonly HostFile[], more: Parameters<typeof localOver>[1] = {}) {
  const over = await localOver(PLAIN_PRESENCE, { domain: 'lan', hostFiles, ...more })
  onTestFinished(() => over.local.stop())
  return over
}

describe('reading', () => {
  it('a missing file holds nobody and is no problem; one that is too large or damaged is told', async () => {
    const directory = await temporaryDirectory()
    const at = (name: string): string => join(directory, name)
    await writeFile(at('large'), '#'.repeat(2 * 1024 * 1024 + 1))
    await writeFile(at('damaged'), '192.168.1.2 a\nb\n\nc\n')
    const { hosts, problems } = await readHostFiles(
      ['missing', 'missing/below', 'large', 'damaged'].map((name) => hostsFile(at(name))),
    )
    expect(hosts).toEqual([
      { addresses: ['192.168.1.2'], names: ['a'], line: 1, file: at('damaged'), kind: 'hosts file' },
    ])
    expect(problems).toEqual([
      { file: at('large'), problem: 'cannot be read: it is larger than 2097152 bytes' },
      { file: at('damaged'), problem: 'line 2 is left out: "b" is no address, and 1 more lines' },
    ])
  })

  it('a directory is all files in it', async () => {
    const directory = await temporaryDirectory()
    await mkdir(join(directory, 'sub'))
    await writeFile(join(directory, 'b'), '192.168.1.3 b')
    await writeFile(join(directory, 'a'), '192.168.1.2 a')
    await symlink('nowhere', join(directory, 'c'))
    const { hosts, problems } = await readHostFiles([hostsFile(directory)])
    expect(hosts.map(({ names }) => names[0])).toEqual(['a', 'b'])
    expect(problems).toEqual([])
  })

  it('the stamp tells a new file, a changed one, and a replaced one of the same size', async () => {
    const directory = await temporaryDirectory()
    const files = [hostsFile(directory)]
    const stamps = new Set([await stampOf(files)])
    await writeFile(join(directory, 'a'), '192.168.1.2 a')
    stamps.add(await stampOf(files))
    await writeFile(join(directory, 'new'), '192.168.1.3 a')
    await rename(join(directory, 'new'), join(directory, 'a'))
    stamps.add(await stampOf(files))
    stamps.add(await stampOf(files))
    expect(stamps.size).toBe(3)
  })
})

describe('the hosts of this home', () => {
  it('are answered by name, by short name and backwards, offline', async () => {
    const directory = await temporaryDirectory()
    const [hosts, leases] = [join(directory, 'hosts'), join(directory, 'dhcp.leases')]
    await writeFile(hosts, '192.168.1.10 nas\n10.9.8.7 git.corp.example\n')
    await writeFile(leases, '0 aa:bb 192.168.1.20 tv *\n0 1 fd00::20 tv 01:02\n0 2 2001:db8:1::20 tv 01:02\n')
    const { ask, upstream, local } = await localWith([hostsFile(hosts), leaseFile(leases)])
    for (const name of ['nas.lan', 'nas.home.arpa', 'NAS', 'nas'])
      expect(textsOf(ask(name)?.answers)).toEqual([`${name}. 60 IN A 192.168.1.10`])
    expect(textsOf(ask('tv.lan', TYPE.AAAA)?.answers)).toEqual([
      'tv.lan. 60 IN AAAA 2001:db8:1::20',
      'tv.lan. 60 IN AAAA fd00::20',
    ])
    expect(textsOf(ask('10.1.168.192.in-addr.arpa', TYPE.PTR)?.answers)).toEqual([
      '10.1.168.192.in-addr.arpa. 60 IN PTR nas.lan.',
    ])
    const reverse = `0.2.${'0.'.repeat(18)}1.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa`
    expect(textsOf(ask(reverse, TYPE.PTR)?.answers)).toEqual([`${reverse}. 60 IN PTR tv.lan.`])
    expect(ask('nas.lan', TYPE.AAAA)).toMatchObject({
      rcode: RCODE.NOERROR,
      answers: [],
      authorities: [{ name: 'lan' }],
    })
    expect(ask('nas', TYPE.AAAA)).toMatchObject({ rcode: RCODE.NOERROR, answers: [], authorities: [{ name: 'nas' }] })
    expect(ask('other.lan')).toMatchObject({ rcode: RCODE.NXDOMAIN, authorities: [{ name: 'lan', ttl: 60 }] })
    expect(ask('lan', TYPE.SOA)?.answers).toHaveLength(1)
    expect(ask('git.corp.example')?.answers).toHaveLength(1)
    expect(ask('git.corp.example', TYPE.HTTPS)).toMatchObject({ rcode: RCODE.NOERROR, answers: [] })
    expect(ask('11.1.168.192.in-addr.arpa', TYPE.PTR)).toMatchObject({ rcode: RCODE.NXDOMAIN })
    expect(upstream.asked).toBe(0)
    expect(local.hostName('192.168.1.20')).toBe('tv.lan')
    expect(local.hostName('192.168.1.21')).toBeUndefined()
    expect(local.explain({ name: 'tv.lan', type: TYPE.A }, '')?.says).toBe(
      `lease file ${leases} line 3, lease file ${leases} line 2, lease file ${leases} line 1: 1 A`,
    )
    for (const name of ['x.corp.example', 'x.nas', 'corp.example']) ask(name)
    expect(upstream.asked).toBe(3)
  })

  it('never take the place of a record or zone of the settings, or of a special name', async () => {
    const directory = await temporaryDirectory()
    const leases = join(directory, 'leases')
    const names = ['mail', 'lan', 'test', 'nas', 'example', 'arpa']
    await writeFile(leases, names.map((name, index) => `0 aa 192.168.1.${index + 66} ${name} *\n`).join(''))
    const { ask, upstream } = await localWith([leaseFile(leases)], {
      zones: [zoneOf('lan', 'mail MX 10 mx\n* TXT wild'), zoneOf('home.example', 'x A 192.168.1.1')],
    })
    expect(ask('mail.lan')).toMatchObject({ rcode: RCODE.NOERROR, answers: [] })
    expect(textsOf(ask('nas.lan')?.answers)).toEqual(['nas.lan. 60 IN A 192.168.1.69'])
    expect(ask('lan')).toMatchObject({ rcode: RCODE.NOERROR, answers: [] })
    expect(ask('test')).toMatchObject({ rcode: RCODE.NXDOMAIN })
    expect(ask('test.home.arpa')?.answers).toHaveLength(1)
    expect(upstream.asked).toBe(0)
    ask('other.example')
    expect(upstream.asked).toBe(1)
  })

  it('are known although their domain or their addresses are asked upstream', async () => {
    const directory = await temporaryDirectory()
    const leases = join(directory, 'leases')
    await writeFile(leases, '0 aa 10.0.0.5 nas *\n')
    const { ask, upstream } = await localWith([leaseFile(leases)], { askedUpstream: ['lan', '10.in-addr.arpa'] })
    expect(ask('nas.lan')?.answers).toHaveLength(1)
    expect(ask('5.0.0.10.in-addr.arpa', TYPE.PTR)?.answers).toHaveLength(1)
    expect(upstream.asked).toBe(0)
    ask('tv.lan')
    ask('6.0.0.10.in-addr.arpa', TYPE.PTR)
    expect(upstream.asked).toBe(2)
  })
})

describe('a file that changes', () => {
  it('is read again: written, replaced, gone and back', async () => {
    const directory = await temporaryDirectory()
    const path = join(directory, 'leases')
    const { ask, clock } = await localWith([leaseFile(path)])
    const sees = async (address: string | undefined): Promise<void> => {
      await vi.waitFor(
        async () => {
          await clock.advance(LOOK_MS)
          const [answer] = ask('nas.lan')?.answers ?? []
          expect(answer?.data).toEqual(address === undefined ? undefined : { address })
        },
        { timeout: 10_000 },
      )
    }
    await sees(undefined)
    await writeFile(path, '0 aa 192.168.1.10 nas *\n')
    await sees('192.168.1.10')
    await writeFile(join(directory, 'new'), '0 aa 192.168.1.11 nas *\n')
    await rename(join(directory, 'new'), path)
    await sees('192.168.1.11')
    await rm(path)
    await sees(undefined)
    await writeFile(path, '0 aa 192.168.1.12 nas *\n')
    await sees('192.168.1.12')
  })

  it('does not have to: a lease ends by itself', async () => {
    const directory = await temporaryDirectory()
    const path = join(directory, 'leases')
    const clock = new ManualClock()
    await writeFile(path, `${clock.nowMs() / 1000 + 60} aa 192.168.1.10 nas *\n`)
    const over = await localWith([leaseFile(path)])
    expect(over.ask('nas.lan')?.answers).toHaveLength(1)
    await over.clock.advance(60_000)
    await vi.waitFor(async () => {
      await over.clock.advance(LOOK_MS)
      expect(over.ask('nas.lan')?.answers).toEqual([])
    })
  })

  it('is complained about once, and again only when something else is wrong', async () => {
    const directory = await temporaryDirectory()
    const path = join(directory, 'hosts')
    await writeFile(path, 'nonsense\n')
    const { log, lines } = recordingLog()
    const clock = new ManualClock()
    const local = await createLocal(
      { domain: 'lan', zones: [], hostFiles: [hostsFile(path)], askedUpstream: [] },
      { clock, log, presence: () => PLAIN_PRESENCE },
    )
    onTestFinished(() => local.stop())
    const change = async (text: string): Promise<void> => {
      await writeFile(path, text)
      const mark = text.split(' ')[0]!
      await vi.waitFor(async () => {
        await clock.advance(LOOK_MS)
        expect(local.hostName(mark)).toBeDefined()
      })
    }
    await change('192.168.1.5 a\n')
    await change('192.168.1.6 a\nother nonsense\n')
    await change('192.168.1.7 a\nother nonsense\n')
    expect(lines.map(({ problem }) => problem)).toEqual([
      'line 1 is left out: "nonsense" is no address',
      'line 2 is left out: "other" is no address',
    ])
  })
})
