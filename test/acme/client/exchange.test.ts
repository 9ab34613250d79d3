import { describe, expect, it } from 'vitest'
import {
  type AcmeTransport,
  parseLinks,
  parseRetryAfterMs,
  readReply,
  send,
  type TransportResponse,
} from '../../../src/acme/client/exchange.ts'
import { Fault } from '../../../src/core/fault.ts'

const URL_ASKED = 'https://ca.example/order/1'
const response = (status: number, headers: Record<string, string> = {}, body = ''): TransportResponse => ({
  status,
  headers,
  body: Buffer.from(body),
})
const ask = (transport: AcmeTransport, url = URL_ASKED, signal = new AbortController().signal) =>
  send(transport, { method: 'GET', url, headers: {}, signal })

describe('Retry-After (RFC 9110 §10.2.3)', () => {
  const date = 'Tue, 24 Nov 2026 00:00:00 GMT'

  it.each([
    ['5', 5000],
    ['0', 1000],
    ['99999999', 86_400_000],
    ['Tue, 24 Nov 2026 00:01:00 GMT', 60_000],
    ['Mon, 23 Nov 2026 00:00:00 GMT', 1000],
    ['soon', undefined],
  ])('%j means %s ms', (value, expected) => {
    expect(parseRetryAfterMs(value, date)).toBe(expected)
  })

  it('is not guessed from the own clock', () => {
    expect(parseRetryAfterMs('Tue, 24 Nov 2026 00:01:00 GMT', undefined)).toBeUndefined()
  })
})

describe('Link (RFC 8288)', () => {
  it.each([
    ['<https://ca.example/dir>;rel="index", <?cursor=2>; rel=next', ['https://ca.example/order/1?cursor=2']],
    [['</dir>;rel="index"', '<https://ca.example/o?a,b>;title="x";rel="up next"'], ['https://ca.example/o?a,b']],
    ['<https://ca.example/dir>;rel="index"', []],
    ['nonsense', []],
    [undefined, []],
  ])('%j', (value, expected) => {
    expect(parseLinks(value, 'next', URL_ASKED)).toEqual(expected)
  })
})

describe('one request', () => {
  it('that nobody answers is ACME_UNREACHABLE, with its cause', async () => {
    const cause = new Error('ECONNREFUSED')
    const failed = ask(() => Promise.reject(cause))
    await expect(failed).rejects.toMatchObject({ code: 'ACME_UNREACHABLE', cause })
  })

  it('keeps the name that the transport gave its failure', async () => {
    const fault = new Fault('UPSTREAM_UNTRUSTED', 'wrong certificate')
    await expect(ask(() => Promise.reject(fault))).rejects.toBe(fault)
  })

  it('that is aborted throws the reason of the signal', async () => {
    const stop = new AbortController()
    const waiting = ask(
      ({ signal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('closed')))),
      URL_ASKED,
      stop.signal,
    )
    stop.abort(new Error('shutting down'))
    await expect(waiting).rejects.toThrow('shutting down')
  })

  it('goes to https only', async () => {
    await expect(ask(async () => response(200), 'http://ca.example/')).rejects.toMatchObject({ code: 'ACME_PROTOCOL' })
  })

  it('takes no endless answer', async () => {
    const flood = async () => response(200, {}, 'x'.repeat(1024 * 1024 + 1))
    await expect(ask(flood)).rejects.toMatchObject({ code: 'ACME_PROTOCOL' })
  })
})

describe('one reply', () => {
  it('is text or JSON by its content type', () => {
    expect(
      readReply(response(200, { 'content-type': 'application/json; charset=utf-8' }, '{"a":1}'), URL_ASKED).content,
    ).toEqual({ a: 1 })
    expect(readReply(response(200, { 'content-type': 'text/plain' }, '{"a":1}'), URL_ASKED).content).toBe('{"a":1}')
  })

  it('with broken JSON is ACME_PROTOCOL', () => {
    const broken = response(200, { 'content-type': 'application/json' }, '{"a":')
    expect(() => readReply(broken, URL_ASKED)).toThrow(expect.objectContaining({ code: 'ACME_PROTOCOL' }))
  })

  it('that is a redirect is ACME_PROTOCOL', () => {
    const redirect = response(302, { location: 'https://evil.example/' })
    expect(() => readReply(redirect, URL_ASKED)).toThrow(expect.objectContaining({ code: 'ACME_PROTOCOL' }))
  })

  it('that is a problem becomes one, with subproblems and Retry-After', () => {
    const document = {
      type: 'urn:ietf:params:acme:error:rateLimited',
      detail: 'slow down',
      status: 200,
      subproblems: [
        { type: 'urn:ietf:params:acme:error:caa', detail: 'no', identifier: { type: 'dns', value: 'a.example' } },
      ],
    }
    const headers = { 'content-type': 'application/problem+json', 'retry-after': '30' }
    expect(() => readReply(response(429, headers, JSON.stringify(document)), URL_ASKED)).toThrow(
      expect.objectContaining({
        type: 'rateLimited',
        status: 429,
        retryAfterMs: 30_000,
        subproblems: [{ type: 'caa', detail: 'no', identifier: { type: 'dns', value: 'a.example' } }],
      }),
    )
  })

  it.each([
    [503, 'ACME_UNREACHABLE'],
    [404, 'ACME_PROTOCOL'],
  ])('%i from something that speaks no ACME is %s', (status, code) => {
    const html = response(status, { 'content-type': 'text/html' }, '<h1>no</h1>')
    expect(() => readReply(html, URL_ASKED)).toThrow(expect.objectContaining({ code }))
  })

  it('gives Location as it was sent: it comes back as kid', () => {
    expect(readReply(response(201, { location: 'https://CA.example/acct/1' }), URL_ASKED).location).toBe(
      'https://CA.example/acct/1',
    )
    expect(readReply(response(201, { location: '/acct/1' }), URL_ASKED).location).toBe('https://ca.example/acct/1')
    expect(() => readReply(response(201, { location: 'https://' }), URL_ASKED)).toThrow('unreadable URL')
  })
})
