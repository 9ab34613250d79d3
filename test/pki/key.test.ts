import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import { beforeAll, describe, expect, it } from 'vitest'
import { bitString, integer, nullValue, objectId, sequence, smallInteger } from '../../src/pki/der-writer.ts'
import { describePublicKey, generateKey, type KeyType, keyTypeOf, sameKey, spkiOf, spkiPin } from '../../src/pki/key.ts'
import { selfSign } from '../../src/pki/sign.ts'

const TYPES: KeyType[] = ['p256', 'p384', 'ed25519', 'rsa2048']

describe('keys', () => {
  const keys = new Map<KeyType, string>()
  beforeAll(async () => {
    for (const type of TYPES) keys.set(type, await generateKey(type))
  })

  it.each(TYPES)('makes a %s key and knows it again', (type) => {
    expect(keys.get(type)).toMatch(/^-----BEGIN PRIVATE KEY-----\n/)
    expect(keyTypeOf(keys.get(type)!)).toBe(type)
  })

  it('describes public keys in the words of RFC 9115', () => {
    const descriptions = TYPES.map((type) => describePublicKey(spkiOf(keys.get(type)!)))
    expect(descriptions).toEqual([
      { kind: 'ec', curve: 'secp256r1' },
      { kind: 'ec', curve: 'secp384r1' },
      { kind: 'other', oid: '1.3.101.112' },
      { kind: 'rsa', bits: 2048 },
    ])
  })

  it.each([2047, 2048, 2049, 3072])('counts the %i bits of an RSA modulus', (bits) => {
    const modulus = Buffer.from((1n << BigInt(bits - 1)).toString(16).padStart(Math.ceil(bits / 8) * 2, '0'), 'hex')
    const key = sequence(integer(modulus), smallInteger(3))
    const spki = sequence(sequence(objectId('1.2.840.113549.1.1.1'), nullValue()), bitString(key))
    expect(describePublicKey(spki)).toEqual({ kind: 'rsa', bits })
  })

  it('does not take a key of another kind for one of ours', () => {
    const pem = (namedCurve: string): string =>
      generateKeyPairSync('ec', {
        namedCurve,
        publicKeyEncoding: { type: 'spki', format: 'pem' },
        privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
      }).privateKey
    expect(keyTypeOf(pem('secp256k1'))).toBeUndefined()
    expect(describePublicKey(spkiOf(pem('secp521r1')))).toEqual({ kind: 'ec', curve: 'secp521r1' })
    expect(describePublicKey(spkiOf(pem('secp256k1')))).toEqual({ kind: 'ec', curve: '1.3.132.0.10' })
  })

  it('derives the public key that a certificate carries', async () => {
    const keyPem = keys.get('p256')!
    const der = await selfSign({ keyPem, dnsNames: ['a.example'], notBeforeMs: 0, notAfterMs: 1000 })
    const certified = new X509Certificate(der).publicKey.export({ type: 'spki', format: 'der' })
    expect(sameKey(spkiOf(keyPem), certified)).toBe(true)
    expect(sameKey(spkiOf(keyPem), spkiOf(keys.get('p384')!))).toBe(false)
  })

  it('pins the SHA-256 of the public key', () => {
    // SHA-256 of nothing, in base64.
    expect(spkiPin(new Uint8Array())).toBe('47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=')
  })

  it('says that a key file is damaged, without showing it', () => {
    const pem = keys.get('p256')!.replace('MI', 'xx')
    expect(() => spkiOf(pem)).toThrow(expect.objectContaining({ code: 'STATE_DAMAGED' }))
    expect(() => spkiOf(pem)).not.toThrow(pem.slice(30, 60))
  })
})
