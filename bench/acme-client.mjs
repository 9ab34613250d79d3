// A minimal ACME client for load: as little work as the protocol allows, so that the server is what is measured.
import { createHash, createHmac, createPrivateKey, generateKeyPairSync, sign } from 'node:crypto'
import { Agent, request } from 'node:https'

/** Longer than any server here needs for one request. */
const REQUEST_MS_MAX = 30_000
/** Between the tight loop of a test and the second or more of a router. */
const POLL_MS = 250
/** Polls of one order before it counts as lost. */
const POLLS_MAX = 200
const BAD_NONCES_MAX = 20

/** One kept connection for each client, as a router has. */
export class AcmeClient {
  #agent = new Agent({ keepAlive: true, maxSockets: 1, rejectUnauthorized: false })
  #key = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  #jwk
  #directory
  #kid
  #nonce

  constructor(directory) {
    this.#directory = directory
    const { kty, crv, x, y } = this.#key.publicKey.export({ format: 'jwk' })
    this.#jwk = { crv, kty, x, y }
  }

  /** @param {{ kid: string, key: string } | undefined} eab */
  async newAccount(eab) {
    const url = this.#directory.newAccount
    const payload = { termsOfServiceAgreed: true, ...(eab ? { externalAccountBinding: this.#binding(eab, url) } : {}) }
    const { headers, json } = await this.post(url, payload)
    this.#kid = headers.location
    return json
  }

  /** Undefined as payload is POST-as-GET (RFC 8555 §6.3). */
  async post(url, payload) {
    for (let attempt = 0; attempt < BAD_NONCES_MAX; attempt++) {
      this.#nonce ??= (await this.#send('HEAD', this.#directory.newNonce)).headers['replay-nonce']
      const signer = this.#kid === undefined ? { jwk: this.#jwk } : { kid: this.#kid }
      const head = base64url({ alg: 'ES256', nonce: this.#nonce, url, ...signer })
      const body = payload === undefined ? '' : base64url(payload)
      const signature = sign('sha256', `${head}.${body}`, { key: this.#key.privateKey, dsaEncoding: 'ieee-p1363' })
      const jws = JSON.stringify({ protected: head, payload: body, signature: signature.toString('base64url') })
      const answer = await this.#send('POST', url, jws)
      this.#nonce = answer.headers['replay-nonce']
      if (answer.status < 400) return answer
      if (!answer.text.includes('badNonce')) throw new Error(`${url}: ${answer.status} ${answer.text}`)
    }
    throw new Error(`${url}: no nonce is good`)
  }

  /** Looks until `isOver`; what it then is. */
  async poll(url, isOver) {
    for (let look = 0; look < POLLS_MAX; look++) {
      const { json } = await this.post(url)
      if (json.status === 'invalid') throw new Error(`${url}: ${JSON.stringify(json)}`)
      if (isOver(json)) return json
      await new Promise((resolve) => void setTimeout(resolve, POLL_MS))
    }
    throw new Error(`${url}: nothing happens`)
  }

  get(url) {
    return this.#send('GET', url)
  }

  keyAuthorization(token) {
    return `${token}.${createHash('sha256').update(JSON.stringify(this.#jwk)).digest('base64url')}`
  }

  close() {
    this.#agent.destroy()
  }

  #binding({ kid, key }, url) {
    const head = base64url({ alg: 'HS256', kid, url })
    const payload = base64url(this.#jwk)
    const mac = createHmac('sha256', Buffer.from(key, 'base64url')).update(`${head}.${payload}`)
    return { protected: head, payload, signature: mac.digest('base64url') }
  }

  #send(method, url, body) {
    const headers = body === undefined ? {} : { 'content-type': 'application/jose+json', 'content-length': body.length }
    return new Promise((resolve, reject) => {
      const outgoing = request(url, { method, agent: this.#agent, headers, timeout: REQUEST_MS_MAX }, (incoming) => {
        const chunks = []
        incoming.on('data', (chunk) => chunks.push(chunk))
        incoming.on('end', () => {
          const text = Buffer.concat(chunks).toString()
          const isJson = incoming.headers['content-type']?.includes('json')
          resolve({
            status: incoming.statusCode,
            headers: incoming.headers,
            text,
            json: isJson ? JSON.parse(text) : undefined,
          })
        })
      })
      outgoing.on('error', reject).on('timeout', () => outgoing.destroy(new Error(`${url} does not answer`)))
      outgoing.end(body)
    })
  }
}

function base64url(value) {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

const csrKey = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const spki = csrKey.publicKey.export({ type: 'spki', format: 'der' })
const csrPrivateKey = createPrivateKey(csrKey.privateKey.export({ type: 'pkcs8', format: 'pem' }))

/** PKCS#10, base64url: this name, digitalSignature and serverAuth. Always of the same key, which no server here minds. */
export function csrFor(name) {
  const extensions = sequence(
    extension('551d11', tagged(0x30, tagged(0x82, Buffer.from(name)))),
    extension('551d0f', Buffer.from('03020780', 'hex')),
    extension('551d25', sequence(objectId('2b06010505070301'))),
  )
  const attribute = sequence(objectId('2a864886f70d01090e'), tagged(0x31, extensions))
  const info = sequence(Buffer.from('020100', 'hex'), sequence(), spki, tagged(0xa0, attribute))
  const signature = sign('sha256', info, csrPrivateKey)
  const algorithm = sequence(objectId('2a8648ce3d040302'))
  return sequence(info, algorithm, tagged(0x03, Buffer.from([0]), signature)).toString('base64url')
}

function extension(id, value) {
  return sequence(objectId(id), tagged(0x04, value))
}
function objectId(hex) {
  return tagged(0x06, Buffer.from(hex, 'hex'))
}
function sequence(...parts) {
  return tagged(0x30, ...parts)
}
function tagged(tag, ...parts) {
  const content = Buffer.concat(parts)
  const { length } = content
  const head =
    length < 0x80 ? [tag, length] : length < 0x100 ? [tag, 0x81, length] : [tag, 0x82, length >> 8, length & 255]
  return Buffer.concat([Buffer.from(head), content])
}
