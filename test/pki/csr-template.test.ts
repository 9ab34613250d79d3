import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { Fault } from '../../src/core/fault.ts'
import { parseCsrTemplate } from '../../src/pki/csr-template.ts'

const GOLDEN = new URL('../golden/csr-template/', import.meta.url)
const files = readdirSync(GOLDEN)
const read = (file: string): unknown => JSON.parse(readFileSync(new URL(file, GOLDEN), 'utf8'))

/** Where each bad file is bad: a file that fails for another reason proves nothing. */
const PLACE_OF: Record<string, string> = {
  'not-an-object': 'the template',
  'unknown-member': 'the template',
  'key-types-missing': 'keyTypes',
  'key-types-empty': 'keyTypes',
  'key-types-not-a-list': 'keyTypes',
  'key-type-missing': 'keyTypes[0].PublicKeyType',
  'key-type-unknown': 'keyTypes[0].PublicKeyType',
  'key-unknown-member': 'keyTypes[0]',
  'rsa-without-length': 'keyTypes[0].PublicKeyLength',
  'rsa-without-signature': 'keyTypes[0].SignatureType',
  'rsa-unknown-signature': 'keyTypes[0].SignatureType',
  'rsa-ec-signature': 'keyTypes[0].SignatureType',
  'rsa-2047': 'keyTypes[0].PublicKeyLength',
  'rsa-zero': 'keyTypes[0].PublicKeyLength',
  'rsa-negative': 'keyTypes[0].PublicKeyLength',
  'rsa-16384': 'keyTypes[0].PublicKeyLength',
  'rsa-length-text': 'keyTypes[0].PublicKeyLength',
  'ec-without-curve': 'keyTypes[0].namedCurve',
  'ec-without-signature': 'keyTypes[0].SignatureType',
  'ec-unknown-curve': 'keyTypes[0].namedCurve',
  'ec-unknown-signature': 'keyTypes[0].SignatureType',
  'ec-curve-and-hash-differ': 'keyTypes[0].SignatureType',
  'subject-empty': 'subject',
  'subject-unknown-field': 'subject',
  'subject-empty-literal': 'subject.organization',
  'subject-long-literal': 'subject.organization',
  'subject-not-text': 'subject.organization',
  'subject-control-character': 'subject.locality',
  'subject-country-name': 'subject.country',
  'subject-email-not-one': 'subject.emailAddress',
  'subject-common-name-not-dns': 'subject.commonName',
  'extensions-missing': 'extensions',
  'extensions-unknown-member': 'extensions',
  'san-missing': 'extensions.subjectAltName',
  'san-empty': 'extensions.subjectAltName',
  'san-ip': 'extensions.subjectAltName',
  'dns-empty-list': 'extensions.subjectAltName.DNS',
  'dns-empty-name': 'extensions.subjectAltName.DNS[0]',
  'dns-three-stars': 'extensions.subjectAltName.DNS[0]',
  'dns-star-inside': 'extensions.subjectAltName.DNS[0]',
  'dns-star-not-first': 'extensions.subjectAltName.DNS[0]',
  'dns-space': 'extensions.subjectAltName.DNS[0]',
  'dns-not-ascii': 'extensions.subjectAltName.DNS[0]',
  'dns-ipv4': 'extensions.subjectAltName.DNS[0]',
  'dns-label-64': 'extensions.subjectAltName.DNS[0]',
  'email-empty-list': 'extensions.subjectAltName.Email',
  'email-mandatory-wildcard': 'extensions.subjectAltName.Email[0]',
  'email-optional-wildcard': 'extensions.subjectAltName.Email[0]',
  'email-without-domain': 'extensions.subjectAltName.Email[0]',
  'uri-empty-list': 'extensions.subjectAltName.URI',
  'uri-mandatory-wildcard': 'extensions.subjectAltName.URI[0]',
  'uri-relative': 'extensions.subjectAltName.URI[0]',
  'key-usage-empty': 'extensions.keyUsage',
  'key-usage-text': 'extensions.keyUsage',
  'key-usage-unknown': 'extensions.keyUsage[1]',
  'extended-key-usage-empty': 'extensions.extendedKeyUsage',
  'extended-key-usage-unknown': 'extensions.extendedKeyUsage[0]',
  'oid-leading-zeros': 'extensions.extendedKeyUsage[0]',
  'oid-leading-zero': 'extensions.extendedKeyUsage[0]',
  'oid-first-arc': 'extensions.extendedKeyUsage[0]',
  'oid-no-dot': 'extensions.extendedKeyUsage[0]',
  'oid-text-after': 'extensions.extendedKeyUsage[0]',
}

function problemsOf(template: unknown): unknown {
  try {
    parseCsrTemplate(template)
  } catch (error) {
    if (error instanceof Fault && error.code === 'CONFIG_INVALID') return error.facts['problems']
    throw error
  }
  return []
}

describe('CSR templates (RFC 9115 §4): the file name is the verdict', () => {
  it.each(files.filter((file) => file.startsWith('good-')))('%s', (file) => {
    expect(problemsOf(read(file))).toEqual([])
  })

  it.each(files.filter((file) => file.startsWith('bad-')))('%s', (file) => {
    const place = PLACE_OF[file.slice('bad-'.length, -'.json'.length)]!
    const [path, words] = [place.replaceAll(/[.[\]]/g, String.raw`\$&`), '(must|is missing)']
    expect(problemsOf(read(file))).toEqual([expect.stringMatching(new RegExp(`^${path} ${words}`))])
  })

  it('has a file for every verdict', () => {
    expect(files.filter((file) => file.startsWith('bad-'))).toHaveLength(Object.keys(PLACE_OF).length)
    expect(files.filter((file) => !/^(good|bad)-[a-z\d-]+\.json$/.test(file))).toEqual([])
  })
})

describe('parseCsrTemplate', () => {
  it('keeps a template as it is, names in the form they are compared in', () => {
    expect(parseCsrTemplate(read('good-full.json'))).toEqual(read('good-full.json'))
    expect(parseCsrTemplate(read('good-dns-trailing-dot.json')).extensions.subjectAltName.DNS).toEqual([
      'cpe7.isp.example',
    ])
  })

  it('lists every problem at once, and none that only follows from another', () => {
    const template = {
      keyTypes: [{ PublicKeyType: 'dsa' }, { PublicKeyType: 'rsaEncryption', PublicKeyLength: 1024, x: 1 }],
      subject: { organization: '', commonName: 'no name' },
      extensions: { subjectAltName: [], keyUsage: ['x'] },
      extra: true,
    }
    expect(problemsOf(template)).toEqual([
      'the template must not hold "extra"',
      'keyTypes[0].PublicKeyType must be one of id-ecPublicKey, rsaEncryption',
      'keyTypes[1].SignatureType is missing',
      'keyTypes[1] must not hold "x"',
      'keyTypes[1].PublicKeyLength must be an integer from 2048 to 8192',
      expect.stringContaining('extensions.keyUsage[0] must be one of'),
      'subject.organization must have 1 to 64 characters, or be "*" or "**"',
      'subject.commonName must be a DNS name of up to 64 characters, or be "*" or "**"',
      'extensions.subjectAltName must be an object',
    ])
  })

  it.each([undefined, null, 7, 'x', [], {}, { extensions: null }, { keyTypes: [null, []] }])('refuses %j', (json) => {
    expect(problemsOf(json)).not.toEqual([])
  })

  it('looks at own members only', () => {
    expect(problemsOf(JSON.parse('{"__proto__": {}, "keyTypes": [], "extensions": {}}'))).toContain(
      'the template must not hold "__proto__"',
    )
  })

  it('bounds lists and texts', () => {
    const template = (DNS: string[]): unknown => ({ keyTypes: [], extensions: { subjectAltName: { DNS } } })
    expect(problemsOf(template(Array(101).fill('**')))).toContain(
      'extensions.subjectAltName.DNS must be a list of 1 to 100 entries',
    )
    expect(problemsOf(template(['a.'.repeat(1000)]))).toContain(
      'extensions.subjectAltName.DNS[0] must be a DNS name, "*" or "**"',
    )
  })
})
