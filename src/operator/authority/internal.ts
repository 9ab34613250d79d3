import type { Clock } from '../../core/clock.ts'
import { fromPem, toPem } from '../../pki/certificate.ts'
import { parseCsr } from '../../pki/csr.ts'
import { checkedKey, generateKey, spkiOf } from '../../pki/key.ts'
import { createIntermediate, createRoot, type LeafRequest, signLeaf } from '../../pki/sign.ts'
import type { Keep } from '../../store/kept.ts'
import type { Authority } from './authority.ts'

const DAY_MS = 86_400_000
/** Root and intermediate alike: without the root key nobody could make another intermediate. */
const LIFETIME_MS = 3650 * DAY_MS
/** Clients with a slow clock must still accept a CA that was made a moment ago. */
const BACKDATED_MS = 3_600_000

interface CaFile {
  readonly rootCertificate: string
  readonly intermediateKey: string
  readonly intermediateCertificate: string
}

/** An issuing CA of our own, made once and kept. */
export interface IssuingCa {
  readonly rootPem: string
  /** The chain, leaf first, root left out. */
  sign(leaf: Omit<LeafRequest, 'issuer'>): Promise<readonly Uint8Array[]>
}

/** The kind `internal`: for demos, tests and closed networks, because clients have to be given its root. */
export async function openInternalAuthority(id: string, keep: Keep, clock: Clock): Promise<Authority> {
  const ca = await openIssuingCa(id, keep, clock)
  return {
    id,
    rootPem: ca.rootPem,
    issue: ({ csr, names, notBeforeMs, notAfterMs }) =>
      ca.sign({ spki: parseCsr(csr).spki, dnsNames: names, notBeforeMs, notAfterMs }),
  }
}

/** Made at first use. The root key signs the intermediate and is then forgotten. */
export async function openIssuingCa(id: string, keep: Keep, clock: Clock): Promise<IssuingCa> {
  return keep(`authority-${id}.json`, readCa, async () => JSON.stringify(await makeCa(id, clock.nowMs())))
}

function readCa(text: string): IssuingCa {
  const ca = JSON.parse(text) as CaFile
  const intermediate = fromPem(ca.intermediateCertificate)[0]!
  const issuer = { certificate: intermediate, keyPem: checkedKey(ca.intermediateKey) }
  const rootPem = toPem(fromPem(ca.rootCertificate))
  return { rootPem, sign: async (leaf) => [await signLeaf({ ...leaf, issuer }), intermediate] }
}

async function makeCa(id: string, nowMs: number): Promise<CaFile> {
  const notBeforeMs = nowMs - BACKDATED_MS
  const rootKey = await generateKey('p256')
  const intermediateKey = await generateKey('p256')
  const root = await createRoot({
    commonName: `Hearth operator root (${id})`,
    keyPem: rootKey,
    notBeforeMs,
    notAfterMs: notBeforeMs + LIFETIME_MS,
  })
  const intermediate = await createIntermediate({
    issuer: { certificate: root, keyPem: rootKey },
    commonName: `Hearth operator CA (${id})`,
    spki: spkiOf(intermediateKey),
    notBeforeMs,
    notAfterMs: notBeforeMs + LIFETIME_MS,
  })
  return { rootCertificate: toPem([root]), intermediateKey, intermediateCertificate: toPem([intermediate]) }
}
