import { generateKeyPairSync } from 'node:crypto'
import { beforeAll, describe, expect, it } from 'vitest'
import { type CsrRequest, createCsr, parseCsr } from '../../src/pki/csr.ts'
import { type CsrContext, type CsrProblem, checkCsr } from '../../src/pki/csr-check.ts'
import { type CsrTemplate, parseCsrTemplate } from '../../src/pki/csr-template.ts'
import { nullValue, objectId, sequence, setOf, text } from '../../src/pki/der-writer.ts'
import { basicConstraints, extendedKeyUsage, keyUsage, subjectAltName } from '../../src/pki/extensions.ts'
import { generateKey } from '../../src/pki/key.ts'
import { SUBJECT_FIELD, type SubjectField } from '../../src/pki/object-ids.ts'
import { type CraftedCsr, craftCsr, extensionRequest } from './authority.ts'

const P256 = { PublicKeyType: 'id-ecPublicKey', namedCurve: 'secp256r1', SignatureType: 'ecdsa-with-SHA256' }
const RSA = { PublicKeyType: 'rsaEncryption', PublicKeyLength: 2048, SignatureType: 'sha256WithRSAEncryption' }
const NAME = 'cpe7.isp.example'

const template = (changed: { keyTypes?: unknown[]; subject?: unknown; san?: unknown; more?: object }): CsrTemplate =>
  parseCsrTemplate({
    keyTypes: changed.keyTypes ?? [P256],
    ...(changed.subject ? { subject: changed.subject } : {}),
    extensions: { subjectAltName: changed.san ?? { DNS: [NAME] }, ...changed.more },
  })

const san = subjectAltName({ dnsNames: [NAME] }, false)
const rdn = (field: SubjectField, value: string): [{ oid: string; value: string }] => [
  { oid: SUBJECT_FIELD[field], value },
]

describe('checkCsr', () => {
  let keyPem: string
  beforeAll(async () => {
    keyPem = await generateKey('p256')
  })

  async function check(
    csr: Uint8Array,
    against: CsrTemplate,
    context: Partial<CsrContext> = {},
  ): Promise<CsrProblem[]> {
    return checkCsr(parseCsr(csr), against, { identifiers: [NAME], allowName: () => false, ...context })
  }
  async function checkRequest(
    request: Partial<CsrRequest>,
    against: CsrTemplate,
    context: Partial<CsrContext> = {},
  ): Promise<CsrProblem[]> {
    return check(await createCsr({ keyPem, dnsNames: [NAME], ...request }), against, context)
  }
  async function checkCrafted(crafted: Partial<CraftedCsr>, against: CsrTemplate): Promise<CsrProblem[]> {
    return check(await craftCsr({ keyPem, ...crafted }), against)
  }

  describe('names', () => {
    it('accepts the literal, in any case', async () => {
      expect(await checkRequest({}, template({}))).toEqual([])
      expect(
        await checkRequest({ dnsNames: ['CPE7.ISP.Example'] }, template({ san: { DNS: ['cpe7.isp.EXAMPLE.'] } }), {
          identifiers: [`${NAME}.`],
        }),
      ).toEqual([])
    })

    it('refuses an extra name, once for the template and once for the order', async () => {
      expect(await checkRequest({ dnsNames: [NAME, 'cpe8.isp.example'] }, template({}))).toEqual([
        { kind: 'rejectedIdentifier', identifier: 'cpe8.isp.example', detail: 'the template does not name it' },
        { kind: 'rejectedIdentifier', identifier: 'cpe8.isp.example', detail: 'this name is not in the order' },
      ])
    })

    it('misses a literal, and a name of the order', async () => {
      expect(
        await checkRequest({}, template({ san: { DNS: [NAME, 'dns.isp.example'] } }), {
          identifiers: [NAME, 'dns.isp.example'],
        }),
      ).toEqual([
        { kind: 'badCSR', identifier: 'dns.isp.example', detail: 'the SAN lacks this name' },
        { kind: 'badCSR', identifier: 'dns.isp.example', detail: 'the order has it, the SAN lacks it' },
      ])
    })

    it('asks local policy about each name of the client’s choice, and never about literals', async () => {
      const asked: string[] = []
      const allowName = (name: string): boolean => asked.push(name) > 0 && name !== 'cpe9.isp.example'
      const names = [NAME, 'cpe8.isp.example', 'cpe9.isp.example']
      const against = template({ san: { DNS: [NAME, '**', '*'] } })
      expect(await checkRequest({ dnsNames: names }, against, { identifiers: names, allowName })).toEqual([
        { kind: 'rejectedIdentifier', identifier: 'cpe9.isp.example', detail: 'this name is not assigned to you' },
      ])
      expect(asked).toEqual(['cpe8.isp.example', 'cpe9.isp.example'])
    })

    it.each([
      [['**'], 1, []],
      [['**'], 0, ['the SAN needs 1 DNS names of your choice and holds 0']],
      [['**'], 2, ['the SAN may hold 1 DNS names of your choice and holds 2']],
      [['*'], 0, []],
      [['*'], 1, []],
      [['*'], 2, ['the SAN may hold 1 DNS names of your choice and holds 2']],
      [['**', '**', '*'], 1, ['the SAN needs 2 DNS names of your choice and holds 1']],
      [['**', '**', '*'], 2, []],
      [['**', '**', '*'], 3, []],
      [['**', '**', '*'], 4, ['the SAN may hold 3 DNS names of your choice and holds 4']],
    ])('with %j and %i names finds %j', async (entries, count, details) => {
      const names = Array.from({ length: count }, (_, index) => `host${index}.isp.example`)
      const against = template({ san: { DNS: entries } })
      const found = await checkRequest({ dnsNames: names }, against, { identifiers: names, allowName: () => true })
      expect(found.map(({ detail }) => detail)).toEqual(details)
    })

    it('takes a wildcard name from a literal only, whatever local policy says', async () => {
      const names = ['*.isp.example']
      const lenient = { identifiers: names, allowName: () => true }
      expect(await checkRequest({ dnsNames: names }, template({ san: { DNS: names } }), lenient)).toEqual([])
      expect(await checkRequest({ dnsNames: names }, template({ san: { DNS: ['**'] } }), lenient)).toEqual([
        {
          kind: 'rejectedIdentifier',
          identifier: '*.isp.example',
          detail: 'a wildcard name must stand in the template',
        },
      ])
    })

    it('refuses a name that is none, and a name given twice', async () => {
      const lenient = { allowName: () => true }
      const name = { ...san, der: sequence(text(0x82, `${NAME}\0.evil.example`)) }
      const odd = await craftCsr({ keyPem, attributes: [extensionRequest([name])] })
      const found = await check(odd, template({ san: { DNS: ['**'] } }), lenient)
      expect(found[0]).toMatchObject({ kind: 'rejectedIdentifier', detail: 'this is not a DNS name' })
      expect(await checkRequest({ dnsNames: [NAME, NAME] }, template({}))).toEqual([
        { kind: 'rejectedIdentifier', identifier: NAME, detail: 'the SAN holds this name more than once' },
      ])
    })

    it('refuses addresses, and names of other kinds', async () => {
      expect(await checkRequest({ ipAddresses: ['192.0.2.1'] }, template({}))).toEqual([
        { kind: 'badCSR', detail: 'the SAN holds the IP address 192.0.2.1; a template cannot allow any' },
      ])
      const registeredId = { ...san, der: sequence(text(0x88, '*')) }
      const found = await checkCrafted({ attributes: [extensionRequest([registeredId])] }, template({}))
      expect(found.map(({ detail }) => detail)).toContain('the SAN holds 1 names that are neither DNS, e-mail nor URI')
    })

    it('wants exactly the e-mail addresses and URIs of the template', async () => {
      const against = template({ san: { DNS: [NAME], Email: ['noc@isp.example'], URI: ['urn:a:b'] } })
      expect(await checkRequest({ emails: ['noc@isp.example'], uris: ['urn:a:b'] }, against)).toEqual([])
      const found = await checkRequest({ emails: ['NOC@isp.example'] }, against)
      expect(found.map(({ detail }) => detail)).toEqual([
        'the SAN lacks noc@isp.example',
        'the SAN holds NOC@isp.example, which the template does not name',
        'the SAN lacks urn:a:b',
      ])
    })
  })

  describe('key', () => {
    const rsaKey = (modulusLength: number): string =>
      generateKeyPairSync('rsa', {
        modulusLength,
        publicKeyEncoding: { type: 'spki', format: 'pem' },
        privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
      }).privateKey

    it('refuses another curve', async () => {
      expect(await checkRequest({ keyPem: await generateKey('p384') }, template({}))).toEqual([
        { kind: 'badCSR', detail: 'the key is on curve secp384r1; the template wants curve secp256r1' },
      ])
    })

    it('refuses another hash on the right curve', async () => {
      expect(await checkRequest({ signatureAlgorithm: 'ecdsa-with-SHA384' }, template({}))).toEqual([
        {
          kind: 'badCSR',
          detail: 'the request is signed with ecdsa-with-SHA384; for this key the template wants ecdsa-with-SHA256',
        },
      ])
    })

    it('refuses a key that no template can name', async () => {
      expect(await checkRequest({ keyPem: await generateKey('ed25519') }, template({ keyTypes: [P256, RSA] }))).toEqual(
        [
          {
            kind: 'badCSR',
            detail: 'the key is of type 1.3.101.112; the template wants curve secp256r1 or RSA of 2048 bits',
          },
        ],
      )
    })

    it('wants RSA of exactly the length, with the signature of the same entry', async () => {
      const against = template({ keyTypes: [P256, RSA] })
      // OpenSSL makes 2048 bits when asked for 2049; key.test.ts counts those of a made-up key.
      for (const bits of [2047, 2050, 3072])
        expect(await checkRequest({ keyPem: rsaKey(bits) }, against)).toEqual([
          {
            kind: 'badCSR',
            detail: `the key is RSA of ${bits} bits; the template wants curve secp256r1 or RSA of 2048 bits`,
          },
        ])
      const exact = rsaKey(2048)
      expect(await checkRequest({ keyPem: exact }, against)).toEqual([])
      expect(await checkRequest({ keyPem: exact, signatureAlgorithm: 'sha256WithRSAandMGF1' }, against)).toEqual([
        expect.objectContaining({ detail: expect.stringContaining('wants sha256WithRSAEncryption') }),
      ])
    })
  })

  describe('subject', () => {
    const subject = { country: 'FR', organization: '**', locality: '*', commonName: '*' }
    const good = [rdn('country', 'fr'), rdn('organization', 'ISP'), rdn('commonName', NAME.toUpperCase())]

    it.each([
      ['what the template names', good, []],
      ['optional fields that are there', [...good, rdn('locality', 'Paris')], []],
      ['a missing literal', good.slice(1), ['the subject lacks country']],
      [
        'another value than the literal',
        [rdn('country', 'DE'), ...good.slice(1)],
        ['country is "DE"; the template wants "FR"'],
      ],
      ['a missing mandatory field', [good[0]!, good[2]!], ['the subject lacks organization']],
      [
        'an empty mandatory field',
        [good[0]!, rdn('organization', ''), good[2]!],
        ['the subject holds an empty organization'],
      ],
      ['an empty optional field', [...good, rdn('locality', '')], ['the subject holds an empty locality']],
      ['a field twice', [...good, rdn('organization', 'ISP')], ['the subject holds organization 2 times']],
      [
        'a field not in the template',
        [...good, rdn('stateOrProvince', 'x')],
        ['the subject holds stateOrProvince, which the template does not name'],
      ],
      [
        'a field no template can name',
        [...good, [{ oid: '2.5.4.5', value: '7' }]],
        ['the subject holds 2.5.4.5, which the template does not name'],
      ],
      [
        'two attributes in one part',
        [[...good[0]!, ...good[1]!], good[2]!],
        ['a part of the subject has more than one attribute'],
      ],
      [
        'a common name not in the SAN',
        [...good.slice(0, 2), rdn('commonName', 'isp.example')],
        ['the common name "isp.example" is not in the SAN'],
      ],
    ])('judges %s', async (_, parts, details) => {
      const found = await checkRequest({ subject: parts }, template({ subject }))
      expect(found).toEqual(details.map((detail) => ({ kind: 'badCSR', detail })))
    })

    it('must be empty when the template has none', async () => {
      const found = await checkRequest({ subject: [rdn('commonName', NAME)] }, template({}))
      expect(found.map(({ detail }) => detail)).toEqual([
        'the subject holds commonName, which the template does not name',
      ])
    })
  })

  describe('attributes and extensions', () => {
    const usages = { more: { keyUsage: ['digitalSignature'], extendedKeyUsage: ['1.3.6.1.5.5.7.3.1'] } }

    it('refuses a challenge password', async () => {
      const password = sequence(objectId('1.2.840.113549.1.9.7'), setOf([text(0x0c, 'secret')]))
      expect(await checkCrafted({ attributes: [password, extensionRequest([san])] }, template({}))).toEqual([
        {
          kind: 'badCSR',
          detail: 'the request holds the attribute 1.2.840.113549.1.9.7; only an extension request is allowed',
        },
      ])
    })

    it.each([
      ['no', []],
      ['two', [extensionRequest([san]), extensionRequest([keyUsage(['digitalSignature'])])]],
      ['one with two values', [extensionRequest([san], [keyUsage(['digitalSignature'])])]],
      ['one without a value', [extensionRequest()]],
    ])('refuses %s extension requests', async (_, attributes) => {
      const found = await checkCrafted({ attributes }, template({}))
      expect(found.map(({ detail }) => detail)).toContain('the request must hold exactly one extension request')
    })

    it('refuses extensions the template does not name, and one given twice', async () => {
      const unknown = { oid: '1.3.6.1.4.1.44363.44', critical: false, der: nullValue() }
      const extensions = [basicConstraints(true), unknown, keyUsage(['keyCertSign']), san]
      const found = await checkCrafted({ extensions }, template({}))
      expect(found.map(({ detail }) => detail)).toEqual([
        'the request holds the extension basicConstraints, which the template does not name',
        'the request holds the extension 1.3.6.1.4.1.44363.44, which the template does not name',
        'the request holds the extension keyUsage, which the template does not name',
        'the request holds the extension subjectAltName more than once',
        'the SAN holds this name more than once',
      ])
    })

    it('wants exactly the usages of the template', async () => {
      const fits = [keyUsage(['digitalSignature']), extendedKeyUsage(['serverAuth'])]
      expect(await checkCrafted({ extensions: fits }, template(usages))).toEqual([])
      const wrong = [keyUsage(['digitalSignature', 'keyCertSign']), extendedKeyUsage(['clientAuth'])]
      const found = await checkCrafted({ extensions: wrong }, template(usages))
      expect(found.map(({ detail }) => detail)).toEqual([
        'keyUsage holds keyCertSign, which the template does not name',
        'extendedKeyUsage lacks serverAuth',
        'extendedKeyUsage holds clientAuth, which the template does not name',
      ])
      expect((await checkRequest({}, template(usages))).map(({ detail }) => detail)).toEqual([
        'keyUsage lacks digitalSignature',
        'extendedKeyUsage lacks serverAuth',
      ])
    })
  })

  it('reports everything at once', async () => {
    const found = await checkRequest(
      {
        keyPem: await generateKey('p384'),
        dnsNames: ['cpe8.isp.example'],
        ipAddresses: ['192.0.2.1'],
        keyUsages: ['keyCertSign'],
        subject: [rdn('organization', 'x')],
      },
      template({ subject: { country: 'FR' } }),
    )
    expect(found).toHaveLength(9)
  })
})
