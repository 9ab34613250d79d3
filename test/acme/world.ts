import { createHmac, createPrivateKey, createPublicKey, randomBytes, sign } from 'node:crypto'
import type { AcmeTransport } from '../../src/acme/client/exchange.ts'
import type { AcmeResponse } from '../../src/acme/server/exchange.ts'
import { memoryNonces } from '../../src/acme/server/nonces.ts'
import type { AcmeServerOptions, CsrProblem, PublishedCertificate } from '../../src/acme/server/options.ts'
import type { AccountKeyRow, AccountRow, OrderRow } from '../../src/acme/server/rows.ts'
import { type AcmeServer, createAcmeServer } from '../../src/acme/server/server.ts'
import { createCsr } from '../../src/pki/csr.ts'
import { generateKey } from '../../src/pki/key.ts'
import { memoryTable } from '../../src/store/memory.ts'
import { ManualClock } from '../support/manual-clock.ts'

/** With a path, so that nothing can rely on there being none. */
export const BASE = 'https://acme.isp.example/a'
export const NAME = 'cpe7.isp.example'
export const DAY_S = 86_400

/** A delegation server with its surroundings in memory, and one customer key that may open an account. */
export function createWorld(overrides: Partial<AcmeServerOptions> = {}) {
  const clock = new ManualClock()
  const orders = memoryTable<OrderRow>()
  const accounts = memoryTable<AccountRow>()
  const accountKeys = memoryTable<AccountKeyRow>()
  const customers = new Map<string, { key: Uint8Array; boundTo?: string }>()
  const published = new Map<string, PublishedCertificate>()
  const delegated = new Map<string, { account: string; names: readonly string[] }>()
  const processing: string[] = []
  const csrProblems: CsrProblem[] = []
  const options: AcmeServerOptions = {
    baseUrl: BASE,
    clock,
    nonces: memoryNonces({ clock, capacity: 1000, lifetimeMs: 3_600_000 }),
    accounts,
    accountKeys,
    orders,
    externalAccounts: {
      find: async (kid) => customers.get(kid),
      bind: async (kid, account) => {
        const customer = customers.get(kid)
        if (!customer || (customer.boundTo !== undefined && customer.boundTo !== account)) return false
        customers.set(kid, { ...customer, boundTo: account })
        return true
      },
    },
    delegations: {
      list: async (account, { after = '', limit }) => {
        const own = [...delegated].filter(([id, item]) => item.account === account && id > after).map(([id]) => id)
        const ids = own.sort().slice(0, limit)
        return { ids, ...(own.length > limit ? { next: ids.at(-1)! } : {}) }
      },
      find: async (account, id) => {
        const item = delegated.get(id)
        return item?.account === account ? { 'csr-template': templateFor(item.names) } : undefined
      },
      checkNames: async (_account, id, identifiers) => {
        const { names } = delegated.get(id)!
        const extra = identifiers.filter((name) => !names.includes(name))
        const missing = names.filter((name) => !identifiers.includes(name))
        return [
          ...extra.map((identifier) => ({ kind: 'rejectedIdentifier', detail: 'not yours', identifier }) as const),
          ...missing.map((name) => ({ kind: 'badCSR', detail: `the delegation demands ${name}` }) as const),
        ]
      },
      checkCsr: async () => csrProblems,
    },
    autoRenewal: { minLifetimeS: DAY_S, maxDurationS: 365 * DAY_S },
    onProcessing: async (order) => void processing.push(order),
    certificates: { read: async (id) => published.get(id) },
    ...overrides,
  }
  const server = createAcmeServer(options)
  return {
    clock,
    orders,
    accounts,
    accountKeys,
    customers,
    published,
    delegated,
    processing,
    csrProblems,
    options,
    server,
    transport: transportTo(server),
    addCustomer(kid = randomBytes(8).toString('hex')): { kid: string; key: Buffer } {
      const key = randomBytes(32)
      customers.set(kid, { key })
      return { kid, key }
    },
  }
}
export type World = ReturnType<typeof createWorld>

/** A customer with an account and a delegation for NAME. */
export async function enrol(world: World, delegation = 'd1', names: readonly string[] = [NAME]) {
  const peer = await RawPeer.create(world.server)
  const { kid, key } = world.addCustomer()
  const url = `${BASE}/new-account`
  const reply = await peer.post(url, { externalAccountBinding: peer.binding(kid, key, url) }, { by: 'jwk' })
  if (reply.status !== 201) throw new Error(`newAccount: ${reply.status} ${reply.text}`)
  peer.kid = reply.location
  const account = peer.kid.slice(`${BASE}/account/`.length)
  world.delegated.set(delegation, { account, names })
  return { peer, account, delegation: `${BASE}/delegation/${delegation}` }
}

export function starOrder(world: World, delegation: string, more: object = {}) {
  const endMs = world.clock.nowMs() + 30 * DAY_S * 1000
  return {
    identifiers: [{ type: 'dns', value: NAME }],
    delegation,
    'auto-renewal': {
      'end-date': new Date(endMs).toISOString(),
      lifetime: 7 * DAY_S,
      'lifetime-adjust': DAY_S,
      'allow-certificate-get': true,
    },
    ...more,
  }
}

export function plainOrder(delegation: string, more: object = {}) {
  return { identifiers: [{ type: 'dns', value: NAME }], delegation, 'allow-certificate-get': true, ...more }
}

/** An order that is ready, and the payload that finalizes it. */
export async function placeOrder(world: World, delegation: string, peer: RawPeer, payload: object = {}) {
  const reply = await peer.post(`${BASE}/new-order`, { ...starOrder(world, delegation), ...payload })
  if (reply.status !== 201) throw new Error(`newOrder: ${reply.status} ${reply.text}`)
  const url = reply.location
  return { url, id: url.slice(`${BASE}/order/`.length), finalize: String(reply.json.finalize) }
}

export async function csrFor(dnsNames: readonly string[], keyPem?: string): Promise<{ csr: string }> {
  const der = await createCsr({ keyPem: keyPem ?? (await generateKey('p256')), dnsNames })
  return { csr: Buffer.from(der).toString('base64url') }
}

export function templateFor(names: readonly string[]) {
  return {
    keyTypes: [{ PublicKeyType: 'id-ecPublicKey', namedCurve: 'secp256r1', SignatureType: 'ecdsa-with-SHA256' }],
    extensions: { subjectAltName: { DNS: names }, keyUsage: ['digitalSignature'], extendedKeyUsage: ['serverAuth'] },
  }
}

/** The client's way to the server: no socket in between. */
export function transportTo(server: AcmeServer): AcmeTransport {
  return async ({ method, url, headers, body = new Uint8Array() }) => {
    const reply = await ask(server, method, url, headers, body)
    const lower = Object.entries(reply.headers).map(([name, value]) => [name.toLowerCase(), value])
    return { status: reply.status, headers: Object.fromEntries(lower), body: Buffer.from(reply.text) }
  }
}

export async function ask(
  server: AcmeServer,
  method: string,
  url: string,
  headers: Record<string, string> = {},
  body: Uint8Array = new Uint8Array(),
) {
  const { pathname, searchParams } = new URL(url)
  const lower = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
  return read(await server.handle({ method, path: pathname, query: searchParams, headers: lower, body }))
}

function read({ status, headers, body }: AcmeResponse) {
  const type = headers['Content-Type']
  const isJson = type === 'application/json' || type === 'application/problem+json'
  const json: any = isJson && body !== '' ? JSON.parse(body) : undefined
  const first = (name: string): string => [headers[name] ?? []].flat()[0] ?? ''
  return { status, headers, text: body, json, location: first('Location'), nonce: first('Replay-Nonce') }
}

export interface Tweaks {
  /** Signs with the key shown in the request instead of the account. */
  readonly by?: 'jwk'
  /** Laid over the protected header; undefined removes a member. */
  readonly header?: Record<string, unknown>
  /** Laid over the JWS; undefined removes a member. */
  readonly jws?: Record<string, unknown>
  readonly headers?: Record<string, string>
  readonly signWith?: string
}

/** A client made of node:crypto only, able to send what a decent client never would. */
export class RawPeer {
  readonly keyPem: string
  readonly #server: AcmeServer
  kid: string | undefined

  constructor(server: AcmeServer, keyPem: string) {
    this.#server = server
    this.keyPem = keyPem
  }

  static async create(server: AcmeServer): Promise<RawPeer> {
    return new RawPeer(server, await generateKey('p256'))
  }

  get jwk(): Record<string, unknown> {
    return { ...createPublicKey(createPrivateKey(this.keyPem)).export({ format: 'jwk' }) }
  }

  async nonce(): Promise<string> {
    return (await ask(this.#server, 'HEAD', `${BASE}/new-nonce`)).nonce
  }

  /** `payload` null is POST-as-GET. */
  async post(url: string, payload: unknown, tweaks: Tweaks = {}) {
    const body = JSON.stringify(await this.jws(url, payload, tweaks))
    return this.send(url, body, tweaks.headers)
  }

  send(url: string, body: string | Uint8Array, headers: Record<string, string> = {}) {
    const all = { 'content-type': 'application/jose+json', ...headers }
    return ask(this.#server, 'POST', url, all, Buffer.from(body))
  }

  async jws(url: string, payload: unknown, { by, header = {}, jws = {}, signWith }: Tweaks = {}) {
    const signer = by === 'jwk' ? { jwk: this.jwk } : { kid: this.kid }
    const encoded = encode({ alg: 'ES256', nonce: await this.nonce(), url, ...signer, ...header })
    return { ...this.signed(encoded, payload === null ? '' : encode(payload), signWith), ...jws }
  }

  /** Over whatever stands in its two parts. */
  signed(encoded: string, payload: string, keyPem = this.keyPem) {
    const signature = sign('sha256', Buffer.from(`${encoded}.${payload}`), { key: keyPem, dsaEncoding: 'ieee-p1363' })
    return { protected: encoded, payload, signature: signature.toString('base64url') }
  }

  /** The inner JWS of RFC 8555 §7.3.4. */
  binding(
    kid: string,
    key: Uint8Array,
    url: string,
    tweaks: { header?: object; payload?: unknown; hash?: string } = {},
  ) {
    const encoded = encode({ alg: 'HS256', kid, url, ...tweaks.header })
    const payload = encode(tweaks.payload ?? this.jwk)
    const mac = createHmac(tweaks.hash ?? 'sha256', key).update(`${encoded}.${payload}`)
    return { protected: encoded, payload, signature: mac.digest('base64url') }
  }
}

export function encode(value: unknown): string {
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')
}

/** The type without its prefix, as the texts of this folder write it. */
export function problemOf(reply: { status: number; json: any }): string {
  return `${reply.status} ${String(reply.json?.type).replace('urn:ietf:params:acme:error:', '')}`
}
