import { createServer } from 'node:net'
import { beforeAll, describe, expect, it } from 'vitest'
import { type Endpoint, listenOn } from '../../../src/net/bind.ts'
import { parseCertificate, toPem } from '../../../src/pki/certificate.ts'
import { generateKey } from '../../../src/pki/key.ts'
import { selfSign } from '../../../src/pki/sign.ts'
import type { Outcome } from '../../../src/router/resolve/resolver.ts'
import { fixedEndpoints } from '../../../src/router/upstream/endpoints.ts'
import { parsePin, pinOf, signedPath } from '../../../src/router/upstream/pins.ts'
import { streamUpstream } from '../../../src/router/upstream/stream.ts'
import type { Proof } from '../../../src/router/upstream/trust.ts'
import { rightAnswer } from '../../support/faulty-upstream.ts'
import { queryOf, queryWire } from '../../support/query.ts'
import { closeAfterTest, LOOPBACK, type StreamServer, streamServer } from '../../support/sockets.ts'
import { type LeafWish, TestAuthority } from '../../support/tls.ts'

const DAY_MS = 86_400_000

let authority: TestAuthority
let other: TestAuthority
beforeAll(async () => {
  authority = await TestAuthority.create()
  other = await TestAuthority.create()
})

interface Scene {
  readonly server: StreamServer
  /** Of the leaf, then of its CA. */
  readonly pins: readonly string[]
}

async function serverWith(wish: LeafWish = {}, extra: readonly Uint8Array[] = []): Promise<Scene> {
  const { keyPem, chain } = await authority.leaf(wish)
  const server = await streamServer((wire, reply) => reply(rightAnswer(wire)), {
    material: { keyPem, chainPem: toPem([...chain, ...extra]) },
  })
  return { server, pins: chain.map((der) => pinOf(parseCertificate(der).spki)) }
}

const ask = async (endpoint: Endpoint, proof: Partial<Proof>): Promise<Outcome> => {
  const tls = { name: 'dns.test', trust: [authority.rootPem], ...proof }
  const upstream = streamUpstream({ id: 'up', endpoints: fixedEndpoints([endpoint]), tls })
  return upstream.resolve(queryOf(queryWire('secret.example'), 'udp', performance.now() + 2_000))
}

/** UP-1: whatever is wrong, no question has left us. */
async function refused({ server }: Scene, proof: Partial<Proof>, words: string): Promise<void> {
  await expect(ask(server.endpoint, proof)).rejects.toMatchObject({
    code: 'UPSTREAM_UNTRUSTED',
    message: expect.stringContaining(words),
  })
  expect(server.received).toEqual([])
}

const WRONG_PIN = `sha256/${Buffer.alloc(32, 1).toString('base64')}`

describe('UP-1: pins beside a name', () => {
  it.each([0, 1])(
    'the key of certificate %i of the chain may be the pinned one (RFC 7858 section 4.2)',
    async (index) => {
      const { server, pins } = await serverWith()
      expect(await ask(server.endpoint, { pins: [WRONG_PIN, pins[index]!] })).toMatchObject({ kind: 'answer' })
    },
  )

  it('another key: UPSTREAM_UNTRUSTED names the keys seen, and nothing is sent', async () => {
    const scene = await serverWith()
    await refused(scene, { pins: [WRONG_PIN] }, `no pin fits its keys, ${scene.pins[0]}`)
  })

  it('a right pin replaces neither name nor root nor dates', async () => {
    const nowMs = Date.now()
    const scene = await serverWith()
    await refused(scene, { name: 'other.test', pins: scene.pins }, 'is for another name')
    await refused(scene, { trust: [other.rootPem], pins: scene.pins }, 'does not lead to a trusted root')
    const expired = await serverWith({ notBeforeMs: nowMs - 2 * DAY_MS, notAfterMs: nowMs - DAY_MS })
    await refused(expired, { pins: expired.pins }, 'has expired')
  })

  it("somebody else's certificate sent along proves nothing", async () => {
    const theirs = (await other.leaf()).chain[1]!
    const scene = await serverWith({}, [theirs])
    await refused(scene, { pins: [pinOf(parseCertificate(theirs).spki)] }, 'no pin fits')
  })
})

describe('UP-1: pins alone, for an upstream without a name', () => {
  const alone = { name: '127.0.0.1', pinsAlone: true } as const

  it('a self-signed certificate of any name and date will do, with the right key and no other', async () => {
    const keyPem = await generateKey('p256')
    const [notBeforeMs, notAfterMs] = [Date.now() - 9 * DAY_MS, Date.now() - DAY_MS]
    const der = await selfSign({ keyPem, dnsNames: ['router.test'], ipAddresses: [], notBeforeMs, notAfterMs })
    const server = await streamServer((wire, reply) => reply(rightAnswer(wire)), {
      material: { keyPem, chainPem: toPem([der]) },
    })
    const pin = pinOf(parseCertificate(der).spki)
    expect(await ask(server.endpoint, { ...alone, pins: [pin] })).toMatchObject({ kind: 'answer' })
    server.received.length = 0
    await refused({ server, pins: [] }, { ...alone, pins: [WRONG_PIN] }, `no pin fits its keys, ${pin}`)
  })

  it("somebody else's certificate sent along proves nothing", async () => {
    const theirs = (await other.leaf()).chain[1]!
    const scene = await serverWith({}, [theirs])
    await refused(scene, { ...alone, pins: [pinOf(parseCertificate(theirs).spki)] }, 'no pin fits')
  })
})

describe('UP-2: a wrong clock', () => {
  const nowMs = Date.now()
  const DATES = {
    'before the certificate was made': { notBeforeMs: nowMs + DAY_MS, notAfterMs: nowMs + 2 * DAY_MS },
    'after it has run out': { notBeforeMs: nowMs - 2 * DAY_MS, notAfterMs: nowMs - DAY_MS },
  }
  const isClockTrusted = (): boolean => false

  it.each(Object.entries(DATES))('%s: a pinned upstream at a pinned address answers', async (_, dates) => {
    const { server, pins } = await serverWith(dates)
    expect(await ask(server.endpoint, { pins, isClockTrusted })).toMatchObject({ kind: 'answer' })
  })

  it.each(Object.entries(DATES))('%s: not once the clock is trusted', async (_, dates) => {
    const scene = await serverWith(dates)
    await refused(scene, { pins: scene.pins, isClockTrusted: () => true }, 'its certificate')
  })

  it.each(Object.entries(DATES))('%s: not without a pin, and not with another', async (_, dates) => {
    const scene = await serverWith(dates)
    await refused(scene, { isClockTrusted }, 'its certificate')
    await refused(scene, { pins: [WRONG_PIN], isClockTrusted }, 'no pin fits')
  })

  it.each(Object.entries(DATES))('%s: the name and the root have to be right', async (_, dates) => {
    const scene = await serverWith(dates)
    await refused(scene, { pins: scene.pins, isClockTrusted, name: 'other.test' }, 'leaves out other.test')
    await refused(scene, { pins: scene.pins, isClockTrusted, trust: [other.rootPem] }, 'no trust anchor')
  })
})

describe('a server of another protocol', () => {
  it('that chooses none of ours is UPSTREAM_BROKEN (RFC 7301 section 3.2)', async () => {
    const { keyPem, chain } = await authority.leaf()
    const material = { keyPem, chainPem: toPem(chain) }
    const server = await streamServer(() => {}, { material, alpn: ['h2'] })
    await expect(ask(server.endpoint, {})).rejects.toMatchObject({ code: 'UPSTREAM_BROKEN' })
    expect(server.received).toEqual([])
  })

  it('without TLS is UPSTREAM_BROKEN, and reads nothing of the question', async () => {
    const read: Buffer[] = []
    const server = createServer((socket) => {
      socket.on('data', (chunk) => {
        read.push(chunk)
        socket.write('HTTP/1.1 400 Bad Request\r\n\r\n')
      })
    })
    const endpoint = await listenOn(server, LOOPBACK)
    closeAfterTest(server)
    await expect(ask(endpoint, {})).rejects.toMatchObject({ code: 'UPSTREAM_BROKEN' })
    expect(Buffer.concat(read).includes('secret')).toBe(false)
  })
})

describe('pins', () => {
  it.each([
    '',
    'sha256/',
    'sha1/AAAA',
    `sha256/${'A'.repeat(43)}`,
    `sha256/${'A'.repeat(44)}`,
    `sha256/${'A'.repeat(42)}B=`,
  ])('%j is none', (text) => expect(parsePin(text)).toBeUndefined())

  it('have one spelling', () => expect(parsePin(WRONG_PIN)).toBe(WRONG_PIN))

  it('are looked for in certificates that sign each other, in order', async () => {
    const { chain } = await authority.leaf()
    expect(signedPath([...chain, authority.rootDer]).length).toBe(3)
    expect(signedPath([chain[0]!, authority.rootDer]).length).toBe(1)
    expect(signedPath([]).length).toBe(0)
  })
})
