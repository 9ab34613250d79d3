import { type CsrTemplate, parseCsrTemplate } from '../../pki/csr-template.ts'

export const DELEGATED_KEY_TYPES = ['p256', 'p384', 'rsa2048'] as const
export type DelegatedKeyType = (typeof DELEGATED_KEY_TYPES)[number]

/** RFC 9115 Appendix A, `keyTypes`. */
const KEY_TYPES = {
  p256: { PublicKeyType: 'id-ecPublicKey', namedCurve: 'secp256r1', SignatureType: 'ecdsa-with-SHA256' },
  p384: { PublicKeyType: 'id-ecPublicKey', namedCurve: 'secp384r1', SignatureType: 'ecdsa-with-SHA384' },
  rsa2048: { PublicKeyType: 'rsaEncryption', PublicKeyLength: 2048, SignatureType: 'sha256WithRSAEncryption' },
} as const satisfies Record<DelegatedKeyType, object>

/**
 * What a device may ask for: a server certificate for its own name and nothing else. No subject, because CAs drop it; no
 * clientAuth, because public CAs stopped issuing it (acme §1.8).
 */
export function templateFor(name: string, keyTypes: readonly DelegatedKeyType[]): CsrTemplate {
  return parseCsrTemplate({
    keyTypes: keyTypes.map((type) => KEY_TYPES[type]),
    extensions: {
      subjectAltName: { DNS: [name] },
      keyUsage: ['digitalSignature'],
      extendedKeyUsage: ['serverAuth'],
    },
  })
}
