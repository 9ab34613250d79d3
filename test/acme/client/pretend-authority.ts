import { randomBytes } from 'node:crypto'
import type { DnsChallenges } from '../../../src/acme/client/certify.ts'
import type { AcmeTransport, TransportResponse } from '../../../src/acme/client/exchange.ts'

const CA = 'https://ca.example'
export const CHAIN = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'

/**
 * An ordinary CA as strict as a test CA gets: wants User-Agent and exact payloads, refuses some good nonces, and issues
 * only when the right TXT records stand. Signatures are the server tests' business.
 */
export function pretendAuthority(
  options: {
    /** Draws below 0.15 refuse the nonce. */
    readonly random?: () => number
    readonly validNames?: readonly string[]
    readonly challenges?: readonly string[]
    readonly replyTo?: (path: string) => TransportResponse | undefined
  } = {},
) {
  const { random = () => 1, validNames = [], challenges = ['http-01', 'dns-01'], replyTo = () => undefined } = options
  const nonces = new Set<string>()
  const records: string[] = []
  const cleaned: string[] = []
  const log: string[] = []
  const authorizations: { name: string; status: string; token: string; polls: number }[] = []
  const order: { status: string; payload: any; polls: number } = { status: 'pending', payload: {}, polls: 0 }

  const json = (status: number, value: object, headers: Record<string, string> = {}): TransportResponse => {
    const nonce = randomBytes(12).toString('base64url')
    nonces.add(nonce)
    const type = status >= 400 ? 'application/problem+json' : 'application/json'
    const body = Buffer.from(JSON.stringify(value))
    return { status, headers: { 'content-type': type, 'replay-nonce': nonce, ...headers }, body }
  }
  const problem = (status: number, type: string) =>
    json(status, { type: `urn:ietf:params:acme:error:${type}`, detail: type, status })

  const authorizationOf = (index: number) => {
    const { name, status, token } = authorizations[index]!
    const wildcard = name.startsWith('*.')
    const shown = challenges.map((type) => ({ type, url: `${CA}/chall/${index}/${type}`, status: 'pending', token }))
    return {
      status,
      identifier: { type: 'dns', value: name.replace('*.', '') },
      challenges:
        status === 'invalid'
          ? shown.map((item) => ({
              ...item,
              status,
              error: { type: 'urn:ietf:params:acme:error:dns', detail: 'no TXT record' },
            }))
          : shown,
      ...(wildcard ? { wildcard } : {}),
    }
  }
  const orderNow = () => ({
    status: order.status,
    identifiers: order.payload.identifiers,
    authorizations: authorizations.map((_, index) => `${CA}/authz/${index}`),
    finalize: `${CA}/finalize`,
    ...(order.status === 'valid' ? { certificate: `${CA}/cert` } : {}),
  })

  const handlers: Record<string, (payload: any, index: number) => TransportResponse> = {
    'new-account': (payload) =>
      payload.externalAccountBinding || payload.termsOfServiceAgreed
        ? json(201, { status: 'valid' }, { location: `${CA}/acct/1` })
        : problem(403, 'userActionRequired'),
    'new-order': (payload) => {
      order.payload = payload
      for (const { value: name } of payload.identifiers) {
        authorizations.push({
          name,
          status: validNames.includes(name) ? 'valid' : 'pending',
          token: `token-${name}`,
          polls: 0,
        })
      }
      if (authorizations.every(({ status }) => status === 'valid')) order.status = 'ready'
      return json(201, orderNow(), { location: `${CA}/order` })
    },
    authz: (_, index) => {
      const authorization = authorizations[index]!
      const isAnswered = log.includes(`/chall/${index}/dns-01`)
      if (authorization.status === 'pending' && isAnswered && ++authorization.polls > 2) {
        const owner = `_acme-challenge.${authorization.name.replace('*.', '')}`
        authorization.status = records.some((record) => record.startsWith(`${owner} `)) ? 'valid' : 'invalid'
      }
      if (authorizations.some(({ status }) => status === 'invalid')) order.status = 'invalid'
      else if (authorizations.every(({ status }) => status === 'valid')) order.status = 'ready'
      return json(200, authorizationOf(index), { 'retry-after': '2' })
    },
    chall: (payload, index) =>
      JSON.stringify(payload) === '{}'
        ? json(200, authorizationOf(index).challenges[0]!, { link: `<${CA}/authz/${index}>;rel="up"` })
        : problem(400, 'malformed'),
    finalize: () => {
      order.status = 'processing'
      return json(200, orderNow(), { location: `${CA}/order` })
    },
    order: () => {
      if (order.status === 'processing' && ++order.polls > 2) order.status = 'valid'
      return json(200, orderNow())
    },
    cert: () => ({
      ...json(200, {}, { 'content-type': 'application/pem-certificate-chain' }),
      body: Buffer.from(CHAIN),
    }),
  }

  const transport: AcmeTransport = async ({ method, url, headers, body }) => {
    if (!headers['User-Agent']) return problem(400, 'malformed')
    const path = url.slice(CA.length)
    log.push(path)
    const instead = replyTo(path)
    if (instead) return instead
    if (path === '/dir') {
      const links = { newNonce: `${CA}/nonce`, newAccount: `${CA}/new-account`, newOrder: `${CA}/new-order` }
      const meta = { profiles: { classic: 'as ever', shortlived: 'a few days' } }
      return json(200, { ...links, renewalInfo: `${CA}/renewal-info`, meta })
    }
    if (path === '/nonce') return json(method === 'HEAD' ? 200 : 204, {})
    const jws = JSON.parse(Buffer.from(body!).toString())
    const header = JSON.parse(Buffer.from(jws.protected, 'base64url').toString())
    if (!nonces.delete(header.nonce) || random() < 0.15) return problem(400, 'badNonce')
    if (header.url !== url) return problem(403, 'unauthorized')
    const payload = jws.payload === '' ? null : JSON.parse(Buffer.from(jws.payload, 'base64url').toString())
    const [, name = '', index = '0'] = path.split('/')
    return handlers[name]!(payload, Number(index))
  }

  const dns: DnsChallenges = {
    present: async (owner, value) => void records.push(`${owner} ${value}`),
    cleanup: async (owner, value) => {
      cleaned.push(`${owner} ${value}`)
      records.splice(records.indexOf(`${owner} ${value}`), 1)
    },
  }
  return { directoryUrl: `${CA}/dir`, transport, dns, records, cleaned, log, order }
}
