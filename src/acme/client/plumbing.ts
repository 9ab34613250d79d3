import assert from 'node:assert'
import { toBase64url } from '../../core/bytes.ts'
import { Fault } from '../../core/fault.ts'
import { isJsonObject, parseJson } from '../json.ts'
import { problemUri } from '../problem.ts'
import type { Account, Challenge, Directory, Order } from '../resource.ts'
import { type AcmeReply, type AcmeTransport, firstHeader, readReply, send, type TransportResponse } from './exchange.ts'
import { readAccount, readDirectory, readOrder } from './reading.ts'

export interface AcmeClientOptions {
  readonly directoryUrl: string
  /** PKCS#8 PEM: P-256, P-384, P-521 or RSA. */
  readonly accountKeyPem: string
  /** Known from an earlier newAccount. */
  readonly accountUrl?: string
  /** `hmacKey` as handed out: base64url. */
  readonly externalAccount?: { readonly kid: string; readonly hmacKey: string }
  readonly transport: AcmeTransport
  readonly userAgent: string
}

export interface PlacedOrder {
  readonly url: string
  readonly order: Order
  readonly retryAfterMs?: number
}

/** Nonces kept for later; a session rarely has more than two requests under way. */
const NONCES_MAX = 16
/** A test CA that refuses 15 % of good nonces lets one request in a hundred million fail. */
const BAD_NONCE_RETRIES = 10
const NONCE = /^[\w-]{1,512}$/

/** What we use of acme-client: it signs, and repeats what failed for its nonce. Everything that travels is ours. */
interface Library {
  readonly http: LibraryHttp
  getChallengeKeyAuthorization(challenge: { type: string; token: string }): Promise<string>
}
interface LibraryHttp {
  maxBadNonceRetries: number
  request(url: string, method: string, options?: { data?: unknown }): Promise<LibraryReply>
  getNonce(): Promise<string>
  signedRequest(
    url: string,
    payload: object | null,
    options: { kid?: string; includeExternalAccountBinding?: boolean },
  ): Promise<LibraryReply>
}
interface LibraryReply {
  readonly status: number
  readonly headers: { readonly 'replay-nonce': string | undefined }
  readonly data: unknown
  readonly response: TransportResponse
}

/** acme-client costs 250 ms and 30 MB to load: only who talks ACME pays. */
export async function openAcme(options: AcmeClientOptions): Promise<AcmeClient> {
  // The X.509 library inside acme-client asks for it at load. We use neither.
  await import('reflect-metadata')
  const { Client } = await import('acme-client')
  const library = new Client({
    directoryUrl: options.directoryUrl,
    accountKey: options.accountKeyPem,
    ...(options.externalAccount ? { externalAccountBinding: { ...options.externalAccount } } : {}),
  })
  // Its types keep `http` to themselves.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return new AcmeClient(options, library as unknown as Library)
}

/**
 * One method, one RFC call. Refusals are AcmeProblem; no answer is Fault ACME_UNREACHABLE, no ACME answer ACME_PROTOCOL.
 * The directory is read once: open a client per order.
 */
export class AcmeClient {
  readonly transport: AcmeTransport
  readonly #options: AcmeClientOptions
  readonly #library: Library
  readonly #nonces: string[] = []
  #directory: Directory | undefined
  #accountUrl: string | undefined

  constructor(options: AcmeClientOptions, library: Library) {
    this.transport = options.transport
    this.#options = options
    this.#library = library
    this.#accountUrl = options.accountUrl
    library.http.maxBadNonceRetries = BAD_NONCE_RETRIES
  }

  /** Undefined before newAccount, unless it was given. */
  get accountUrl(): string | undefined {
    return this.#accountUrl
  }

  async directory(signal: AbortSignal): Promise<Directory> {
    this.#directory ??= readDirectory((await this.getPlain(this.#options.directoryUrl, signal)).content)
    return this.#directory
  }

  /** RFC 8555 §7.3. For a key that is known already the server returns its account. */
  async newAccount(
    terms: {
      readonly contact?: readonly string[]
      readonly termsOfServiceAgreed?: boolean
      readonly onlyReturnExisting?: boolean
    },
    signal: AbortSignal,
  ): Promise<{ readonly url: string; readonly account: Account; readonly created: boolean }> {
    const { newAccount } = await this.directory(signal)
    const includeExternalAccountBinding = this.#options.externalAccount !== undefined && !terms.onlyReturnExisting
    const reply = await this.#signed(newAccount, { ...terms }, { includeExternalAccountBinding }, signal)
    const url = locationOf(reply, newAccount)
    this.#accountUrl = url
    return { url, account: readAccount(reply.content), created: reply.status === 201 }
  }

  /** The account object; opens the account first when its URL is not known yet. */
  async account(signal: AbortSignal): Promise<Account> {
    if (this.#accountUrl !== undefined) return readAccount((await this.postAsGet(this.#accountUrl, signal)).content)
    return (await this.newAccount({ termsOfServiceAgreed: true }, signal)).account
  }

  postAsGet(url: string, signal: AbortSignal): Promise<AcmeReply> {
    return this.#signed(url, null, this.#byAccount(), signal)
  }

  post(url: string, payload: object, signal: AbortSignal): Promise<AcmeReply> {
    return this.#signed(url, payload, this.#byAccount(), signal)
  }

  /** The payload travels unchanged: `auto-renewal`, `delegation`, `replaces` and `profile` go through. */
  async createOrder(payload: object, signal: AbortSignal): Promise<PlacedOrder> {
    const { newOrder } = await this.directory(signal)
    const reply = await this.post(newOrder, payload, signal)
    return placedOrder(reply, locationOf(reply, newOrder))
  }

  async order(url: string, signal: AbortSignal): Promise<PlacedOrder> {
    return placedOrder(await this.postAsGet(url, signal), url)
  }

  /** `csr` is DER. */
  async finalize({ url, order }: PlacedOrder, csr: Uint8Array, signal: AbortSignal): Promise<PlacedOrder> {
    return placedOrder(await this.post(order.finalize, { csr: toBase64url(csr) }, signal), url)
  }

  /** The PEM chain, as the account that ordered it, and where other chains are (RFC 8555 §7.4.2). */
  async certificate(
    url: string,
    signal: AbortSignal,
  ): Promise<{ readonly pem: string; readonly alternates: readonly string[] }> {
    const { content, links } = await this.postAsGet(url, signal)
    if (typeof content === 'string' && content.includes('-----BEGIN CERTIFICATE-----'))
      return { pem: content, alternates: links('alternate') }
    throw new Fault('ACME_PROTOCOL', `${url} did not answer with a PEM chain`, { url })
  }

  /** RFC 8555 §8.1. */
  keyAuthorization({ token }: Challenge): Promise<string> {
    return this.#library.getChallengeKeyAuthorization({ type: 'http-01', token })
  }

  /** The TXT value of dns-01, RFC 8555 §8.4. */
  challengeTxt({ token }: Challenge): Promise<string> {
    return this.#library.getChallengeKeyAuthorization({ type: 'dns-01', token })
  }

  /** Unsigned: the directory, a certificate that was negotiated to be fetched so. */
  async getPlain(url: string, signal: AbortSignal): Promise<AcmeReply> {
    const headers = { 'User-Agent': this.#options.userAgent }
    return readReply(await send(this.transport, { method: 'GET', url, headers, signal }), url)
  }

  #byAccount(): { kid: string } {
    assert(this.#accountUrl !== undefined, 'newAccount comes before everything that an account signs')
    return { kid: this.#accountUrl }
  }

  async #signed(
    url: string,
    payload: object | null,
    signer: { kid?: string; includeExternalAccountBinding?: boolean },
    signal: AbortSignal,
  ): Promise<AcmeReply> {
    const { response } = await this.#httpWith(signal).signedRequest(url, payload, signer)
    return readReply(response, url)
  }

  /** The library's signing on our transport, for one call: its own requests are endless and follow redirects. */
  #httpWith(signal: AbortSignal): LibraryHttp {
    const http: LibraryHttp = Object.create(this.#library.http)
    http.request = (url, method, options = {}) => this.#request(url, method, options.data, signal)
    http.getNonce = async () => this.#nonces.pop() ?? (await this.#newNonce(signal))
    return http
  }

  async #request(url: string, method: string, data: unknown, signal: AbortSignal): Promise<LibraryReply> {
    assert(method === 'post', 'the library signs, it fetches nothing')
    const body = new TextEncoder().encode(JSON.stringify(data))
    const headers = { 'User-Agent': this.#options.userAgent, 'Content-Type': 'application/jose+json' }
    const response = await send(this.transport, { method: 'POST', url, headers, body, signal })
    const nonce = nonceOf(response)
    const refused = response.status === 400 ? parseJson(response.body) : undefined
    // The library repeats a badNonce with the nonce of the refusal itself; every other one is kept for the next call.
    const isBadNonce = isJsonObject(refused) && refused['type'] === problemUri('badNonce')
    if (nonce !== undefined && !isBadNonce && this.#nonces.length < NONCES_MAX) this.#nonces.push(nonce)
    return { status: response.status, headers: { 'replay-nonce': nonce }, data: refused, response }
  }

  async #newNonce(signal: AbortSignal): Promise<string> {
    const { newNonce: url } = await this.directory(signal)
    const headers = { 'User-Agent': this.#options.userAgent }
    const response = await send(this.transport, { method: 'HEAD', url, headers, signal })
    readReply(response, url)
    return nonceOf(response) ?? missing('Replay-Nonce', url)
  }
}

function placedOrder({ content, retryAfterMs }: AcmeReply, url: string): PlacedOrder {
  return { url, order: readOrder(content), ...(retryAfterMs === undefined ? {} : { retryAfterMs }) }
}

function locationOf({ location }: AcmeReply, url: string): string {
  return location ?? missing('Location', url)
}

function nonceOf(response: TransportResponse): string | undefined {
  const nonce = firstHeader(response, 'replay-nonce')
  return nonce !== undefined && NONCE.test(nonce) ? nonce : undefined
}

function missing(header: string, url: string): never {
  throw new Fault('ACME_PROTOCOL', `${url} answered without ${header}`, { url })
}
