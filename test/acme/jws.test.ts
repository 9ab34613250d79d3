import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { accountKeyOf, importAccountKey, thumbprint } from '../../src/acme/jws.ts'

const jwkOf = (key: KeyObject) => ({ ...key.export({ format: 'jwk' }) })

describe('RFC 7638 thumbprint', () => {
  it('keeps the leading zero octet of x (RFC 8555 erratum 7565)', async () => {
    const jwk = {
      crv: 'P-256',
      kty: 'EC',
      x: 'AAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE',
      y: 'AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI',
    }
    expect(await thumbprint(jwk)).toBe('T68iouwcxjnFYTzBJkJ7HgSGhMCR3hjOMrmC55BRRYs')
  })

  it('does not depend on the order or on further members', async () => {
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
    const { kty, crv, x, y } = jwkOf(publicKey)
    const shuffled = { y, kid: 'mine', x, use: 'sig', crv, kty }
    expect((await importAccountKey(shuffled)).thumbprint).toBe(await thumbprint({ kty: kty!, crv: crv!, x: x!, y: y! }))
  })
})

describe('RFC 8555 §6.2 account keys', () => {
  it.each(['prime256v1', 'secp384r1', 'secp521r1'])('takes an EC key on %s', async (namedCurve) => {
    const { publicKey } = generateKeyPairSync('ec', { namedCurve })
    expect((await importAccountKey(jwkOf(publicKey))).jwk['kty']).toBe('EC')
  })

  it('takes RSA with 2048 bits and refuses 1024', async () => {
    const good = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey
    const weak = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey
    expect((await importAccountKey(jwkOf(good))).jwk['kty']).toBe('RSA')
    await expect(importAccountKey(jwkOf(weak))).rejects.toMatchObject({ type: 'badPublicKey', status: 400 })
  })

  it('refuses a point that is not on the curve', async () => {
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
    const x = Buffer.alloc(32, 1).toString('base64url')
    await expect(importAccountKey({ ...jwkOf(publicKey), x })).rejects.toMatchObject({ type: 'badPublicKey' })
  })

  it('refuses a second spelling of a key, which would be a second account', async () => {
    for (let tries = 0; tries < 5000; tries++) {
      const jwk = jwkOf(generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).publicKey)
      const x = Buffer.from(jwk.x!, 'base64url')
      if (x[0] !== 0) continue
      await expect(importAccountKey(jwk)).resolves.toBeDefined()
      const short = { ...jwk, x: x.subarray(1).toString('base64url') }
      await expect(importAccountKey(short)).rejects.toMatchObject({ type: 'badPublicKey' })
      return
    }
    expect.fail('no key with a leading zero octet came up')
  })

  it('refuses a private JWK, a symmetric one, and things that are none', async () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
    for (const jwk of [
      jwkOf(privateKey),
      { kty: 'oct', k: 'AAAA' },
      {},
      [],
      null,
      'key',
      { kty: 'EC', crv: 'P-256' },
    ]) {
      await expect(importAccountKey(jwk)).rejects.toMatchObject({ type: 'badPublicKey' })
    }
  })

  it('finds no account key in kinds it cannot verify', async () => {
    expect(await accountKeyOf(generateKeyPairSync('ed25519').publicKey)).toBeUndefined()
    expect(await accountKeyOf(generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey)).toBeUndefined()
  })
})
