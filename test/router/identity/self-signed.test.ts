import { X509Certificate } from 'node:crypto'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { selfSigned } from '../../../src/router/identity/self-signed.ts'
import { ManualClock } from '../../support/manual-clock.ts'

const DAY_MS = 86_400_000

it('the stand-in names us, vouches for itself, and keeps its key over restarts', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'hearth-self-'))
  onTestFinished(() => rm(directory, { recursive: true }))
  const clock = new ManualClock()
  const first = await selfSigned(directory, 'dns.test', clock)
  const certificate = new X509Certificate(first.chainPem)
  expect(certificate.subjectAltName).toBe('DNS:dns.test')
  expect(certificate.verify(certificate.publicKey)).toBe(true)
  expect((await stat(join(directory, 'self-signed.key'))).mode & 0o777).toBe(0o600)
  const [fromMs, toMs] = [Date.parse(certificate.validFrom), Date.parse(certificate.validTo)]
  expect(fromMs).toBeLessThan(clock.nowMs())
  expect(toMs - fromMs).toBeLessThan(825 * DAY_MS)
  clock.step(400 * DAY_MS)
  const second = await selfSigned(directory, 'dns.test', clock)
  expect(second.keyPem).toBe(first.keyPem)
  expect(Date.parse(new X509Certificate(second.chainPem).validTo)).toBeGreaterThan(toMs)
})
