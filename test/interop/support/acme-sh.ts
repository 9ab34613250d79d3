import { constants, createHmac, createPrivateKey, createPublicKey, sign } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { type Ran, run } from './daemon.ts'
import type { Scene } from './scene.ts'

/**
 * A client with the habits of acme.sh 3, which Debian does not package: curl for every request, openssl for every key and
 * CSR, JSON put together as text, answers read with patterns and never parsed, header names in any letter case, the nonce
 * of the last answer used first. It knows a refused nonce by its wording only, and takes Retry-After in digits.
 */
export interface AcmeSh {
  /** Of the last signed request. */
  readonly last: () => Answer
  /** What the next signed request uses. */
  useNonce(nonce: string): void
  usedNonces(): readonly string[]
  register(eab: { readonly kid: string; readonly key: string }, mails: readonly string[]): Promise<string>
  updateAccount(mails: readonly string[]): Promise<void>
  rollOver(keyFile: string): Promise<void>
  deactivateAccount(): Promise<void>
  /** PEM of the chain. `replaces` is a file with the certificate whose successor this is. */
  issue(name: string, keyFile: string, replaces?: string): Promise<string>
  /** Unix seconds of the window in which a certificate wants to be renewed. */
  renewalWindow(certificateFile: string): Promise<readonly [start: number, end: number]>
  /** First with the key of the account, or at once with that of the certificate. */
  revoke(certificateFile: string, reason: number, keyFile?: string): Promise<void>
}

export interface Answer {
  readonly code: string
  readonly headers: string
  readonly body: string
}

const AGENT = 'acme.sh/3.1.2 (https://github.com/acmesh-official/acme.sh)'
const TRIES_MAX = 20
const POLLS_MAX = 30
const REFUSED_NONCE = ['JWS has invalid anti-replay nonce', 'JWS has an invalid anti-replay nonce']

/** Keys as it makes them: traditional PEM of openssl. */
export async function opensslKey(scene: Scene, name: string, kind: 'rsa2048' | 'prime256v1' | 'secp384r1') {
  const file = await scene.write(name, '')
  const how =
    kind === 'rsa2048' ? ['genrsa', '-traditional', '-out', file, '2048'] : ['ecparam', '-name', kind, '-genkey']
  await done(run('openssl', kind === 'rsa2048' ? how : [...how, '-noout', '-out', file]))
  return file
}

export async function acmeShIn(
  scene: Scene,
  folder: string,
  { directoryUrl, trust, accountKey }: { readonly directoryUrl: string; trust: string; accountKey: string },
): Promise<AcmeSh> {
  const headerFile = await scene.write(`${folder}/http.header`, '')
  let keyFile = accountKey
  let account = ''
  let nonce = ''
  let last: Answer = { code: '', headers: '', body: '' }
  const used: string[] = []

  const curl = async (url: string, ...args: readonly string[]): Promise<Answer> => {
    const always = ['--silent', '--dump-header', headerFile, '-L', '-g', '--cacert', trust, '--user-agent', AGENT]
    const body = await done(run('curl', [...always, ...args, url]))
    const headers = await readFile(headerFile, 'latin1')
    return { code: /^HTTP\S+ (\d+)/m.exec(headers)?.[1] ?? '', headers, body }
  }
  const directory = (await curl(directoryUrl)).body
  const endpoint = (name: string): string => quoted(directory, name)
  const [newNonce, newAccount, newOrder] = ['newNonce', 'newAccount', 'newOrder'].map(endpoint) as [
    string,
    string,
    string,
  ]

  const freshNonce = async (): Promise<string> =>
    header(await curl(newNonce, '-I', '-X', 'HEAD', '-H', `Content-Type: ${JOSE}`), 'Replay-Nonce')

  /** An empty payload is POST-as-GET. Any code comes back; only a refused nonce is tried again. */
  const signed = async (url: string, payload = '', signer = keyFile): Promise<Answer> => {
    for (let attempt = 0; attempt < TRIES_MAX; attempt++) {
      const mine = nonce || (await freshNonce())
      nonce = ''
      used.push(mine)
      const byKey = url === newAccount || (url === endpoint('revokeCert') && signer !== keyFile)
      const who = byKey ? `"jwk": ${await jwkOf(signer)}` : `"kid": "${account}"`
      const head = `{"nonce": "${mine}", "url": "${url}", "alg": "${await algorithmOf(signer)}", ${who}}`
      const body = await jws(head, payload, signer)
      last = await curl(url, '-X', 'POST', '-H', `Content-Type: ${JOSE}`, '--data', body)
      nonce = header(last, 'Replay-Nonce')
      if (last.code.startsWith('2') || !REFUSED_NONCE.some((words) => last.body.includes(words))) return last
      nonce = ''
    }
    throw new Error(`the nonce was refused ${TRIES_MAX} times`)
  }
  const expecting = async (code: string, answer: Promise<Answer>): Promise<Answer> => {
    const got = await answer
    if (got.code !== code) throw new Error(`expected ${code}, got ${got.code} ${got.body}`)
    return got
  }

  return {
    last: () => last,
    useNonce: (value) => (nonce = value),
    usedNonces: () => used,
    async register(eab, mails) {
      const inner = `{"alg":"HS256","kid":"${eab.kid}","url":"${newAccount}"}`
      const [head, payload] = [base64url(inner), base64url(await jwkOf(keyFile))]
      const mac = createHmac('sha256', Buffer.from(eab.key, 'base64url')).update(`${head}.${payload}`).digest()
      const binding = `{"protected":"${head}", "payload":"${payload}", "signature":"${base64url(mac)}"}`
      const contact = `"contact": [${contactsOf(mails)}]`
      const body = `{${contact}, "termsOfServiceAgreed": true,"externalAccountBinding":${binding}}`
      const answer = await signed(newAccount, body)
      if (!['201', '200'].includes(answer.code)) throw new Error(`registration: ${answer.code} ${answer.body}`)
      account = header(answer, 'Location')
      return account
    },
    async updateAccount(mails) {
      await expecting('200', signed(account, `{"contact": [${contactsOf(mails)}]}`))
    },
    async rollOver(next) {
      const url = endpoint('keyChange')
      const head = `{"url": "${url}", "alg": "${await algorithmOf(next)}", "jwk": ${await jwkOf(next)}}`
      const inner = `{"account": "${account}", "oldKey": ${await jwkOf(keyFile)}}`
      await expecting('200', signed(url, await jws(head, inner, next)))
      keyFile = next
    },
    async deactivateAccount() {
      const { body } = await signed(account, '{"status":"deactivated"}')
      if (!body.includes('"deactivated"')) throw new Error(`not deactivated: ${body}`)
    },
    async issue(name, certificateKey, replaces) {
      const more = replaces === undefined ? '' : `,"replaces": "${await renewalIdOf(replaces)}"`
      const order = await signed(newOrder, `{"identifiers": [{"type":"dns","value":"${name}"}]${more}}`)
      const orderUrl = header(order, 'Location')
      const finalize = quoted(order.body, 'finalize')
      const authorizations = /"authorizations" *: *\[([^\]]*)\]/.exec(order.body)?.[1]
      if (!authorizations) throw new Error(`no authorizations: ${order.code} ${order.body}`)
      for (const url of authorizations.replaceAll(/["\s]/g, '').split(',')) {
        const { body } = await signed(url)
        if (quoted(body, 'value') !== name || !body.includes('"status":"valid"')) throw new Error(`to do: ${body}`)
      }
      const csr = await csrOf(scene, folder, name, certificateKey)
      let answer = await expecting('200', signed(finalize, `{"csr": "${csr}"}`))
      for (let polls = 0; !answer.body.includes('"status":"valid"'); polls++) {
        const isUnderWay = answer.body.includes('"ready"') || answer.body.includes('"processing"')
        if (!isUnderWay || polls === POLLS_MAX) throw new Error(`signing: ${answer.body}`)
        const seconds = /^Retry-After *: *(\d+) *\r?$/im.exec(answer.headers)?.[1] ?? '2'
        await new Promise((resolve) => setTimeout(resolve, Number(seconds) * 1000))
        answer = await signed(orderUrl)
      }
      const { body } = await expecting('200', signed(quoted(answer.body, 'certificate')))
      if (!body.includes('-----BEGIN CERTIFICATE-----')) throw new Error(`no certificate: ${body}`)
      return body
    },
    async renewalWindow(file) {
      const { body } = await curl(`${endpoint('renewalInfo')}/${await renewalIdOf(file)}`)
      const seconds = (member: string): number => Date.parse(quoted(body, member)) / 1000
      return [seconds('start'), seconds('end')]
    },
    async revoke(file, reason, signer = keyFile) {
      const der = base64url(Buffer.from(firstPem(await readFile(file, 'utf8')), 'base64'))
      const { body } = await signed(endpoint('revokeCert'), `{"certificate": "${der}","reason":${reason}}`, signer)
      if (body !== '' && !body.includes('acme:error:alreadyRevoked')) throw new Error(`not revoked: ${body}`)
    },
  }
}

const JOSE = 'application/jose+json'

/** First line of that name, whatever its letter case; '' when there is none. */
function header({ headers }: Answer, name: string): string {
  return new RegExp(`^${name}: *(\\S+)`, 'im').exec(headers)?.[1] ?? ''
}

/** The first text member of that name, at any depth. */
function quoted(json: string, member: string): string {
  const value = new RegExp(`"${member}" *: *"([^"]*)"`).exec(json)?.[1]
  if (value === undefined) throw new Error(`no ${member} in ${json}`)
  return value
}

function base64url(octets: string | Uint8Array): string {
  return Buffer.from(octets).toString('base64url')
}

function contactsOf(mails: readonly string[]): string {
  return mails.map((mail) => `"mailto:${mail}"`).join(',')
}

async function jws(head: string, payload: string, keyFile: string): Promise<string> {
  const signedPart = `${base64url(head)}.${base64url(payload)}`
  const key = createPrivateKey(await readFile(keyFile, 'utf8'))
  const how =
    key.asymmetricKeyType === 'rsa'
      ? { key, padding: constants.RSA_PKCS1_PADDING }
      : { key, dsaEncoding: 'ieee-p1363' as const }
  const hash = (await algorithmOf(keyFile)).replace(/^..(?=\d)/, 'sha')
  const signature = base64url(sign(hash, Buffer.from(signedPart), how))
  return `{"protected": "${base64url(head)}", "payload": "${base64url(payload)}", "signature": "${signature}"}`
}

async function jwkOf(keyFile: string): Promise<string> {
  const { kty, crv, x, y, e, n } = createPublicKey(await readFile(keyFile, 'utf8')).export({ format: 'jwk' })
  return kty === 'RSA'
    ? `{"e": "${e}", "kty": "RSA", "n": "${n}"}`
    : `{"crv": "${crv}", "kty": "EC", "x": "${x}", "y": "${y}"}`
}

async function algorithmOf(keyFile: string): Promise<string> {
  const { crv } = createPublicKey(await readFile(keyFile, 'utf8')).export({ format: 'jwk' })
  return crv === undefined ? 'RS256' : `ES${crv.slice(2)}`
}

/** DER, base64url: the name as common name and in the SAN, with a usage beside it. */
async function csrOf(scene: Scene, folder: string, name: string, keyFile: string): Promise<string> {
  const config = await scene.write(
    `${folder}/${name}.csr.conf`,
    `[ req_distinguished_name ]
[ req ]
distinguished_name = req_distinguished_name
req_extensions = v3_req
[ v3_req ]
extendedKeyUsage=serverAuth
subjectAltName=DNS:${name}
`,
  )
  const request = ['req', '-new', '-sha256', '-key', keyFile, '-subj', `/CN=${name}`, '-config', config]
  return base64url(Buffer.from(firstPem(await done(run('openssl', request))), 'base64'))
}

/** RFC 9773 §4.1, out of what openssl prints: a serial number with its high bit set gets its sign octet back. */
async function renewalIdOf(certificateFile: string): Promise<string> {
  const text = await done(run('openssl', ['x509', '-in', certificateFile, '-text', '-noout']))
  const keyId = /Authority Key Identifier:[^\n]*\n\s*(?:keyid:)?([0-9A-F:]+)/i.exec(text)![1]!.replaceAll(':', '')
  const serial = (await done(run('openssl', ['x509', '-in', certificateFile, '-serial', '-noout'])))
    .trim()
    .split('=')[1]!
  const content = /^[89a-f]/i.test(serial) ? `00${serial}` : serial
  return `${base64url(Buffer.from(keyId, 'hex'))}.${base64url(Buffer.from(content, 'hex'))}`
}

/** Base64 of the first block. */
function firstPem(pem: string): string {
  return /-----BEGIN [^-]+-----([^-]+)-----END/.exec(pem)![1]!.replaceAll(/\s/g, '')
}

async function done(ran: Promise<Ran>): Promise<string> {
  const { code, stdout, stderr } = await ran
  if (code !== 0) throw new Error(stderr || `exit ${code}`)
  return stdout
}
