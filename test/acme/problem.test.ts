import { describe, expect, it } from 'vitest'
import { AcmeProblem, PROBLEMS } from '../../src/acme/problem.ts'

describe('RFC 8555 §6.7 problem documents', () => {
  it('carry the URN, the status of their type and their subproblems', () => {
    const identifier = { type: 'dns', value: 'cpe8.isp.example' }
    const problem = new AcmeProblem('badCSR', 'does not fit', {
      status: 403,
      subproblems: [{ type: 'rejectedIdentifier', detail: 'not yours', identifier }],
    })
    expect(problem.toDocument()).toEqual({
      type: 'urn:ietf:params:acme:error:badCSR',
      detail: 'does not fit',
      status: 403,
      subproblems: [{ type: 'urn:ietf:params:acme:error:rejectedIdentifier', detail: 'not yours', identifier }],
    })
    expect(new AcmeProblem('unknownDelegation', '').status).toBe(403)
    expect(new AcmeProblem('rateLimited', '').status).toBe(429)
  })

  it('survive the way there and back', () => {
    for (const [type, status] of Object.entries(PROBLEMS)) {
      const back = AcmeProblem.fromDocument(
        JSON.parse(
          JSON.stringify(
            AcmeProblem.fromDocument({ type: `urn:ietf:params:acme:error:${type}`, detail: 'why' })?.toDocument(),
          ),
        ),
      )
      expect(back).toMatchObject({ type, detail: 'why', status })
    }
  })

  it('keep the URI of a type nobody here knows', () => {
    const uri = 'urn:ietf:params:acme:error:fromTheFuture'
    expect(AcmeProblem.fromDocument({ type: uri, detail: 'x' })).toMatchObject({ type: uri })
    expect(AcmeProblem.fromDocument({ type: 'nonsense' })).toMatchObject({ type: 'about:nonsense' })
    expect(AcmeProblem.fromDocument({ title: 'Bad Gateway' })).toMatchObject({
      type: 'about:blank',
      detail: 'Bad Gateway',
    })
  })

  it('are cut to a bearable length when they come from outside', () => {
    const many = Array.from({ length: 500 }, () => ({ type: 'x:y', detail: 'z'.repeat(5000) }))
    const problem = AcmeProblem.fromDocument({ type: 'x:y', detail: 'z'.repeat(100_000), subproblems: many })!
    expect(problem.detail.length).toBeLessThan(1100)
    expect(problem.subproblems).toHaveLength(100)
  })

  it('are not seen in what is none', () => {
    for (const value of [null, 'text', 7, [], { type: 7 }, { type: 'a:b', detail: {} }]) {
      expect(AcmeProblem.fromDocument(value)).toBeUndefined()
    }
    const odd = AcmeProblem.fromDocument({
      type: 'a:b',
      detail: '',
      subproblems: [null, {}, { type: 'c:d', identifier: 3 }],
    })
    expect(odd?.subproblems).toEqual([{ type: 'c:d', detail: '' }])
  })
})
