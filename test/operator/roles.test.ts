import { expect, it } from 'vitest'
import type { AcmeRequest } from '../../src/acme/server/exchange.ts'
import { servedBy } from '../../src/operator/roles.ts'

const BASE_URL = 'https://acme.isp.example/isp'
const handle = async () => ({ status: 200, headers: {}, body: 'handled' })
const request = (method: string, path: string): AcmeRequest => ({
  method,
  path,
  query: new URLSearchParams(),
  headers: {},
  body: new Uint8Array(),
})
const status = async (roles: Parameters<typeof servedBy>[0], method: string, path: string): Promise<number> =>
  (await servedBy(roles, handle, BASE_URL)!(request(method, path))).status

it('an instance that only publishes answers plain GET of certificates and nothing else', async () => {
  expect(await status(['publish', 'worker'], 'GET', '/isp/cert/abc')).toBe(200)
  expect(await status(['publish'], 'HEAD', '/isp/cert/abc')).toBe(200)
  expect(await status(['publish'], 'POST', '/isp/cert/abc')).toBe(404)
  expect(await status(['publish'], 'GET', '/cert/abc')).toBe(404)
  expect(await status(['publish'], 'GET', '/isp/directory')).toBe(404)
  expect(await status(['publish'], 'HEAD', '/isp/new-nonce')).toBe(404)
})

it('an instance with the API answers everything', async () => {
  expect(await status(['api'], 'GET', '/isp/cert/abc')).toBe(200)
  expect(await status(['api', 'publish'], 'POST', '/isp/new-order')).toBe(200)
})

it('an instance that only works listens nowhere', () => {
  expect(servedBy(['worker'], handle, BASE_URL)).toBeUndefined()
})
