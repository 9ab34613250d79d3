import { beforeEach, describe, expect, it } from 'vitest'
import type { Table } from '../../../src/core/table.ts'
import type { HttpRequest, HttpResponse } from '../../../src/net/http.ts'
import { adminAccess } from '../../../src/operator/admin/access.ts'
import { httpFace } from '../../../src/operator/admin/http-face.ts'
import type { InputSchema } from '../../../src/operator/admin/input.ts'
import { problemsOf } from '../../../src/operator/admin/input.ts'
import { exampleOf } from '../../../src/operator/admin/openapi-example.ts'
import { pageFiles } from '../../../src/operator/admin/page.ts'
import type { TokenRow } from '../../../src/operator/admin/tokens.ts'
import type { OperatorConfig } from '../../../src/operator/config.ts'
import { type Management, openManagement } from '../../../src/operator/management.ts'
import { memoryJobs, memoryTable } from '../../../src/store/memory.ts'
import { recordingLog } from '../../support/log.ts'
import { ManualClock } from '../../support/manual-clock.ts'

const BY = 'cli root (uid 0)'
const CONFIG = {
  baseUrl: 'https://acme.example',
  zone: { name: 'cpe.example' },
  authorities: [{ name: 'own', kind: 'internal' }],
  delegation: { keyTypes: ['p256'], namePattern: 'cpe-*' },
} as unknown as OperatorConfig

let clock: ManualClock
let tables: Map<string, Table<unknown>>
let management: Management
let tokens: { readonly read: string; readonly operate: string }
let handle: (request: HttpRequest) => Promise<HttpResponse>
let lines: Record<string, unknown>[]
let isReady: boolean

beforeEach(async () => {
  clock = new ManualClock()
  tables = new Map()
  const table = <T>(name: string): Table<T> => {
    if (!tables.has(name)) tables.set(name, memoryTable<unknown>())
    return tables.get(name) as Table<T>
  }
  management = openManagement(CONFIG, { table, jobs: memoryJobs }, clock)
  tokens = {
    read: await management.tokens.add('page', { role: 'read', by: BY }),
    operate: await management.tokens.add('provisioning', { role: 'operate', by: BY }),
  }
  const recorded = recordingLog('trace')
  lines = recorded.lines
  isReady = true
  handle = httpFace({
    table: management.operations,
    access: adminAccess({ tokens: management.tokens, clientRole: 'read', clock }),
    hosts: new Set(['localhost', '[::1]']),
    metrics: () => 'figure 1\n',
    openMetrics: false,
    readiness: async () => ({ isReady, reason: isReady ? 'ready' : 'no authority can be asked' }),
    page: await pageFiles(),
    version: '1.2.3',
    log: recorded.log,
  })
})

interface Asked {
  readonly method?: string
  readonly token?: string | undefined
  readonly input?: unknown
  readonly headers?: Readonly<Record<string, string>>
  readonly clientName?: string
}
async function ask(path: string, { method = 'GET', token, input, headers, clientName }: Asked = {}) {
  const [plain = '', query] = path.split('?')
  const response = await handle({
    method,
    path: plain,
    query: new URLSearchParams(query),
    headers: {
      host: 'localhost:7444',
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(input === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    body: input === undefined ? new Uint8Array() : Buffer.from(JSON.stringify(input)),
    remoteAddress: '192.0.2.7',
    ...(clientName === undefined ? {} : { clientName }),
  })
  const type = String(response.headers['content-type'])
  return { ...response, type, json: /json/.test(type) ? (JSON.parse(String(response.body)) as never) : undefined }
}

describe('operations over HTTP', () => {
  it('are done with JSON by POST, and by GET when they change nothing', async () => {
    const added = await ask('/api/v1/device-add', {
      method: 'POST',
      token: tokens.operate,
      input: { names: ['attic'] },
    })
    expect(added).toMatchObject({ status: 200, json: [{ name: 'attic.cpe.example' }] })
    const listed = { status: 200, json: { devices: [{ name: 'attic.cpe.example', state: 'waiting' }] } }
    expect(await ask('/api/v1/device-list?limit=5&state=waiting', { token: tokens.read })).toMatchObject(listed)
    expect(await ask('/api/v1/device-list', { method: 'POST', token: tokens.read, input: {} })).toMatchObject(listed)
    const changed = await ask('/api/v1/device-add', { token: tokens.operate })
    expect(changed).toMatchObject({ status: 405, headers: { allow: 'POST' } })
  })

  it('stand in the audit log with the name of the token', async () => {
    await ask('/api/v1/device-add', { method: 'POST', token: tokens.operate, input: { names: ['attic'] } })
    const entries = await management.audit.list({ limit: 10 })
    expect(entries.at(-1)!.row).toMatchObject({ event: 'device-added', by: 'token provisioning' })
  })

  it.each([
    ['/api/v1/device-show', {}, 400, 'name is missing'],
    ['/api/v1/device-list', { limit: 0 }, 400, 'a whole number from 1'],
    ['/api/v1/device-show', { name: 'nobody' }, 404, 'there is no device nobody'],
    ['/api/v1/device-shwo', {}, 404, 'there is no operation'],
    ['/api/v1/constructor', {}, 404, 'there is no operation'],
  ])('%s with %j is a problem document', async (path, input, status, detail) => {
    const answer = await ask(path, { method: 'POST', token: tokens.read, input })
    expect(answer).toMatchObject({ status, type: 'application/problem+json', json: { status } })
    expect(String(answer.body)).toContain(detail)
  })

  it('take nothing but JSON, which a form of another page cannot send', async () => {
    const form = { 'content-type': 'application/x-www-form-urlencoded' }
    const asked = { method: 'POST', token: tokens.operate, input: {}, headers: form }
    expect((await ask('/api/v1/device-add', asked)).status).toBe(415)
  })

  it('tell nothing of a bug of ours, but the log does', async () => {
    management.registry.list = () => Promise.reject(new TypeError('x is not a function'))
    const answer = await ask('/api/v1/device-list', { token: tokens.read })
    expect(answer.status).toBe(500)
    expect(String(answer.body)).not.toContain('x is not')
    expect(JSON.stringify(lines)).toContain('x is not a function')
  })
})

describe('access', () => {
  it.each([undefined, 'page', 'page.', 'page.AAAA', '.AAAA', 'nobody.AAAA', 'x'.repeat(5000)])(
    'is refused to the token %j',
    async (token) => {
      const answer = await ask('/api/v1/status', { token })
      expect(answer.status).toBe(401)
      expect(answer.headers['www-authenticate']).toMatch(/^Bearer /)
    },
  )

  it('to what changes something needs the role operate', async () => {
    const asked = { method: 'POST', token: tokens.read, input: {} }
    expect(await ask('/api/v1/device-add', asked)).toMatchObject({ status: 403, json: { code: 'NOT_ALLOWED' } })
  })

  it('ends with the token: when it is removed, and when it expires', async () => {
    await management.tokens.remove('page', { by: BY })
    expect((await ask('/api/v1/status', { token: tokens.read })).status).toBe(401)
    const short = await management.tokens.add('short', { role: 'read', by: BY, expiresMs: clock.nowMs() + 1000 })
    expect((await ask('/api/v1/status', { token: short })).status).toBe(200)
    await clock.advance(1000)
    expect((await ask('/api/v1/status', { token: short })).status).toBe(401)
  })

  it('is refused for a minute after ten wrong tokens', async () => {
    for (let count = 0; count < 10; count++) await ask('/api/v1/status', { token: 'page.AAAA' })
    const blocked = await ask('/api/v1/status', { token: tokens.read })
    expect(blocked).toMatchObject({ status: 429, headers: { 'retry-after': '60' } })
    await clock.advance(60_000)
    expect((await ask('/api/v1/status', { token: tokens.read })).status).toBe(200)
  })

  it('is given to a client certificate, with the role of the settings', async () => {
    expect((await ask('/api/v1/status', { clientName: 'monitor' })).status).toBe(200)
    const denied = await ask('/api/v1/device-add', { method: 'POST', input: {}, clientName: 'monitor' })
    expect(String(denied.body)).toContain('certificate monitor has the role read')
  })

  it('is never given by another host name, which DNS rebinding would use', async () => {
    for (const host of ['evil.example', 'localhost.evil.example', '', 'localhost@evil.example'])
      expect((await ask('/', { headers: { host } })).status).toBe(421)
    expect((await ask('/', { headers: { host: '[::1]:7444' } })).status).toBe(200)
  })

  it('keeps hashes of tokens, never a token, and logs neither', async () => {
    await ask('/api/v1/device-add', { method: 'POST', token: tokens.operate, input: {} })
    await ask('/api/v1/status', { token: 'page.AAAA' })
    const rows = await (tables.get('admin-token') as Table<TokenRow>).list({ limit: 10 })
    const audit = await management.audit.list({ limit: 10 })
    for (const token of Object.values(tokens)) {
      const secret = token.split('.')[1]!
      expect(Buffer.from(secret, 'base64url').length).toBe(32)
      expect(JSON.stringify([rows, audit, lines])).not.toContain(secret)
    }
    expect(rows.map(({ id }) => id)).toEqual(['page', 'provisioning'])
  })
})

describe('beside the operations', () => {
  it('/metrics wants a token', async () => {
    expect((await ask('/metrics')).status).toBe(401)
    const answer = await ask('/metrics', { token: tokens.read })
    expect([answer.type, answer.body]).toEqual(['text/plain; version=0.0.4; charset=utf-8', 'figure 1\n'])
  })

  it('/healthz and /readyz are for everybody', async () => {
    const headers = { host: '10.1.2.3:7444' }
    expect(await ask('/healthz', { headers })).toMatchObject({ status: 200, body: 'ok\n' })
    expect((await ask('/readyz', { headers })).status).toBe(200)
    isReady = false
    expect(await ask('/readyz', { headers })).toMatchObject({ status: 503, body: 'no authority can be asked\n' })
  })

  it('the page takes nothing from elsewhere, is held by no frame, and stays below 30 kB', async () => {
    const sizes = await Promise.all(
      ['/', '/page.js', '/page.css', '/icon.svg'].map(async (path) => {
        const { status, headers, body } = await ask(path)
        expect(status).toBe(200)
        expect(headers['content-security-policy']).toMatch(/^default-src 'none'; script-src 'self'; /)
        expect(headers['x-frame-options']).toBe('DENY')
        expect(headers['access-control-allow-origin']).toBeUndefined()
        return String(body).length
      }),
    )
    expect(sizes.reduce((sum, size) => sum + size)).toBeLessThan(30_000)
    expect((await ask('/%2e%2e/api')).status).toBe(404)
  })
})

describe('the OpenAPI document', () => {
  interface Document {
    readonly openapi: string
    readonly paths: Readonly<
      Record<
        string,
        {
          readonly post: {
            readonly requestBody: { readonly content: Record<string, { schema: object; example: unknown }> }
          }
          readonly get?: { readonly parameters: readonly { readonly name: string }[] }
        }
      >
    >
  }

  it('names every operation, GET for those that change nothing, and no other', async () => {
    const { json } = await ask('/api/v1/openapi.json', { token: tokens.read })
    const { openapi, paths } = json as unknown as Document
    expect(openapi).toBe('3.1.0')
    expect(Object.keys(paths)).toEqual(Object.keys(management.operations).map((name) => `/${name}`))
    for (const [name, { role, input }] of Object.entries(management.operations)) {
      const { get, post } = paths[`/${name}`]!
      expect(get?.parameters.map((parameter) => parameter.name)).toEqual(
        role === 'read' ? Object.keys(input) : undefined,
      )
      const { schema } = post.requestBody.content['application/json']!
      expect(Object.keys((schema as { properties: object }).properties)).toEqual(Object.keys(input))
    }
  })

  it('has examples that the operations take', async () => {
    const { json } = await ask('/api/v1/openapi.json', { token: tokens.read })
    for (const [name, { input }] of Object.entries(management.operations)) {
      const { example } = (json as unknown as Document).paths[`/${name}`]!.post.requestBody.content['application/json']!
      expect(example).toEqual(exampleOf(input as InputSchema))
      expect([name, problemsOf(example, input)]).toEqual([name, []])
    }
  })
})
