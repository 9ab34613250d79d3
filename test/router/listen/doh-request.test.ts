import { describe, expect, it } from 'vitest'
import { toBase64url } from '../../../src/core/bytes.ts'
import { type DohRequest, judgeBody, judgeRequest } from '../../../src/router/listen/doh-request.ts'
import { hexOf } from '../../dns/golden.ts'
import { queryWire } from '../../support/query.ts'

const SHORT = 'AAABAAABAAAAAAAAA3d3dwdleGFtcGxlA2NvbQAAAQAB'
const LONG =
  'AAABAAABAAAAAAAAAWE-NjJjaGFyYWN0ZXJsYWJlbC1tYWtlcy1iYXNlNjR1cmwtZGlzdGluY3QtZnJvbS1zdGFuZGFyZC1iYXNlNjQHZXhhbXBsZQNjb20AAAEAAQ'

const judge = (changed: Partial<DohRequest>) =>
  judgeRequest({
    method: 'GET',
    path: `/dns-query?dns=${SHORT}`,
    contentType: undefined,
    accept: undefined,
    ...changed,
  })
const statusOf = (changed: Partial<DohRequest>): number | string => {
  const verdict = judge(changed)
  return verdict.kind === 'refused' ? verdict.status : verdict.kind
}

describe('GET', () => {
  it('DOH-1: the vectors of RFC 8484 section 4.1.1', () => {
    const verdict = judge({})
    expect(verdict.kind === 'query' && hexOf(verdict.wire)).toBe(
      '00000100000100000000000003777777076578616d706c6503636f6d0000010001',
    )
    const long = judge({ path: `/dns-query?dns=${LONG}` })
    expect(long.kind === 'query' && long.wire.length).toBe(94)
  })

  it.each([
    ['?a=b&dns=', `/dns-query?a=b&dns=${SHORT}`],
    ['?dns=…&a=b', `/dns-query?dns=${SHORT}&a=b`],
    ['?dns=…&dns=x takes the first', `/dns-query?dns=${SHORT}&dns=x`],
  ])('%s', (_, path) => expect(statusOf({ path })).toBe('query'))

  it.each([
    ['no query', '/dns-query'],
    ['an empty query', '/dns-query?'],
    ['another parameter', `/dns-query?name=${SHORT}`],
    ['an empty value', '/dns-query?dns='],
    ['DOH-2: padding', `/dns-query?dns=${SHORT}==`],
    ['DOH-2: the other alphabet', `/dns-query?dns=${SHORT.slice(0, -4)}+/+/`],
    ['percent-encoding', `/dns-query?dns=${SHORT}%3D`],
    ['white space', `/dns-query?dns=${SHORT} `],
    ['a length no encoder makes', `/dns-query?dns=${SHORT}A`],
    ['a message of eleven octets', `/dns-query?dns=${toBase64url(new Uint8Array(11))}`],
    ['the parameter after too many others', `/dns-query?${'a=b&'.repeat(16)}dns=${SHORT}`],
  ])('400: %s', (_, path) => expect(statusOf({ path })).toBe(400))
})

describe('HEAD and POST', () => {
  it('HEAD is judged as GET', () => {
    expect(statusOf({ method: 'HEAD' })).toBe('query')
    expect(statusOf({ method: 'HEAD', path: '/dns-query' })).toBe(400)
  })

  it.each(['application/dns-message', 'Application/DNS-Message', 'application/dns-message; charset=x'])(
    'POST of %s',
    (contentType) => {
      expect(statusOf({ method: 'POST', path: '/dns-query', contentType })).toBe('body-wanted')
    },
  )

  it.each([undefined, '', 'text/plain', 'application/json', 'application/dns-json', 'application/dns-message+x'])(
    'DOH-2: POST of %j is 415',
    (contentType) => expect(statusOf({ method: 'POST', path: '/dns-query', contentType })).toBe(415),
  )

  it('a body is a message of 12 to 65535 octets', () => {
    const statusOfBody = (bytes: number): number | string => {
      const verdict = judgeBody(new Uint8Array(bytes))
      return verdict.kind === 'refused' ? verdict.status : verdict.kind
    }
    expect([0, 11, 12, 65_535, 65_536].map(statusOfBody)).toEqual([400, 400, 'query', 'query', 413])
    const wire = queryWire('a.example')
    expect(judgeBody(wire)).toEqual({ kind: 'query', wire })
  })
})

describe('anything else', () => {
  it.each(['PUT', 'DELETE', 'OPTIONS', 'PATCH', 'CONNECT', 'get', ''])(
    'DOH-2: method %j is 405 and says what is allowed',
    (method) => {
      expect(judge({ method })).toMatchObject({ status: 405, headers: { allow: 'GET, HEAD, POST' } })
    },
  )

  it.each(['/', '', '/dns-query/', '/dns-queryx', '/DNS-QUERY', `//dns-query?dns=${SHORT}`, '*'])(
    'path %j is 404',
    (path) => {
      expect(statusOf({ path })).toBe(404)
    },
  )

  it.each([
    ['application/dns-message', 'query'],
    ['*/*', 'query'],
    ['application/*', 'query'],
    ['text/html, application/dns-message;q=0.5', 'query'],
    ['text/html,*/*;q=0.1', 'query'],
    ['application/json', 406],
    ['text/html', 406],
    ['', 406],
  ])('accept %j: %s', (accept, expected) => expect(statusOf({ accept })).toBe(expected))
})
