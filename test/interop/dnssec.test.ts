import { beforeAll, describe, expect, it } from 'vitest'
import { systemClock } from '../../src/core/clock.ts'
import { parseSettings } from '../../src/core/settings.ts'
import { RCODE, rcodeName, TYPE, typeName } from '../../src/dns/codes.ts'
import type { Resolver } from '../../src/router/resolve/resolver.ts'
import { TrustAnchors } from '../../src/router/resolve/validation/anchors.ts'
import { type Validation, withValidation } from '../../src/router/resolve/validation/layer.ts'
import { DNSSEC_SETTINGS, dnssecConfigOf } from '../../src/router/settings/dnssec.ts'
import { settingsFiles } from '../../src/router/settings/values.ts'
import { plainUpstream } from '../../src/router/upstream/plain.ts'
import { silentLog } from '../support/log.ts'
import { queryOf, queryWire } from '../support/query.ts'
import { makeAuthority } from './support/authority.ts'
import { routerIn, UNREGISTERED } from './support/hearth.ts'
import { freePort } from './support/ports.ts'
import { kdig } from './support/probe.ts'
import { openScene } from './support/scene.ts'
import { type SignedWorld, type SignedZone, serveSigned, validatingUnbound } from './support/signed-zones.ts'

const scene = openScene()

const recordsOf = (zone: string): string => `www.${zone}. 300 A 192.0.2.1
Mixed.${zone}. 300 MX 10 MAIL.${zone}.
Mixed.${zone}. 300 SRV 0 0 53 WWW.${zone}.
Mixed.${zone}. 300 TXT "Mixed Case"
mixed.${zone}. 300 NAPTR 1 1 "U" "E2U" "!^.*$!a!" WWW.${zone}.
mixed.${zone}. 300 TYPE65400 \\# 4 41424344
alias.${zone}. 300 CNAME www.${zone}.
lost.${zone}. 300 CNAME nowhere.${zone}.
plain.${zone}. 300 CNAME www.unsigned.lab.
across.${zone}. 300 CNAME alias.p384.lab.
broken.${zone}. 300 CNAME www.tampered.lab.
*.wild.${zone}. 300 A 192.0.2.2
*.aliases.${zone}. 300 CNAME www.${zone}.
deep.empty.${zone}. 300 A 192.0.2.3
tree.${zone}. 300 DNAME under.${zone}.
a.under.${zone}. 300 A 192.0.2.4
`

const zone = (name: string, more: Omit<SignedZone, 'name' | 'records'> = {}): SignedZone => ({
  name: `${name}.lab`,
  records: recordsOf(`${name}.lab`),
  ...more,
})

const P256 = { algorithm: 'ECDSAP256SHA256' } as const
/** Children before their parents; the top is last. */
const ZONES: readonly SignedZone[] = [
  zone('rsa256', { algorithm: 'RSASHA256' }),
  zone('rsa512', { algorithm: 'RSASHA512', denial: 'nsec3' }),
  zone('p256', { ...P256, denial: 'nsec3', iterations: 10 }),
  zone('p384', { algorithm: 'ECDSAP384SHA384' }),
  zone('ed25519', { algorithm: 'ED25519', denial: 'nsec3' }),
  zone('child.optout'),
  zone('signed.optout', P256),
  zone('optout', { ...P256, denial: 'opt-out' }),
  zone('expired', { ...P256, start: 'now-20d', end: 'now-5d' }),
  zone('future', { ...P256, start: 'now+5d', end: 'now+20d' }),
  zone('tampered', { ...P256, spoil: (text) => text.replaceAll('192.0.2.1', '192.0.2.66') }),
  zone('unproven', { ...P256, spoil: (text) => text.replaceAll(/\bA RRSIG NSEC/g, 'AAAA RRSIG NSEC') }),
  zone('mislaid', { ...P256, ds: 'wrong' }),
  zone('island', { ...P256, ds: 'none' }),
  zone('hashed', { ...P256, denial: 'nsec3', iterations: 200 }),
  zone('unsigned'),
  { name: 'lab', records: recordsOf('lab'), ...P256 },
]

const QUESTIONS: readonly (readonly [string, number])[] = [
  ['www', TYPE.A],
  ['www', TYPE.AAAA],
  ['mixed', TYPE.MX],
  ['mixed', TYPE.SRV],
  ['mixed', TYPE.TXT],
  ['mixed', TYPE.NAPTR],
  ['mixed', 65400],
  ['alias', TYPE.A],
  ['alias', TYPE.CNAME],
  ['lost', TYPE.A],
  ['plain', TYPE.A],
  ['across', TYPE.A],
  ['broken', TYPE.A],
  ['x.wild', TYPE.A],
  ['x.y.wild', TYPE.A],
  ['x.wild', TYPE.AAAA],
  ['x.aliases', TYPE.A],
  ['empty', TYPE.A],
  ['a.tree', TYPE.A],
  ['no.tree', TYPE.A],
  ['nowhere', TYPE.A],
  ['a.b.nowhere', TYPE.A],
  ['', TYPE.SOA],
  ['', TYPE.NS],
  ['', TYPE.DNSKEY],
  ['', TYPE.DS],
  ['', TYPE.MX],
  ['www', TYPE.DS],
]

let served: SignedWorld
let unbound: { readonly port: number }
let validation: Validation
let resolver: Resolver

beforeAll(async () => {
  served = await serveSigned(scene, ZONES, { name: 'auto', records: recordsOf('auto') })
  unbound = await validatingUnbound(scene, served, [...ZONES.map(({ name }) => name), 'auto'])
  const settings = parseSettings(DNSSEC_SETTINGS, '{ validate: on, trust-anchor-file: anchors.txt }', 'test')
  const { anchors, negative } = await dnssecConfigOf(settings, settingsFiles(scene.directory))
  validation = withValidation({
    anchors: await TrustAnchors.open({ anchors, negative, log: silentLog }),
    clock: systemClock,
    log: silentLog,
    isClockTrusted: () => true,
  })
  resolver = validation.layer(plainUpstream({ id: 'unbound', endpoint: { host: '127.0.0.1', port: unbound.port } }))
})

/** What a validator says: the rcode, and whether it calls the answer authentic. */
interface Verdict {
  readonly rcode: string
  readonly ad: boolean
}

async function ours(name: string, type: number): Promise<Verdict> {
  const edns = { udpSize: 1232, version: 0, dnssecOk: true, options: [] }
  const outcome = await resolver.resolve(queryOf(queryWire(name, type, { edns })), new AbortController().signal)
  if (outcome.kind !== 'answer') throw new Error('nothing was answered')
  return { rcode: rcodeName(outcome.wire[3]! & 0x0f), ad: (outcome.wire[3]! & 0x20) !== 0 }
}

async function theirs(name: string, type: number): Promise<Verdict> {
  const { stdout } = await kdig(unbound.port, '+dnssec', '+bufsize=4096', `${name}.`, typeName(type))
  const rcode = /status: (\w+);/.exec(stdout)?.[1]
  if (rcode === undefined) throw new Error(stdout)
  return { rcode, ad: /Flags: [^;]*\bad\b/.test(stdout) }
}

describe('verdict by verdict with unbound', () => {
  it.each([...ZONES.map(({ name }) => name), 'auto'])('%s', async (name) => {
    const rows: string[] = []
    const expected: string[] = []
    for (const [label, type] of QUESTIONS) {
      // Nobody here is above the top zones.
      if (label === '' && type === TYPE.DS && !name.includes('.')) continue
      const asked = label === '' ? name : `${label}.${name}`
      const row = ({ rcode, ad }: Verdict): string => `${asked} ${typeName(type)}: ${rcode}${ad ? ' authentic' : ''}`
      expected.push(row(await theirs(asked, type)))
      rows.push(row(await ours(asked, type)))
    }
    expect(rows).toEqual(expected)
  })

  it('and the zones were of every kind', async () => {
    const verdicts = Object.fromEntries(
      await Promise.all(
        ['p256', 'expired', 'future', 'tampered', 'mislaid', 'island', 'unsigned', 'child.optout'].map(async (name) => [
          name,
          await ours(`www.${name}.lab`, TYPE.A),
        ]),
      ),
    )
    const [secure, insecure, bogus] = [
      { rcode: rcodeName(RCODE.NOERROR), ad: true },
      { rcode: rcodeName(RCODE.NOERROR), ad: false },
      { rcode: rcodeName(RCODE.SERVFAIL), ad: false },
    ]
    expect(verdicts).toEqual({
      p256: secure,
      expired: bogus,
      future: bogus,
      tampered: bogus,
      mislaid: bogus,
      island: insecure,
      unsigned: insecure,
      'child.optout': insecure,
    })
    expect(await ours('www.unproven.lab', TYPE.A)).toEqual(secure)
    expect(await ours('www.unproven.lab', TYPE.AAAA)).toEqual(bogus)
    expect(validation.status().indeterminate).toBe(0)
  })
})

describe('a router with `dnssec.validate: on`', () => {
  let do53: number

  beforeAll(async () => {
    const router = await routerIn(scene, 'router', {
      device: UNREGISTERED,
      directoryUrl: `https://127.0.0.1:${await freePort()}/directory`,
      trust: await scene.write('operator.pem', (await makeAuthority('nobody')).rootPem),
      lifetime: '1d',
      more: {
        upstreams: [{ url: `udp://127.0.0.1:${unbound.port}` }],
        dnssec: {
          validate: 'on',
          'trust-anchor-file': served.anchorFile,
          'negative-trust-anchors': ['future.lab'],
        },
      },
    })
    await router.start()
    do53 = router.ports.do53
  })

  const asked = async (...args: readonly string[]): Promise<string> => (await kdig(do53, ...args)).stdout

  it('shows AD to those who ask for it, and signatures to those who want them', async () => {
    for (const round of ['asked upstream', 'from the cache']) {
      const plain = await asked('+noadflag', 'www.p256.lab')
      expect(plain, round).toMatch(/Flags: qr rd ra; QUERY: 1; ANSWER: 1;/)
      expect(await asked('+adflag', 'www.p256.lab'), round).toMatch(/Flags: qr rd ra ad; QUERY: 1; ANSWER: 1;/)
      expect(await asked('+dnssec', 'www.p256.lab'), round).toMatch(/Flags: qr rd ra ad; QUERY: 1; ANSWER: 2;/)
    }
  })

  it.each([
    ['www.expired.lab', 7],
    ['www.tampered.lab', 6],
    ['www.mislaid.lab', 9],
  ])('refuses %s with extended error %i, unless checking is disabled', async (name, code) => {
    const refused = await asked('+edns', name)
    expect(refused).toContain('status: SERVFAIL')
    expect(refused).toMatch(new RegExp(`EDE: ${code} `))
    const passed = await asked('+cdflag', '+adflag', name)
    expect(passed).toMatch(/status: NOERROR/)
    expect(passed).not.toMatch(/Flags: [^;]*\bad\b/)
  })

  it('lets a zone with a negative trust anchor pass', async () => {
    const passed = await asked('+dnssec', 'www.future.lab')
    expect(passed).toMatch(/status: NOERROR/)
    expect(passed).toMatch(/Flags: qr rd ra; /)
  })
})
