import type { TlsMaterial } from '../../src/net/tls.ts'
import { toPem } from '../../src/pki/certificate.ts'
import { generateKey, type KeyType, spkiOf } from '../../src/pki/key.ts'
import { createIntermediate, createRoot, signLeaf } from '../../src/pki/sign.ts'

const DAY_MS = 86_400_000

export interface LeafWish {
  readonly dnsNames?: readonly string[]
  readonly ipAddresses?: readonly string[]
  readonly notBeforeMs?: number
  readonly notAfterMs?: number
  readonly keyType?: KeyType
  /** Certifies this key, of which only the public half is known. */
  readonly spki?: Uint8Array
}

/** A root and an intermediate that are good now, for servers on loopback. */
export class TestAuthority {
  readonly rootDer: Uint8Array
  readonly #intermediateDer: Uint8Array
  readonly #keyPem: string
  readonly #nowMs: number

  private constructor(rootDer: Uint8Array, intermediateDer: Uint8Array, keyPem: string, nowMs: number) {
    this.rootDer = rootDer
    this.#intermediateDer = intermediateDer
    this.#keyPem = keyPem
    this.#nowMs = nowMs
  }

  static async create(nowMs = Date.now()): Promise<TestAuthority> {
    const [rootKey, keyPem] = [await generateKey('p256'), await generateKey('p256')]
    const dates = { notBeforeMs: nowMs - 4000 * DAY_MS, notAfterMs: nowMs + 4000 * DAY_MS }
    const root = await createRoot({ commonName: 'Test Root', keyPem: rootKey, ...dates })
    const issuer = { certificate: root, keyPem: rootKey }
    const intermediate = await createIntermediate({ commonName: 'Test CA', issuer, spki: spkiOf(keyPem), ...dates })
    return new TestAuthority(root, intermediate, keyPem, nowMs)
  }

  get rootPem(): string {
    return toPem([this.rootDer])
  }

  /** The chain of a new leaf in DER, and its key. */
  async leaf(wish: LeafWish = {}): Promise<{ readonly keyPem: string; readonly chain: readonly Uint8Array[] }> {
    const keyPem = wish.spki ? '' : await generateKey(wish.keyType ?? 'p256')
    const leaf = await signLeaf({
      issuer: { certificate: this.#intermediateDer, keyPem: this.#keyPem },
      spki: wish.spki ?? spkiOf(keyPem),
      dnsNames: wish.dnsNames ?? ['dns.test'],
      ipAddresses: wish.ipAddresses ?? [],
      notBeforeMs: wish.notBeforeMs ?? this.#nowMs - DAY_MS,
      notAfterMs: wish.notAfterMs ?? this.#nowMs + DAY_MS,
    })
    return { keyPem, chain: [leaf, this.#intermediateDer] }
  }

  async material(wish: LeafWish = {}): Promise<TlsMaterial> {
    const { keyPem, chain } = await this.leaf(wish)
    return { keyPem, chainPem: toPem(chain) }
  }
}
