import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { parseSettings } from '../../../src/core/settings.ts'
import { parseAnchor, ROOT_ANCHORS } from '../../../src/dns/dnssec/anchor.ts'
import { ROOT } from '../../../src/dns/dnssec/name.ts'
import { DNSSEC_SETTINGS, type DnssecConfig, dnssecConfigOf } from '../../../src/router/settings/dnssec.ts'
import { settingsFiles } from '../../../src/router/settings/values.ts'
import { makeKey } from '../../support/signed-zone.ts'

const DIGEST = 'ab'.repeat(32)

async function load(text: string, file = ''): Promise<DnssecConfig> {
  const directory = await mkdtemp(join(tmpdir(), 'hearth-dnssec-'))
  onTestFinished(() => rm(directory, { recursive: true }))
  await writeFile(join(directory, 'anchors.txt'), file)
  return dnssecConfigOf(parseSettings(DNSSEC_SETTINGS, text, 'file'), settingsFiles(directory))
}

describe('dnssec settings', () => {
  it('are off, with the two keys of the root', async () => {
    const { validate, anchors, negative } = await load('')
    expect([validate, negative, anchors.map(({ ds }) => ds.keyTag)]).toEqual([false, [], [20326, 38696]])
    expect(anchors.every(({ zone }) => zone === ROOT)).toBe(true)
  })

  it('keep the root beside a zone of their own, and give it up for another root', async () => {
    const own = await load(`{ validate: on, trust-anchors: ["corp. 3600 IN DS 1 13 2 ${DIGEST}"] }`)
    expect(own.anchors.map(({ ds }) => ds.keyTag)).toEqual([20326, 38696, 1])
    const root = await load(`{ trust-anchors: [". DS 1 13 2 ${DIGEST}"] }`)
    expect(root.anchors.map(({ ds }) => ds.keyTag)).toEqual([1])
  })

  it('take a file as programs print it', async () => {
    const key = Buffer.from(makeKey(15).dnskey.rdata.subarray(4)).toString('base64')
    const file = `; from keymgr\ncorp. DS 7 15 2 ${DIGEST.slice(0, 32)} ${DIGEST.slice(32)}\n\ncorp. 60 IN DNSKEY 257 3 15 ${key} ; KSK\n`
    const { anchors } = await load('{ trust-anchor-file: anchors.txt }', file)
    expect(anchors.slice(2).map(({ ds }) => [ds.algorithm, ds.digestType])).toEqual([
      [15, 2],
      [15, 2],
    ])
  })

  it('name the line that is wrong', async () => {
    await expect(load('{ trust-anchor-file: anchors.txt }', '\ncorp. A 192.0.2.1\n')).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(/anchors\.txt:2 is no trust anchor: it is neither DS nor DNSKEY/),
    })
    await expect(load('{ trust-anchor-file: anchors.txt }', '; none\n')).rejects.toThrow(/must hold 1 to 64 records/)
    await expect(load('{ trust-anchors: ["corp DS 1"] }')).rejects.toThrow(/trust-anchors\.0: .*three numbers/)
    await expect(load('{ negative-trust-anchors: ["a..b"] }')).rejects.toThrow(
      /negative-trust-anchors\.0: .*domain name/,
    )
  })
})

describe('an anchor', () => {
  it('of the root is as IANA publishes it', () => {
    expect(ROOT_ANCHORS.map(parseAnchor)).toMatchObject([
      { zone: ROOT, ds: { keyTag: 20326, algorithm: 8, digestType: 2 } },
      { zone: ROOT, ds: { keyTag: 38696, algorithm: 8, digestType: 2 } },
    ])
  })
  it.each([
    ['', 'name of a zone'],
    ['a..b DS 1 8 2 ab', 'name of a zone'],
    ['a MX 10 b', 'neither DS nor DNSKEY'],
    ['a DS x 8 2 ab', 'three numbers'],
    ['a DS 70000 8 2 ab', 'three numbers'],
    ['a DS 1 8 2 xy', 'not hexadecimal'],
    ['a DS 1 8 2', 'not hexadecimal'],
    ['a DS 1 8 2 abcd', 'wrong length'],
    ['a DS 1 5 2 abcd', 'algorithm 5 is not supported'],
    ['a DS 1 8 3 abcd', 'digest type 3 is not supported'],
    ['a DNSKEY 257 3 13 ****', 'not base64'],
    ['a DNSKEY 1 3 13 AAAA', 'no zone key'],
    ['a DNSKEY 257 3 7 AAAA', 'algorithm 7 is not supported'],
    ['a DNSKEY 257 3 13 AAAA', 'cannot be used'],
  ])('%j is none: %s', (line, problem) => {
    expect(parseAnchor(line)).toContain(problem)
  })
})
