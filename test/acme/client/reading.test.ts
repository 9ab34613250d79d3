import { describe, expect, it } from 'vitest'
import {
  readAccount,
  readAuthorization,
  readDelegation,
  readDelegationList,
  readDirectory,
  readOrder,
  readOrderList,
} from '../../../src/acme/client/reading.ts'

const ORDER = {
  status: 'pending',
  identifiers: [{ type: 'dns', value: 'a.example' }],
  authorizations: ['https://ca.example/authz/1'],
  finalize: 'https://ca.example/order/1/finalize',
}
const protocolFault = expect.objectContaining({ code: 'ACME_PROTOCOL' })

describe('JSON of a foreign server', () => {
  it('is taken with members nobody knows, which are left out', () => {
    expect(readOrder({ ...ORDER, keyboard: 'qwerty', certificate: null })).toEqual(ORDER)
  })

  it('keeps of an order what tells it from another one for the same names', () => {
    const more = {
      notAfter: '2026-12-01T00:00:00Z',
      profile: 'shortlived',
      replaces: 'aYhb.AIdl',
      delegation: 'https://ca.example/delegation/1',
    }
    expect(readOrder({ ...ORDER, ...more })).toEqual({ ...ORDER, ...more })
  })

  it('takes a page of orders of any length, without what is no URL in it', () => {
    const orders = Array.from({ length: 2000 }, (_, index) => `https://ca.example/order/${index}`)
    expect(readOrderList({ orders: [7, ...orders, 'nowhere', null] })).toEqual(orders)
    expect(() => readOrderList({ orders: 'none' })).toThrow(protocolFault)
  })

  it.each([
    [readDirectory, { newNonce: 'https://ca.example/n', newAccount: 'https://ca.example/a' }],
    [readDirectory, { newNonce: '/n', newAccount: 'https://ca.example/a', newOrder: 'https://ca.example/o' }],
    [readAccount, { status: 'open' }],
    [readAccount, { status: 'valid', delegations: 'nowhere' }],
    [readOrder, { ...ORDER, status: 'done' }],
    [readOrder, { ...ORDER, authorizations: undefined }],
    [readOrder, { ...ORDER, authorizations: [7] }],
    [readOrder, { ...ORDER, identifiers: [{ type: 'dns' }] }],
    [readOrder, { ...ORDER, identifiers: Array.from({ length: 1001 }, () => ORDER.identifiers[0]) }],
    [readOrder, { ...ORDER, 'allow-certificate-get': 'true' }],
    [readOrder, { ...ORDER, 'auto-renewal': { lifetime: 1 } }],
    [readOrder, { ...ORDER, 'auto-renewal': { lifetime: '1', 'end-date': '2027-01-01T00:00:00Z' } }],
    [readOrder, { ...ORDER, 'auto-renewal': { lifetime: 1, 'end-date': 'never' } }],
    [readOrder, { ...ORDER, error: 'bad' }],
    [readDelegationList, { delegations: 'all' }],
    [readDelegation, { 'csr-template': 'yes' }],
    [readAuthorization, { status: 'pending', identifier: ORDER.identifiers[0], challenges: [{ type: 'dns-01' }] }],
  ] as const)('is refused by %o when it is %j', (read, value) => {
    expect(() => read(value)).toThrow(protocolFault)
  })

  it.each([readDirectory, readAccount, readOrder, readDelegationList, readDelegation, readAuthorization])(
    'is refused by %o when it is no object',
    (read) => {
      for (const value of [undefined, null, 7, 'text', []]) expect(() => read(value)).toThrow(protocolFault)
    },
  )
})
