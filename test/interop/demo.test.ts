import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { beforeAll, describe, expect, it } from 'vitest'
import type { DemoReport } from '../../src/router/cli/demo/demo.ts'
import { type Daemon, eventually, type Ran, run } from './support/daemon.ts'
import { hearth, startProgram } from './support/hearth.ts'
import { type Knot, startKnot } from './support/knot.ts'
import { freePorts } from './support/ports.ts'
import { kdig } from './support/probe.ts'
import { openScene } from './support/scene.ts'

const UP_MS_MAX = 60_000
const COLUMNS = 80

describe('hearth demo --once', () => {
  it('ends with code 0 and a report in which every check is good', async () => {
    const [base] = await freePorts(5)
    const { code, stdout, stderr } = await hearth('demo', '--once', '--port-base', String(base))
    const report = JSON.parse(stdout) as { ok: boolean; checks: { name: string; ok: boolean }[]; state: string }
    expect({ code, ok: report.ok, bad: report.checks.filter(({ ok }) => !ok) }).toEqual({ code: 0, ok: true, bad: [] })
    expect(report.checks.map(({ name }) => name)).toEqual([
      'operator and CA are up',
      'router is registered',
      'router is up',
      'router has its certificate (ACME delegation, STAR)',
      'Do53 over UDP answers',
      'Do53 over TCP answers',
      'DoT answers, certificate verified by name',
      'DoH answers, certificate verified by name',
      'a client that expects another name refuses us',
      'DDR names the encrypted endpoints',
      'the certificate rolls over, an open connection lives on',
    ])
    expect(stderr.trim().split('\n')).toHaveLength(report.checks.length)
    expect(existsSync(report.state)).toBe(false)
  })
})

describe('hearth demo', () => {
  openScene()

  it('prints commands that work when they are pasted', async () => {
    const [base] = await freePorts(5)
    const demo = startProgram('router', ['demo', '--port-base', String(base)])
    await demo.until(async () => expect(demo.output()).toContain('identity renew'), UP_MS_MAX)
    const commands = demo.output().match(/(?<=^ {2})(kdig|curl|node) .*$/gm)!
    expect(commands).toHaveLength(8)
    const answers = await Promise.all(commands.map((command) => run('sh', ['-c', command])))
    for (const [index, { code, stderr }] of answers.entries())
      expect({ command: commands[index], code, stderr }).toMatchObject({ code: 0 })
    const [dot, doh, page] = answers.map(({ stdout }) => stdout)
    expect(dot).toContain('192.0.2.80')
    expect(doh).toMatch(/HTTP session[^]*192\.0\.2\.80/)
    expect(page).toContain('found this page through your own router')
    await demo.stop('SIGINT')
    expect(await demo.ended).toBe(0)
  })
})

describe('hearth demo --json', () => {
  const scene = openScene()
  let knot: Knot
  let demo: Daemon
  let report: DemoReport
  let base: number
  let port: { do53: number; dot: number; doh: number }
  let tls: readonly string[]

  beforeAll(async () => {
    knot = await startKnot(scene, {
      'demo.example': 'page.demo.example. 60 A 127.0.0.1\nwww.demo.example. 60 A 198.51.100.7\n',
    })
    base = (await freePorts(5))[0]!
    const upstream = ['--upstream', `udp://${knot.address}`]
    demo = startProgram('router', ['demo', '--json', '--port-base', String(base), '--lifetime', '20s', ...upstream])
    report = await demo.until(async () => {
      const line = demo.output().match(/^\{.*\}$/m)?.[0]
      return JSON.parse(line ?? '') as DemoReport
    }, UP_MS_MAX)
    port = { do53: base, dot: base + 1, doh: base + 2 }
    tls = [`+tls-ca=${report.trust}`, `+tls-hostname=${report.name}`]
  })

  const answer = async (server: number, ...args: readonly string[]): Promise<string> =>
    (await kdig(server, ...args, '+short', 'www.demo.example')).stdout

  it('answers plain DNS by UDP and TCP', async () => {
    expect(report.do53).toBe(`127.0.0.1:${port.do53}`)
    expect(await answer(port.do53)).toBe('198.51.100.7\n')
    expect(await answer(port.do53, '+tcp')).toBe('198.51.100.7\n')
  })

  it('answers DNS over TLS to a client that verifies its name, and to no other', async () => {
    expect(await answer(port.dot, ...tls)).toBe('198.51.100.7\n')
    const wrongName = await kdig(port.dot, tls[0]!, '+tls-hostname=other.example', 'www.demo.example')
    expect(wrongName.stdout).not.toContain('198.51.100.7')
    expect(wrongName.stdout + wrongName.stderr).toContain('Error in the certificate')
    const withoutRoot = await kdig(port.dot, '+tls-ca', tls[1]!, 'www.demo.example')
    expect(withoutRoot.stdout).not.toContain('198.51.100.7')
    expect(withoutRoot.stdout + withoutRoot.stderr).toContain('Error in the certificate')
  })

  it('answers DNS over HTTPS by POST and GET', async () => {
    expect(await answer(port.doh, '+https=/dns-query', ...tls)).toBe('198.51.100.7\n')
    expect(await answer(port.doh, '+https=/dns-query', '+https-get', ...tls)).toBe('198.51.100.7\n')
  })

  it('resolves for curl', async () => {
    const place = `${report.name}:${port.doh}:127.0.0.1`
    const options = ['-sS', '--cacert', report.trust, '--resolve', place, '--doh-url', report.doh]
    const page = await run('curl', [...options, report.page])
    expect(page).toMatchObject({ code: 0, stdout: expect.stringContaining('through your own router') })
  })

  it.each<[string, () => readonly string[]]>([
    ['udp', () => ['--server', `udp://${report.do53}`]],
    ['tcp', () => ['--server', `tcp://${report.do53}`]],
    ['tls', () => ['--server', `tls://${report.dot}#${report.name}`, '--trust', report.trust]],
    ['https', () => ['--server', report.doh, '--address', '127.0.0.1', '--trust', report.trust]],
  ])('is asked by `hearth query` over %s', async (_scheme, server) => {
    const { code, stdout } = await hearth('query', ...server(), 'www.demo.example')
    expect({ code, record: stdout.split('\n')[0] }).toMatchObject({
      code: 0,
      record: expect.stringMatching(/^www\.demo\.example\. \d+ IN A 198\.51\.100\.7$/),
    })
    const json = JSON.parse((await hearth('query', ...server(), '--json', 'nothing.demo.example')).stdout) as object
    expect(json).toMatchObject({ rcode: 'NXDOMAIN', records: [] })
  })

  it('tells `hearth query` apart from a server that is not believed', async () => {
    const { code, stderr } = await hearth('query', '--server', `tls://${report.dot}#${report.name}`, 'www.demo.example')
    expect(code).toBe(1)
    expect(stderr).toMatch(/does not lead to a trusted root[^]*UPSTREAM_UNTRUSTED/)
  })

  it('shows its status, advertisement and identity as text and as JSON', async () => {
    const ask = async (...verb: readonly string[]): Promise<{ text: string; json: Record<string, unknown> }> => {
      const config = ['--config', report.settings.router]
      const [text, json] = await Promise.all([hearth(...verb, ...config), hearth(...verb, ...config, '--json')])
      expect({ verb, text: text.code, json: json.code }).toEqual({ verb, text: 0, json: 0 })
      return { text: text.stdout, json: JSON.parse(json.stdout) as Record<string, unknown> }
    }
    const status = await ask('status')
    expect(status.text).toMatch(/identity +serving a believed certificate/)
    expect(status.text).toContain(`up   udp://${knot.address}`)
    expect(status.json).toMatchObject({ presence: { name: report.name }, identity: { state: 'serving' } })
    const identity = await ask('identity', 'show')
    expect(identity.text).toMatch(/solution +acme-delegation/)
    expect(identity.json).toMatchObject({ name: report.name, solution: 'acme-delegation' })
    const renewed = await ask('identity', 'renew')
    expect(renewed.json).toMatchObject({ name: report.name, state: 'serving' })
    for (const line of `${status.text}${identity.text}${renewed.text}`.split('\n'))
      expect(line.length).toBeLessThanOrEqual(COLUMNS)
    const advertised = await ask('advertise')
    expect(advertised.json).toMatchObject({ ddr: true, dnr: report.dnr })
    expect(advertised.text).toContain(report.dnr.v4)
  })

  it('designates itself by DDR', async () => {
    const { stdout } = await kdig(port.do53, '_dns.resolver.arpa', 'SVCB')
    expect(stdout).toContain(`SVCB\t1 ${report.name}. alpn=dot port=${port.dot}\n`)
    expect(stdout).toContain(`SVCB\t2 ${report.name}. alpn=h2 port=${port.doh} key7="/dns-query{?dns}"\n`)
    expect(stdout).toMatch(/ADDITIONAL SECTION:\n\S+\s+300\s+IN\s+A\s+127\.0\.0\.1\n/)
    const byName = await kdig(port.do53, '+short', `_dns.${report.name}`, 'SVCB')
    expect(byName.stdout.trim().split('\n')).toHaveLength(2)
  })

  it('names the port that another program holds', async () => {
    const second = await hearth('demo', '--port-base', String(base))
    expect(second.code).toBe(1)
    expect(second.stderr).toContain(`127.0.0.1:${base + 3} is in use`)
    expect(second.stderr).toContain('PORT_IN_USE')
  })

  it('leaves no process and no directory behind when it is stopped', async () => {
    const children = await childrenOf(demo.pid)
    expect(children).toHaveLength(2)
    await demo.stop()
    expect(await demo.ended).toBe(0)
    await eventually(() => expect(children.filter((pid) => existsSync(`/proc/${pid}`))).toEqual([]))
    expect(existsSync(report.state)).toBe(false)
    expect((await closedDoor()).code).not.toBe(0)
  })

  const closedDoor = (): Promise<Ran> => hearth('query', '--server', `tcp://${report.do53}`, 'www.demo.example')
})

async function childrenOf(pid: number): Promise<string[]> {
  return (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).trim().split(' ')
}
