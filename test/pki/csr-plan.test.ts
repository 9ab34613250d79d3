import * as fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { createCsr, parseCsr } from '../../src/pki/csr.ts'
import { checkCsr } from '../../src/pki/csr-check.ts'
import { planCsr } from '../../src/pki/csr-plan.ts'
import { type CsrTemplate, parseCsrTemplate } from '../../src/pki/csr-template.ts'
import { generateKey, type KeyType } from '../../src/pki/key.ts'
import { EXTENDED_KEY_USAGE, KEY_USAGES, keysOf } from '../../src/pki/object-ids.ts'

const P256 = { PublicKeyType: 'id-ecPublicKey', namedCurve: 'secp256r1', SignatureType: 'ecdsa-with-SHA256' }
const P384 = { PublicKeyType: 'id-ecPublicKey', namedCurve: 'secp384r1', SignatureType: 'ecdsa-with-SHA384' }
const P521 = { PublicKeyType: 'id-ecPublicKey', namedCurve: 'secp521r1', SignatureType: 'ecdsa-with-SHA512' }
const rsa = (PublicKeyLength: number, SignatureType: string): object => ({
  PublicKeyType: 'rsaEncryption',
  PublicKeyLength,
  SignatureType,
})

const NAME = 'cpe7.isp.example'
const template = (DNS: string[], more: { keyTypes?: object[]; subject?: object; usages?: object } = {}): CsrTemplate =>
  parseCsrTemplate({
    keyTypes: more.keyTypes ?? [P256],
    ...(more.subject ? { subject: more.subject } : {}),
    extensions: { subjectAltName: { DNS }, ...more.usages },
  })

describe('planCsr', () => {
  it('says what the request must hold', () => {
    const usages = { keyUsage: ['digitalSignature'], extendedKeyUsage: ['serverAuth', '1.3.6.1.5.5.7.3.1'] }
    const subject = { country: 'FR', organization: '*', commonName: '**' }
    expect(planCsr(template([NAME], { subject, usages }), [NAME])).toEqual({
      keyType: 'p256',
      signatureAlgorithm: 'ecdsa-with-SHA256',
      subject: [[{ oid: '2.5.4.6', value: 'FR' }], [{ oid: '2.5.4.3', value: NAME }]],
      emails: [],
      uris: [],
      keyUsages: ['digitalSignature'],
      extendedKeyUsages: ['serverAuth'],
    })
  })

  it('takes the first key type that we make', () => {
    const keyTypes = [P521, rsa(3072, 'sha256WithRSAEncryption'), rsa(2048, 'sha384WithRSAandMGF1'), P256]
    expect(planCsr(template([NAME], { keyTypes }), [NAME])).toMatchObject({
      keyType: 'rsa2048',
      signatureAlgorithm: 'sha384WithRSAandMGF1',
    })
  })

  it.each<[string, CsrTemplate, string[], string]>([
    [
      'no key type of ours',
      template([NAME], { keyTypes: [P521, rsa(4096, 'sha256WithRSAEncryption')] }),
      [NAME],
      'no kind of key that we make',
    ],
    [
      'another name',
      template([NAME]),
      ['cpe8.isp.example'],
      'it is for cpe7.isp.example, and cpe7.isp.example was not asked for',
    ],
    ['a literal not asked for', template([NAME, 'dns.isp.example']), [NAME], 'dns.isp.example was not asked for'],
    ['a name too many', template([NAME]), [NAME, 'cpe8.isp.example'], 'cpe8.isp.example: it leaves 0 names to us'],
    ['a name too few', template([NAME, '**']), [NAME], 'it wants 1 names besides cpe7.isp.example'],
    ['a wildcard name', template(['**']), ['*.isp.example'], 'does not list the wildcard name'],
    ['no DNS name', template(['**']), ['192.0.2.1'], '"192.0.2.1" is not a DNS name'],
    [
      'another common name',
      template([NAME], { subject: { commonName: 'isp.example' } }),
      [NAME],
      'wants the common name isp.example',
    ],
    [
      'a field we have nothing for',
      template([NAME], { subject: { organization: '**' } }),
      [NAME],
      'leaves organization of the subject to us',
    ],
    [
      'a usage nobody can write',
      template([NAME], { usages: { extendedKeyUsage: ['2'] } }),
      [NAME],
      'extended key usage 2',
    ],
  ])('gives up on %s', (_, against, names, message) => {
    expect(() => planCsr(against, names)).toThrow(
      expect.objectContaining({ code: 'DELEGATION_MISSING', message: expect.stringContaining(message) }),
    )
  })

  it('takes a name that fits for the common name, if there is one', () => {
    const long = `${'a'.repeat(60)}.isp.example`
    const subject = { commonName: '**' }
    expect(planCsr(template(['**', '**'], { subject }), [long, NAME]).subject).toEqual([
      [{ oid: '2.5.4.3', value: NAME }],
    ])
    expect(() => planCsr(template(['**'], { subject }), [long])).toThrow('leaves commonName')
  })

  it('takes wildcard names from literals, and names in any case', () => {
    expect(planCsr(template(['*.isp.example']), ['*.ISP.example.'])).toMatchObject({ keyType: 'p256' })
  })
})

const CHOICES = {
  country: 'FR',
  stateOrProvince: 'Île-de-France',
  locality: 'P, "x"+1=\\',
  organization: 'ISP',
  organizationalUnit: 'CPE',
  emailAddress: 'noc@isp.example',
}
const KEYS = [
  P256,
  P384,
  P521,
  rsa(2048, 'sha256WithRSAEncryption'),
  rsa(2048, 'sha512WithRSAandMGF1'),
  rsa(4096, 'sha256WithRSAEncryption'),
]
const OURS = KEYS.filter((key) => key !== P521 && key !== KEYS.at(-1))

const hosts = fc.uniqueArray(
  fc.constantFrom('a', 'b', 'c', 'd', 'e').map((label) => `${label}.isp.example`),
  { maxLength: 4 },
)
const field = (choice: string): fc.Arbitrary<string> => fc.constantFrom('*', '**', choice)

/** A template, and names that fit it. */
const scenes = fc
  .record({
    literals: hosts,
    chosen: hosts,
    optionalLeft: fc.nat(2),
    keyTypes: fc.shuffledSubarray(KEYS, { minLength: 1 }),
    subject: fc.record(Object.fromEntries(Object.entries(CHOICES).map(([name, choice]) => [name, field(choice)])), {
      requiredKeys: [],
    }),
    commonName: fc.constantFrom('absent', '*', '**', 'literal'),
    keyUsage: fc.subarray([...KEY_USAGES]),
    extendedKeyUsage: fc.subarray([...keysOf(EXTENDED_KEY_USAGE), '1.3.6.1.4.1.311.44.3.4']),
    Email: fc.subarray(['noc@isp.example']),
    URI: fc.subarray(['https://isp.example/', 'urn:isp:cpe7']),
  })
  .filter(({ literals, chosen }) => literals.length + chosen.length > 0)
  .map(({ literals, chosen, optionalLeft, keyTypes, subject, commonName, keyUsage, extendedKeyUsage, Email, URI }) => {
    const others = chosen.filter((name) => !literals.includes(name))
    const names = [...literals, ...others]
    const wildcards = [
      ...others.map((_, index) => (index % 2 === 0 ? '**' : '*')),
      ...Array<string>(optionalLeft).fill('*'),
    ]
    const common = commonName === 'absent' ? {} : { commonName: commonName === 'literal' ? names[0] : commonName }
    const json = {
      keyTypes,
      subject: { ...subject, ...common },
      extensions: { subjectAltName: { DNS: [...literals, ...wildcards], Email, URI }, keyUsage, extendedKeyUsage },
    }
    return {
      names,
      canPlan: keyTypes.some((key) => OURS.includes(key)),
      template: parseCsrTemplate(withoutEmpty(json)),
    }
  })

/** Empty lists and objects are no template. */
const withoutEmpty = (json: object): unknown =>
  JSON.parse(JSON.stringify(json), (_, value: unknown) =>
    typeof value === 'object' && value !== null && Object.keys(value).length === 0 ? undefined : value,
  )

describe('whatever is planned', () => {
  const keys = new Map<KeyType, string>()
  beforeAll(async () => {
    for (const type of ['p256', 'p384', 'rsa2048'] as const) keys.set(type, await generateKey(type))
  })

  it('makes a request that fits', async () => {
    let planned = 0
    const property = fc.asyncProperty(scenes, async ({ names, canPlan, template: against }) => {
      if (!canPlan) {
        expect(() => planCsr(against, names, CHOICES)).toThrow('no kind of key')
        return
      }
      const plan = planCsr(against, names, CHOICES)
      const csr = parseCsr(await createCsr({ ...plan, keyPem: keys.get(plan.keyType)!, dnsNames: names }))
      const allowName = (name: string): boolean => name.endsWith('.isp.example')
      expect(checkCsr(csr, against, { identifiers: names, allowName })).toEqual([])
      planned++
    })
    await fc.assert(property, { numRuns: 300, seed: 9115 })
    expect(planned).toBeGreaterThan(200)
  })
})
