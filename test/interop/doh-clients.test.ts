import { readFile } from 'node:fs/promises'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { toBase64url } from '../../src/core/bytes.ts'
import { systemClock } from '../../src/core/clock.ts'
import { parseMessage } from '../../src/dns/message.ts'
import { dohListener, type Http2Choice } from '../../src/router/listen/doh.ts'
import { silentLog } from '../support/log.ts'
import { queryWire, resolverOf, responseWire } from '../support/query.ts'
import { LOOPBACK } from '../support/sockets.ts'
import { TestAuthority } from '../support/tls.ts'
import { run } from './support/daemon.ts'
import { openScene } from './support/scene.ts'

const QUERY = queryWire('www.example.com', 1, { id: 0 })
const PATH = `/dns-query?dns=${toBase64url(QUERY)}`

/** Clients of others against our listener, whose upstream is a function. */
describe.each(['own', 'node'] as const)('HTTP/2: %s', (http2) => {
  const scene = openScene()
  let authority: TestAuthority
  beforeAll(async () => {
    authority = await TestAuthority.create()
  })

  async function started(choice: Http2Choice): Promise<number> {
    const answering = resolverOf(({ view }) => ({
      kind: 'answer',
      wire: responseWire(view.wire, ['192.0.2.1']),
      from: 'test',
      freshS: 300,
    }))
    const listener = dohListener(LOOPBACK, await authority.material(), { clock: systemClock, log: silentLog }, choice)
    await listener.start(answering)
    onTestFinished(() => listener.stop(0))
    return listener.endpoint.port
  }

  it('curl: GET, POST and HEAD, by address, verified', async () => {
    const port = await started(http2)
    const [root, query, answer] = [
      await scene.write('root.pem', authority.rootPem),
      await scene.write('query', QUERY),
      scene.path('answer'),
    ]
    const curl = (...more: string[]) =>
      run('curl', [
        '-sS',
        '--http2',
        '--cacert',
        root,
        '--resolve',
        `dns.test:${port}:127.0.0.1`,
        '-o',
        answer,
        '-w',
        '%{http_version} %{http_code} %{content_type} %{size_download}',
        ...more,
      ])
    const url = `https://dns.test:${port}`
    const good = /^2 200 application\/dns-message (\d+)$/
    expect((await curl(`${url}${PATH}`)).stdout).toMatch(good)
    expect(parseMessage(await readFile(answer))).toMatchObject({ answers: [{ data: { address: '192.0.2.1' } }] })
    const posted = await curl(
      '-H',
      'content-type: application/dns-message',
      '--data-binary',
      `@${query}`,
      `${url}/dns-query`,
    )
    expect(posted.stdout).toMatch(good)
    expect((await curl('-I', `${url}${PATH}`)).stdout).toMatch(/^2 200 application\/dns-message/)
    expect((await curl(`${url}/`)).stdout).toMatch(/^2 404 text\/plain/)
    expect((await curl('--http1.1', `${url}${PATH}`)).stdout).toMatch(/^1.1 200 application\/dns-message/)
  })

  it('curl --doh-url resolves a name by us', async () => {
    const port = await started(http2)
    // Where the answer points, nobody listens: that curl tried there is all that matters.
    const { stderr } = await run('curl', [
      '-sv',
      '-m',
      '2',
      '--doh-insecure',
      '--doh-url',
      `https://127.0.0.1:${port}/dns-query`,
      'http://www.example.com/',
    ])
    expect(stderr).toMatch(/192\.0\.2\.1/)
  })

  it('h2load: every one of 20000 requests on many streams succeeds', async () => {
    const port = await started(http2)
    const { stdout } = await run('h2load', ['-n', '20000', '-c', '8', '-m', '100', `https://127.0.0.1:${port}${PATH}`])
    expect(stdout).toContain('20000 succeeded, 0 failed, 0 errored, 0 timeout')
    expect(stdout).toContain('20000 2xx')
  })

  it('kdig +https, GET and POST', async () => {
    const port = await started(http2)
    for (const how of ['+https', '+https-get']) {
      const { stdout } = await run('kdig', ['@127.0.0.1', '-p', String(port), how, '+short', 'www.example.com'])
      expect(stdout.trim()).toBe('192.0.2.1')
    }
  })
})
