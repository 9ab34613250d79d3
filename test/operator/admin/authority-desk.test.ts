import { expect, it } from 'vitest'
import { authorityDesk } from '../../../src/operator/admin/authority-desk.ts'
import { ManualClock } from '../../support/manual-clock.ts'

const URLS = { newNonce: 'https://ca.example/n', newAccount: 'https://ca.example/a', newOrder: 'https://ca.example/o' }
const ACCOUNT = 'https://ca.example/acct/7'

const OWN = { kind: 'internal', name: 'own', budget: {} } as const

/** One whose CA goes by these names, or says none. */
function authority(name: string, caaIdentities?: readonly string[]) {
  const directory = `https://${name}.example/dir`
  return { kind: 'acme' as const, name, directory, budget: {}, requestDates: false, caaIdentities }
}

/** What is advised for these. */
function advised(authorities: readonly (ReturnType<typeof authority> | typeof OWN)[], account?: string) {
  const namesOf = new Map(authorities.map((one) => [one.name, 'caaIdentities' in one ? one.caaIdentities : undefined]))
  return authorityDesk({
    authorities,
    zone: 'cpe.example',
    readDirectory: async ({ name }) => {
      const caaIdentities = namesOf.get(name)
      return { ...URLS, meta: caaIdentities ? { caaIdentities } : {} }
    },
    accountUrl: async () => account,
    clock: new ManualClock(),
  }).caa()
}

function caa(caaIdentities: readonly string[] | undefined, account?: string): Promise<readonly string[]> {
  return advised([authority('primary', caaIdentities)], account)
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

it('keeps every CA of the world away when there are only our own, which look at no record', async () => {
  expect(await advised([OWN])).toEqual([
    '; own: a CA of our own looks at no CAA record',
    'cpe.example. CAA 0 issue ";"',
  ])
})

it('warns that records for some CAs keep the others out', async () => {
  const both = [authority('primary', ['ca.example']), authority('backup')]
  expect((await advised(both, ACCOUNT)).at(-1)).toBe(
    '; do not publish these before backup has a record too: it could not issue any more',
  )
  expect((await advised([both[0]!, OWN], ACCOUNT)).at(-1)).toBe('cpe.example. CAA 0 issuewild ";"')
})
