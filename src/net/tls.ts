import { constants, createPrivateKey, randomBytes, X509Certificate } from 'node:crypto'
import { createServer as createTcpServer, type Server, type Socket } from 'node:net'
import { createServer, rootCertificates, type TLSSocket, type TlsOptions } from 'node:tls'
import { Fault } from '../core/fault.ts'

/** What a TLS server presents. The chain is leaf first, root left out. */
export interface TlsMaterial {
  readonly keyPem: string
  readonly chainPem: string
}

/**
 * From accept(2) to the end of the handshake. What the client has to send is lost on bad Wi-Fi now and then, and sent again
 * after one and two more seconds (RFC 6298 §2): five seconds survive two losses in a row, two would survive one.
 */
const HANDSHAKE_MS_MAX = 5_000
/**
 * Node knows one set of ticket keys: a new one makes all old tickets worthless, and who comes back with one does a full
 * handshake. Twice a day that costs nothing, and a key that leaks opens no more than half a day (RFC 9325 §3.4).
 */
const TICKET_KEYS_MS = 12 * 3_600_000
const TICKET_KEYS_BYTES = 48
/**
 * Forward secrecy and authenticated encryption only (RFC 9325 §4.2). AES with 128 bits first: it is the cheapest where the
 * processor has instructions for it. A client without them asks for ChaCha20 first and gets it.
 */
const CIPHERS = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_CHACHA20_POLY1305_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE+CHACHA20',
  'ECDHE+AESGCM',
].join(':')
/** No renegotiation in TLS 1.2 (RFC 8310 §9); compression and 0-RTT are not there to be turned off. */
const SECURE_OPTIONS = constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_PRIORITIZE_CHACHA

export interface SwappableServer {
  /** Listens; its connections are those of TCP, before any handshake. */
  readonly server: Server
  /** What new connections are shown. */
  readonly material: TlsMaterial
  /** New connections get the new certificate, open ones and their tickets live on (RFC 8446 §2.2). Throws and keeps the old one. */
  setMaterial(material: TlsMaterial): void
  /** No ticket handed out so far resumes a session any more. Done by itself twice a day. */
  rotateTickets(): void
}

export interface TlsServerOptions {
  readonly alpn: readonly string[]
  readonly material: TlsMaterial
  readonly halfOpen?: boolean
  /** Asked about each TCP connection before any TLS work is done for it; false closes it. */
  readonly accept?: (socket: Socket) => boolean
}

/**
 * A TLS server whose certificate can be replaced while it runs. Without SNI the same certificate is shown, because
 * clients that discovered us by address send none (RFC 9462 §6.3).
 */
export function createTlsServer(options: TlsServerOptions, onConnection: (socket: TLSSocket) => void): SwappableServer {
  const contextOf = (material: TlsMaterial): TlsOptions => {
    checkKeyFits(material)
    return {
      key: material.keyPem,
      cert: material.chainPem,
      minVersion: 'TLSv1.2',
      ciphers: CIPHERS,
      secureOptions: SECURE_OPTIONS,
      // As long as its key at most.
      sessionTimeout: TICKET_KEYS_MS / 1000,
    }
  }
  const halfOpen = options.halfOpen ?? false
  const tls = createServer(
    {
      ...contextOf(options.material),
      ALPNProtocols: [...options.alpn],
      handshakeTimeout: HANDSHAKE_MS_MAX,
    },
    (socket) => {
      // Only from here on: a client that leaves during its handshake is owed nothing.
      socket.allowHalfOpen = halfOpen
      onConnection(socket)
    },
  )
  // A client that breaks off its handshake is its own affair; without a listener it would end the process.
  tls.on('tlsClientError', (_error, socket) => socket.destroy())
  const server = createTcpServer((socket) => {
    if (options.accept?.(socket) === false) socket.destroy()
    else tls.emit('connection', socket)
  })
  const rotateTickets = (): void => tls.setTicketKeys(randomBytes(TICKET_KEYS_BYTES))
  const rotating = setInterval(rotateTickets, TICKET_KEYS_MS).unref()
  server.on('close', () => clearInterval(rotating))
  let shown = options.material
  return {
    server,
    get material() {
      return shown
    },
    setMaterial(material) {
      tls.setSecureContext({ ...contextOf(material), ticketKeys: tls.getTicketKeys() })
      shown = material
    },
    rotateTickets,
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
