import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { RCODE, TYPE } from '../../../../src/dns/codes.ts'
import { HOLD_DOWN_MS } from '../../../../src/dns/dnssec/anchor-tracking.ts'
import { TrustAnchors } from '../../../../src/router/resolve/validation/anchors.ts'
import { recordingLog } from '../../../support/log.ts'
import { settle } from '../../../support/manual-clock.ts'
import { makeKey, TEST_NOW_S, type TestKey, TestZone, withFlags } from '../../../support/signed-zone.ts'
import { sceneOf } from './world.ts'

const YEAR_S = 366 * 86_400
const DAY_MS = 86_400_000

let file: string
beforeEach(async () => {
  const directory = await mkdtemp(join(tmpdir(), 'hearth-anchors-'))
  onTestFinished(() => rm(directory, { recursive: true }))
  file = join(directory, 'trust-anchors.json')
})

function rootWith(...keys: readonly TestKey[]): TestZone {
  const root = new TestZone('.', { signed: false, expirationS: TEST_NOW_S + YEAR_S })
  root.add('www', TYPE.A, { address: '192.0.2.1' })
  for (const key of keys) root.addKey(key)
  return root
}

/** The zone with other keys, in place. */
function rekey(root: TestZone, ...keys: readonly TestKey[]): void {
  root.remove('.', TYPE.DNSKEY)
  root.keys.length = 0
  for (const key of keys) root.addKey(key)
}

describe('roll-over of the key of the root (RFC 5011)', () => {
  it('a new key is believed after 30 days, the old one may go, and a new start remembers', async () => {
    const [old, young] = [makeKey(15), makeKey(15)]
    const root = rootWith(old)
    const line = root.anchorLine()
    const { ask, clock, anchors } = await sceneOf([root], { anchors: [line], file })
    expect(await ask('www')).toMatchObject({ ad: true })
    rekey(root, old, young)
    await clock.advance(DAY_MS)
    expect(await ask('www')).toMatchObject({ ad: true })
    await clock.advance(HOLD_DOWN_MS)
    expect(await ask('www')).toMatchObject({ ad: true })
    expect(anchors.status().map(({ state }) => state)).toEqual(['valid', 'valid'])
    await anchors.saved()

    rekey(root, young)
    const later = await sceneOf([root], { anchors: [line], file })
    expect(await later.ask('www')).toMatchObject({ ad: true })
    const forgetful = await sceneOf([root], { anchors: [line] })
    expect((await forgetful.ask('www')).rcode).toBe(RCODE.SERVFAIL)
  })

  it('a key that signs its own revocation is not believed any more', async () => {
    const [old, young] = [makeKey(13), makeKey(13)]
    const root = rootWith(old, young)
    const line = root.anchorLine()
    const { ask, clock, anchors } = await sceneOf([root], { anchors: [line], file })
    await ask('www')
    await clock.advance(HOLD_DOWN_MS + DAY_MS)
    await ask('www')
    rekey(root, withFlags(old, 0x0181), young)
    await clock.advance(DAY_MS)
    expect(await ask('www')).toMatchObject({ ad: true })
    expect(anchors.status().map(({ state }) => state)).toEqual(['revoked', 'valid'])
    await anchors.saved()
    // Whoever has the old key now gains nothing.
    rekey(root, old)
    const later = await sceneOf([root], { anchors: [line], file })
    expect((await later.ask('www')).rcode).toBe(RCODE.SERVFAIL)
  })

  it('a revocation that is not signed by the key itself changes nothing', async () => {
    const [old, other] = [makeKey(13), makeKey(13)]
    const root = rootWith(old)
    const { ask, clock, anchors } = await sceneOf([root])
    await ask('www')
    root.add('.', TYPE.DNSKEY, withFlags(old, 0x0181).dnskey.rdata)
    root.add('.', TYPE.DNSKEY, other.dnskey.rdata)
    await clock.advance(DAY_MS)
    expect(await ask('www')).toMatchObject({ ad: true })
    expect(anchors.status().map(({ state }) => state)).toEqual(['valid', 'pending'])
  })

  it('is watched without anyone asking', async () => {
    const root = rootWith(makeKey(15))
    const { clock, world, validation } = await sceneOf([root])
    const stop = new AbortController()
    const running = validation.run(stop.signal)
    await settle()
    expect(world.asked).toEqual(['. 48'])
    await clock.advance(DAY_MS / 2)
    expect(world.asked).toEqual(['. 48', '. 48'])
    world.change = (sections) => Object.assign(sections, { rcode: RCODE.SERVFAIL })
    await clock.advance(DAY_MS / 2 + 1)
    await clock.advance(3_600_000)
    expect(world.asked).toHaveLength(4)
    stop.abort()
    await running
  })
})

describe('the file', () => {
  it('is written only when a key changes its state', async () => {
    const { ask, clock, anchors } = await sceneOf([rootWith(makeKey(15))], { file })
    await ask('www')
    await anchors.saved()
    await rm(file)
    await clock.advance(DAY_MS)
    await ask('www')
    await anchors.saved()
    await expect(readFile(file)).rejects.toThrow('ENOENT')
  })

  it.each([
    ['no JSON', '{'],
    ['a list', '[]'],
    ['no zone', '{"a..b": []}'],
    ['a key without a state', '{".": [{"key": "0101030f00", "since": "2026-01-01T00:00:00.000Z"}]}'],
    ['a key that is none', '{".": [{"key": "xx", "state": "valid", "since": "2026-01-01T00:00:00.000Z"}]}'],
    ['a date that is none', '{".": [{"key": "0101030f00", "state": "valid", "since": "soon"}]}'],
  ])('that is damaged (%s) is moved aside and told; the settings hold', async (_, text) => {
    await writeFile(file, text)
    const { log, lines } = recordingLog()
    const anchors = await TrustAnchors.open({ anchors: [], negative: [], file, log })
    expect(anchors.status()).toEqual([])
    expect(lines[0]).toMatchObject({ level: 'error', file: `${file}.damaged` })
    expect(await readFile(`${file}.damaged`, 'utf8')).toBe(text)
  })

  it('that cannot be written is told, and validation goes on', async () => {
    const { ask } = await sceneOf([rootWith(makeKey(15))], { file: '/proc/hearth/trust-anchors.json' })
    expect(await ask('www')).toMatchObject({ ad: true })
  })

  it('leaves nothing else behind', async () => {
    const { ask, anchors } = await sceneOf([rootWith(makeKey(15))], { file })
    await ask('www')
    await anchors.saved()
    expect(await readdir(join(file, '..'))).toEqual(['trust-anchors.json'])
  })
})
