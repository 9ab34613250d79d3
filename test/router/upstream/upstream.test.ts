import { beforeAll, expect, it } from 'vitest'
import { parseCertificate, toPem } from '../../../src/pki/certificate.ts'
import type { Outcome, Upstream } from '../../../src/router/resolve/resolver.ts'
import { pinOf } from '../../../src/router/upstream/pins.ts'
import { createUpstream } from '../../../src/router/upstream/upstream.ts'
import { parseUpstreamUrl } from '../../../src/router/upstream/url.ts'
import { rightAnswer } from '../../support/faulty-upstream.ts'
import { queryOf, queryWire, responseWire } from '../../support/query.ts'
import { streamServer, udpServer } from '../../support/sockets.ts'
import { TestAuthority } from '../../support/tls.ts'

const NEVER = new AbortController().signal
const DAY_MS = 86_400_000

let authority: TestAuthority
beforeAll(async () => {
  authority = await TestAuthority.create()
})

const ask = async (upstream: Upstream): Promise<Outcome> =>
  upstream.resolve(queryOf(queryWire('secret.example')), NEVER)
const bootstrapAt = (port: number): Upstream => createUpstream(parseUpstreamUrl(`udp://127.0.0.1:${port}`))

it('a name without addresses is looked up by the bootstrap resolvers, who learn nothing else', async () => {
  const server = await streamServer((wire, reply) => reply(rightAnswer(wire)), { material: await authority.material() })
  const plain = await udpServer((wire, reply) => reply(responseWire(wire, ['127.0.0.1'])))
  const address = parseUpstreamUrl(`tls://dns.test:${server.endpoint.port}`, [], 'may-be-looked-up')
  const upstream = createUpstream(address, {
    trust: [authority.rootPem],
    bootstrap: [bootstrapAt(plain.endpoint.port)],
  })
  for (let round = 0; round < 2; round++) expect(await ask(upstream)).toMatchObject({ kind: 'answer' })
  expect(plain.received.length).toBe(2) // A and AAAA
  expect(Buffer.concat(plain.received).includes('secret')).toBe(false)
})

it('a forged bootstrap answer denies service and no more', async () => {
  const other = await streamServer((wire, reply) => reply(rightAnswer(wire)), {
    material: await authority.material({ dnsNames: ['attacker.test'] }),
  })
  const plain = await udpServer((wire, reply) => reply(responseWire(wire, ['127.0.0.1'])))
  const address = parseUpstreamUrl(`tls://dns.test:${other.endpoint.port}`, [], 'may-be-looked-up')
  const options = { trust: [authority.rootPem], bootstrap: [bootstrapAt(plain.endpoint.port)] }
  await expect(ask(createUpstream(address, options))).rejects.toMatchObject({ code: 'UPSTREAM_UNTRUSTED' })
  expect(other.received).toEqual([])
})

it('UP-2: with a wrong clock and no DNS, a pinned upstream at its address answers', async () => {
  const { keyPem, chain } = await authority.leaf({
    notBeforeMs: Date.now() + 300 * DAY_MS,
    notAfterMs: Date.now() + 390 * DAY_MS,
  })
  const chainPem = toPem(chain)
  const server = await streamServer((wire, reply) => reply(rightAnswer(wire)), { material: { keyPem, chainPem } })
  const dns = await udpServer(() => {})
  const upstream = createUpstream(parseUpstreamUrl(`tls://127.0.0.1:${server.endpoint.port}#dns.test`), {
    trust: [authority.rootPem],
    pins: [pinOf(parseCertificate(chain[0]!).spki)],
    bootstrap: [bootstrapAt(dns.endpoint.port)],
    isClockTrusted: () => false,
  })
  expect(await ask(upstream)).toMatchObject({ kind: 'answer' })
  expect(dns.received).toEqual([])
})

it('pins decide alone where the URL has no name, and beside the name where it has one', async () => {
  const { keyPem, chain } = await authority.leaf({ dnsNames: ['dns.test'] })
  const chainPem = toPem(chain)
  const server = await streamServer((wire, reply) => reply(rightAnswer(wire)), { material: { keyPem, chainPem } })
  const pins = [pinOf(parseCertificate(chain[0]!).spki)]
  const at = (hash: string): Upstream =>
    createUpstream(parseUpstreamUrl(`tls://127.0.0.1:${server.endpoint.port}${hash}`), { pins })
  expect(await ask(at(''))).toMatchObject({ kind: 'answer' })
  // The root of the test is none of the system's.
  await expect(ask(at('#dns.test'))).rejects.toMatchObject({ code: 'UPSTREAM_UNTRUSTED' })
  await expect(ask(at('#127.0.0.1'))).rejects.toMatchObject({ code: 'UPSTREAM_UNTRUSTED' })
})
