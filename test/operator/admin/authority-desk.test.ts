import { expect, it } from 'vitest'
import { authorityDesk } from '../../../src/operator/admin/authority-desk.ts'
import type { AuthorityConfig } from '../../../src/operator/config.ts'
import { ManualClock } from '../../support/manual-clock.ts'

const URLS = { newNonce: 'https://ca.example/n', newAccount: 'https://ca.example/a', newOrder: 'https://ca.example/o' }
const ACCOUNT = 'https://ca.example/acct/7'

/** What is advised for a CA that goes by these names, or says none. */
function caa(caaIdentities: readonly string[] | undefined, account?: string): Promise<readonly string[]> {
  const authority = {
    kind: 'acme',
    name: 'primary',
    directory: 'https://ca.example/dir',
    budget: {},
    requestDates: false,
  }
  return authorityDesk({
    authorities: [authority as AuthorityConfig],
    zone: 'cpe.example',
    readDirectory: async () => ({ ...URLS, meta: caaIdentities ? { caaIdentities } : {} }),
    accountUrl: async () => account,
    clock: new ManualClock(),
  }).caa()
}

it('binds CAA records to our account and to dns-01 (RFC 8657 accounturi, validationmethods)', async () => {
  expect(await caa(['ca.example'], ACCOUNT)).toEqual([
    `cpe.example. CAA 0 issue "ca.example; accounturi=${ACCOUNT}; validationmethods=dns-01"`,
    'cpe.example. CAA 0 issuewild ";"',
  ])
})

it('binds them to dns-01 alone, and says so, while there is no account', async () => {
  expect(await caa(['ca.example'])).toEqual([
    '; primary: add "; accounturi=URL" once its account is open',
    'cpe.example. CAA 0 issue "ca.example; validationmethods=dns-01"',
    'cpe.example. CAA 0 issuewild ";"',
  ])
})

it('advises no record, and what to do, when no CA says which name it goes by', async () => {
  const lines = await caa(undefined, ACCOUNT)
  expect(lines.every((line) => line.startsWith(';'))).toBe(true)
  expect(lines.at(-1)).toContain('ask the CA for its CAA name')
})
