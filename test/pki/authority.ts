import { bitString, der, objectId, sequence, setOf, smallInteger } from '../../src/pki/der-writer.ts'
import { buildExtensions, type Extension, subjectAltName } from '../../src/pki/extensions.ts'
import { generateKey, openKey, spkiOf } from '../../src/pki/key.ts'
import { buildName, type DistinguishedName } from '../../src/pki/name.ts'
import { EXTENSION_REQUEST } from '../../src/pki/object-ids.ts'
import { createIntermediate, createRoot, signLeaf } from '../../src/pki/sign.ts'
import { type SignatureName, signBytes } from '../../src/pki/signature.ts'

export const DAY_MS = 86_400_000
export const NOW_MS = Date.UTC(2026, 10, 24)
export const WHILE_NOW = { notBeforeMs: NOW_MS - DAY_MS, notAfterMs: NOW_MS + DAY_MS }

type Overrides<F extends (options: never) => unknown> = Partial<Parameters<F>[0]>

/** A root, an intermediate and their keys; makes leaves, each with what a test wants different. */
export class Authority {
  readonly rootKey: string
  readonly key: string
  readonly leafKey: string
  root!: Uint8Array
  intermediate!: Uint8Array

  private constructor(rootKey: string, key: string, leafKey: string) {
    this.rootKey = rootKey
    this.key = key
    this.leafKey = leafKey
  }

  static async create(): Promise<Authority> {
    const authority = new Authority(await generateKey('p256'), await generateKey('p256'), await generateKey('p256'))
    authority.root = await authority.makeRoot()
    authority.intermediate = await authority.makeIntermediate()
    return authority
  }

  makeRoot(changed: Overrides<typeof createRoot> = {}): Promise<Uint8Array> {
    return createRoot({ commonName: 'Test Root', keyPem: this.rootKey, ...WHILE_NOW, ...changed })
  }

  makeIntermediate(changed: Overrides<typeof createIntermediate> = {}): Promise<Uint8Array> {
    const issuer = { certificate: this.root, keyPem: this.rootKey }
    const spki = spkiOf(this.key)
    return createIntermediate({ commonName: 'Test Intermediate', issuer, spki, ...WHILE_NOW, ...changed })
  }

  makeLeaf(changed: Overrides<typeof signLeaf> = {}): Promise<Uint8Array> {
    const issuer = { certificate: this.intermediate, keyPem: this.key }
    return signLeaf({ issuer, spki: spkiOf(this.leafKey), dnsNames: ['cpe7.isp.example'], ...WHILE_NOW, ...changed })
  }
}

export interface CraftedCsr {
  readonly keyPem: string
  readonly dnsNames?: readonly string[]
  readonly subject?: DistinguishedName
  readonly extensions?: readonly Extension[]
  /** Instead of one extension request. */
  readonly attributes?: readonly Uint8Array[]
  readonly signature?: SignatureName
}

/** A request with whatever createCsr would never write. */
export async function craftCsr(crafted: CraftedCsr): Promise<Uint8Array> {
  const { dnsNames = ['cpe7.isp.example'], subject = [] } = crafted
  const key = openKey(crafted.keyPem)
  const extensions = [subjectAltName({ dnsNames }, false), ...(crafted.extensions ?? [])]
  const attributes = crafted.attributes ?? [extensionRequest(extensions)]
  const tbs = sequence(smallInteger(0), buildName(subject), key.spki, der(0xa0, ...attributes))
  const { algorithm, signature } = await signBytes(key, tbs, crafted.signature)
  return sequence(tbs, algorithm, bitString(signature))
}

export const extensionRequest = (...lists: readonly (readonly Extension[])[]): Uint8Array =>
  sequence(objectId(EXTENSION_REQUEST), setOf(lists.map(buildExtensions)))
