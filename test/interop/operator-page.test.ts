import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { NewDevice } from '../../src/operator/delegation/device.ts'
import { toPem } from '../../src/pki/certificate.ts'
import { type Browser, openBrowser } from './support/chromium.ts'
import { eventually, everythingSaid } from './support/daemon.ts'
import { hearthOperator, type OperatorProgram, operatorIn, type RouterProgram, routerIn } from './support/hearth.ts'
import { freePort } from './support/ports.ts'
import { probe } from './support/probe.ts'
import { openScene } from './support/scene.ts'

/** One story, told in order: each test goes on where the one before it ended. */
describe('the page of the operator in Chromium', () => {
  const scene = openScene()
  let operator: OperatorProgram
  let device: NewDevice
  let router: RouterProgram
  let browser: Browser
  let url: string
  let token: string

  beforeAll(async () => {
    const admin = `127.0.0.1:${await freePort()}`
    url = `https://${admin}/`
    operator = await operatorIn(scene, 'operator', {
      authorities: [
        { name: 'primary', kind: 'internal', budget: { 'orders-per-3h': 40 } },
        { name: 'backup', kind: 'internal' },
      ],
      admin,
      log: 'trace',
    })
    await operator.start()
    device = await operator.addDevice()
    await hearthOperator('device', 'add', '--count', '3', '--config', operator.settings)
    const { directoryUrl, root } = operator
    router = await routerIn(scene, 'router', { device, directoryUrl, trust: root, lifetime: '1d' })
    await router.start()
    await eventually(async () => {
      const seen = await probe(router.ports.dot, router.name, await readFile(root, 'utf8'))
      expect(seen.kind).toBe('good')
    })
    const made = await hearthOperator('token', 'add', 'page', '--role', 'read', '--config', operator.settings)
    token = made.stdout.trim()
    browser = await openBrowser(await certificateOf(admin))
    await browser.resize(1100, 900)
  })

  afterAll(async () => {
    if (typeof browser === 'object') await browser.close()
  })

  const shots = process.env.HEARTH_SCREENSHOTS
  const shoot = async (name: string): Promise<void> => {
    if (shots !== undefined) await browser.screenshot(`${shots}/${name}.png`)
  }
  const text = (selector: string): Promise<string> =>
    browser.evaluate(`document.querySelector(${JSON.stringify(selector)})?.innerText ?? ''`)
  const submit = (form: string, input: string, value: string): Promise<void> =>
    browser.evaluate(
      `void (document.querySelector('${input}').value = ${JSON.stringify(value)}, document.querySelector('${form}').requestSubmit())`,
    )

  it('asks for a token, and says when it is wrong', async () => {
    await browser.open(url)
    await browser.until(`document.activeElement?.id === 'token'`)
    await shoot('login')
    await submit('#login-form', '#token', 'page.wrong')
    await browser.until(`document.querySelector('#login-error').textContent.includes('unknown or has expired')`)
    expect(await browser.evaluate('document.querySelector("#board").hidden')).toBe(true)
  })

  it('shows the fleet, the authorities and the pictures', async () => {
    await submit('#login-form', '#token', token)
    await browser.until(`!document.querySelector('#board').hidden`)
    // The fleet is counted twice a minute.
    await eventually(async () => {
      await browser.open(url)
      await browser.until(`document.querySelector('#updated').textContent !== ''`)
      expect(await text('[data-state=valid]')).toMatch(/^1\s+valid$/)
    }, 90_000)
    expect(await text('[data-state=waiting]')).toMatch(/^3\s+never enrolled$/)
    expect(await text('#authorities .card')).toMatch(/^primary\s*works\s*internal\s+1 issued, 0 failed/)
    expect(await text('#authorities .budget')).toMatch(/orders per 3h\s+1 of 40/)
    expect(await text('#failovers')).toBe('None so far.')
    expect(await text('#issuance figcaption')).toContain('1 issued')
    expect(await browser.evaluate('document.querySelectorAll("#issuance rect.issued").length')).toBe(1)
    expect(await browser.evaluate('document.querySelectorAll("#ends rect.issued").length')).toBe(1)
    await shoot('board-light')
  })

  it('finds a router by how its name begins, with its orders', async () => {
    await submit('#search', '#name', device.name.slice(0, 9))
    await browser.until(`document.querySelector('#found h3') !== null`)
    expect(await text('#found')).toContain(device.name)
    expect(await text('#found .rows')).toMatch(new RegExp(`valid ${device.name}\\s+certificate until`))
    await submit('#search', '#name', 'cpe-')
    await browser.until(`document.querySelectorAll('#found .pick').length === 4`)
    await submit('#search', '#name', 'nobody')
    await browser.until(`document.querySelector('#found').textContent.includes('No router')`)
  })

  it('fits a phone, in the dark, and nothing runs over the edge', async () => {
    await browser.resize(360, 740, 'dark')
    await submit('#search', '#name', device.name)
    await browser.until(`document.querySelector('#found h3') !== null`)
    expect(await browser.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(360)
    await shoot('board-phone-dark')
  })

  it('forgets the token when told to', async () => {
    await browser.evaluate(`document.querySelector('#leave').click()`)
    expect(await browser.evaluate('[sessionStorage.length, document.cookie]')).toEqual([0, ''])
    await browser.open(url)
    expect(await browser.evaluate('document.querySelector("#board").hidden')).toBe(true)
  })

  it('and everything before it left no secret in any line of the logs', async () => {
    const said = everythingSaid()
    expect(said).toContain('first certificate')
    const keys = await privateKeysIn([operator.state, router.state])
    expect(keys.length).toBeGreaterThanOrEqual(3)
    const secrets = [device.eab.key, token, token.split('.')[1]!, ...keys]
    expect(secrets.filter((secret) => said.includes(secret))).toEqual([])
    expect(said).not.toContain('PRIVATE KEY')
  })

  it('keeps to its content security policy and makes no errors', () => {
    // The browser itself reports the answers 401 and 404 that were asked for above.
    expect(browser.complaints.filter((complaint) => !/status of 40[14]/.test(complaint))).toEqual([])
  })
})

function certificateOf(address: string): Promise<string> {
  const [host, port] = address.split(':') as [string, string]
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port: Number(port), rejectUnauthorized: false }, () => {
      resolve(toPem([socket.getPeerCertificate().raw]))
      socket.destroy()
    }).once('error', reject)
  })
}

/** Lines of every PEM private key in the files of these directories, the store left out: a log would show one at least. */
async function privateKeysIn(directories: readonly string[]): Promise<readonly string[]> {
  const keys: string[] = []
  for (const directory of directories)
    for (const file of await readdir(directory, { recursive: true, withFileTypes: true })) {
      if (!file.isFile() || file.parentPath.includes('store')) continue
      const text = (await readFile(join(file.parentPath, file.name), 'utf8')).replaceAll('\\n', '\n')
      for (const [, body] of text.matchAll(/PRIVATE KEY-----\n([^-]+)-----END/g)) keys.push(...body!.trim().split('\n'))
    }
  return keys
}
