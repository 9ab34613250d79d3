import { createPrivateKey, X509Certificate } from 'node:crypto'
import { createServer, rootCertificates, type Server, type TLSSocket, type TlsOptions } from 'node:tls'
import { Fault } from '../core/fault.ts'

/** What a TLS server presents. The chain is leaf first, root left out. */
export interface TlsMaterial {
  readonly keyPem: string
  readonly chainPem: string
}

/** A handshake that takes longer is a port scan or an attack; a phone on bad Wi-Fi needs well under a second. */
const HANDSHAKE_MS_MAX = 5_000

export interface SwappableServer {
  readonly server: Server
  /** What new connections are shown. */
  readonly material: TlsMaterial
  /** New connections get the new certificate, open ones and their tickets live on (RFC 8446 §2.2). Throws and keeps the old one. */
  setMaterial(material: TlsMaterial): void
}

/**
 * A TLS server whose certificate can be replaced while it runs. Without SNI the same certificate is shown, because
 * clients that discovered us by address send none (RFC 9462 §6.3).
 */
export function createTlsServer(
  options: { readonly alpn: readonly string[]; readonly material: TlsMaterial; readonly halfOpen?: boolean },
  onConnection: (socket: TLSSocket) => void,
): SwappableServer {
  const contextOf = (material: TlsMaterial): TlsOptions => {
    checkKeyFits(material)
    return { key: material.keyPem, cert: material.chainPem, minVersion: 'TLSv1.2' }
  }
  const server = createServer(
    {
      ...contextOf(options.material),
      ALPNProtocols: [...options.alpn],
      handshakeTimeout: HANDSHAKE_MS_MAX,
      allowHalfOpen: options.halfOpen ?? false,
    },
    onConnection,
  )
  // A client that breaks off its handshake is its own affair; without a listener it would end the process.
  server.on('tlsClientError', (_error, socket) => socket.destroy())
  let shown = options.material
  return {
    server,
    get material() {
      return shown
    },
    setMaterial(material) {
      server.setSecureContext({ ...contextOf(material), ticketKeys: server.getTicketKeys() })
      shown = material
    },
  }
}

/** The roots this runtime believes in (DER). Parsed at first use: there are more than a hundred. */
export function systemAnchors(): readonly Uint8Array[] {
  anchors ??= rootCertificates.map((pem) => new X509Certificate(pem).raw)
  return anchors
}
let anchors: readonly Uint8Array[] | undefined

/** OpenSSL accepts an RSA certificate with an EC key without a word, so this is checked before every swap. */
function checkKeyFits({ keyPem, chainPem }: TlsMaterial): void {
  if (!new X509Certificate(chainPem).checkPrivateKey(createPrivateKey(keyPem)))
    throw new Fault('CERT_KEY_MISMATCH', 'the certificate does not belong to the private key')
}
