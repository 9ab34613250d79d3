import { describe, expect, it } from 'vitest'
import { ask, BASE, createWorld, DAY_S } from '../../world.ts'

describe('RFC 8555 §7.1.1 directory', () => {
  it('lists what there is, and the metadata of RFC 8739 §3.2 and RFC 9115 §2.3.4', async () => {
    const { server } = createWorld({ termsOfService: 'https://isp.example/terms' })
    const { status, headers, json } = await ask(server, 'GET', `${BASE}/directory`)
    expect(status).toBe(200)
    expect(headers).toEqual({ 'Content-Type': 'application/json' })
    expect(json).toEqual({
      newNonce: `${BASE}/new-nonce`,
      newAccount: `${BASE}/new-account`,
      newOrder: `${BASE}/new-order`,
      keyChange: `${BASE}/key-change`,
      revokeCert: `${BASE}/revoke-cert`,
      meta: {
        termsOfService: 'https://isp.example/terms',
        externalAccountRequired: true,
        'delegation-enabled': true,
        'allow-certificate-get': true,
        'auto-renewal': { 'min-lifetime': DAY_S, 'max-duration': 365 * DAY_S, 'allow-certificate-get': true },
      },
    })
  })

  it('is computed from the base URL, with or without a path', async () => {
    const { server } = createWorld({ baseUrl: 'https://127.0.0.1:7443/' })
    const { json } = await ask(server, 'GET', 'https://localhost:1/directory')
    expect(json.newOrder).toBe('https://127.0.0.1:7443/new-order')
  })
})

describe('RFC 8555 §7.2 newNonce', () => {
  it.each([
    ['HEAD', 200],
    ['GET', 204],
  ] as const)('answers %s with %i, a nonce and no-store', async (method, expected) => {
    const { status, headers, text } = await ask(createWorld().server, method, `${BASE}/new-nonce`)
    expect(status).toBe(expected)
    expect(headers['Replay-Nonce']).toMatch(/^[\w-]{22}$/)
    expect(headers['Cache-Control']).toBe('no-store')
    expect(headers['Link']).toEqual([`<${BASE}/directory>;rel="index"`])
    expect(text).toBe('')
  })
})
