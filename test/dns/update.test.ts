import { describe, expect, it } from 'vitest'
import { CLASS, OPCODE, RCODE, TYPE } from '../../src/dns/codes.ts'
import { parseMessage } from '../../src/dns/message.ts'
import { stringsData } from '../../src/dns/rdata.ts'
import { signTsigResponse, tsigError } from '../../src/dns/tsig.ts'
import { buildUpdate, signTsig, type TsigKey, verifyTsig } from '../../src/dns/update.ts'
import { golden, hexOf } from './golden.ts'

const key: TsigKey = {
  keyName: 'operator-key',
  algorithm: 'hmac-sha256',
  secret: Uint8Array.from({ length: 32 }, (_, index) => index),
}
const timeS = 1_800_000_000
const owner = '_acme-challenge.example.net'
const update = buildUpdate({
  id: 1234,
  zone: 'example.net',
  deletes: [{ name: owner, type: TYPE.TXT }],
  adds: [{ name: owner, type: TYPE.TXT, ttl: 30, rdata: stringsData('abc') }],
})

describe('buildUpdate (RFC 2136)', () => {
  it('replaces an RRset, byte for byte', () => {
    expect(hexOf(update)).toBe(hexOf(golden('update')))
  })

  it('deletes one record, an RRset, or everything at a name', () => {
    const message = parseMessage(
      buildUpdate({
        id: 1,
        zone: 'example.net',
        adds: [],
        deletes: [
          { name: owner, type: TYPE.TXT, ttl: 30, rdata: stringsData('abc') },
          { name: owner, type: TYPE.A },
          { name: owner },
        ],
      }),
    )!
    expect(message).toMatchObject({
      opcode: OPCODE.UPDATE,
      questions: [{ name: 'example.net', type: TYPE.SOA, class: 1 }],
    })
    expect(message.authorities.map((record) => [record.type, record.class, record.ttl])).toEqual([
      [TYPE.TXT, CLASS.NONE, 0],
      [TYPE.A, CLASS.ANY, 0],
      [TYPE.ANY, CLASS.ANY, 0],
    ])
  })
})

describe('TSIG (RFC 8945)', () => {
  it('signs as computed by hand', () => {
    const signed = signTsig(update, { ...key, timeS, fudgeS: 300 })
    expect(hexOf(signed.wire)).toBe(hexOf(golden('update-signed')))
    expect(hexOf(signed.mac)).toBe('30ada0c972cf85eadbf723992411fe68cf1595d6808de9d580598bd59bf1a2c0')
  })

  it.each([
    ['hmac-sha384', 'cf69dc59e22682954920cafc37d35dd2ecc838853c12ea78357fe01b2156910fc68ca48b2d823cc3d5f81e362b72ebda'],
    [
      'hmac-sha512',
      'e9f22e82258dfb9d3598e22961ab5b5b31ed5e792cd5fcacf7979aa0974982239c5fb925a6dfa660274ace9cfcd8c7991b8f65894e6f9a41fb03ef8f1ab7bbe3',
    ],
  ] as const)('signs with %s', (algorithm, mac) => {
    expect(hexOf(signTsig(update, { ...key, algorithm, timeS, fudgeS: 300 }).mac)).toBe(mac)
  })

  it('writes the key name as given and signs it in lower case', () => {
    const upper = signTsig(update, { ...key, keyName: 'Operator-KEY', timeS, fudgeS: 300 })
    expect(hexOf(upper.mac)).toBe(hexOf(signTsig(update, { ...key, timeS, fudgeS: 300 }).mac))
  })

  const { mac } = signTsig(update, { ...key, timeS, fudgeS: 300 })
  const response = golden('update-response-signed')

  it('accepts the response computed by hand, within its fudge', () => {
    expect(verifyTsig(response, mac, key, timeS)).toBe(true)
    expect(verifyTsig(response, mac, { ...key, keyName: 'OPERATOR-KEY.' }, timeS + 302)).toBe(true)
  })

  it('restores the original id before checking', () => {
    expect(verifyTsig(response.with(0, 0x77), mac, key, timeS)).toBe(true)
  })

  it.each<[string, () => boolean]>([
    ['too late', () => verifyTsig(response, mac, key, timeS + 303)],
    ['too early', () => verifyTsig(response, mac, key, timeS - 299)],
    ['over another request', () => verifyTsig(response, mac.with(0, 0), key, timeS)],
    ['with another secret', () => verifyTsig(response, mac, { ...key, secret: new Uint8Array(32) }, timeS)],
    ['with another key name', () => verifyTsig(response, mac, { ...key, keyName: 'other' }, timeS)],
    ['with another algorithm', () => verifyTsig(response, mac, { ...key, algorithm: 'hmac-sha512' }, timeS)],
    ['not at all', () => verifyTsig(golden('update'), mac, key, timeS)],
    ['and cut off', () => verifyTsig(response.subarray(0, -1), mac, key, timeS)],
    ['and something follows', () => verifyTsig(Buffer.concat([response, Buffer.alloc(1)]), mac, key, timeS)],
    [
      'with an error',
      () =>
        verifyTsig(
          signTsigResponse(update, mac, { ...key, timeS, fudgeS: 9, error: RCODE.BADTIME }).wire,
          mac,
          key,
          timeS,
        ),
    ],
  ])('refuses a response signed %s', (_, verify) => {
    expect(verify()).toBe(false)
  })

  it('refuses every response with one octet changed, except the id on top', () => {
    for (let at = 2; at < response.length; at++) {
      const changed = response.with(at, response[at]! ^ 0x01)
      expect(verifyTsig(changed, mac, key, timeS), `octet ${at}`).toBe(false)
    }
  })

  it('reports the error of a server that refuses the key', () => {
    expect(tsigError(signTsigResponse(update, mac, { ...key, timeS, fudgeS: 9, error: RCODE.BADKEY }).wire)).toBe(17)
    expect(tsigError(update)).toBeUndefined()
  })
})
