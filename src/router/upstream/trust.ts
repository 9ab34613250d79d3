import { isIP } from 'node:net'
import { type ConnectionOptions, checkServerIdentity, type DetailedPeerCertificate, type TLSSocket } from 'node:tls'
import { Fault, reasonOf } from '../../core/fault.ts'
import { type Endpoint, endpointText } from '../../net/bind.ts'
import { systemAnchors } from '../../net/tls.ts'
import { type Certificate, CHAIN_LENGTH_MAX, fromPem } from '../../pki/certificate.ts'
import { checkIdentity } from '../../pki/chain.ts'
import { fitsPin, pinOf, signedPath } from './pins.ts'

/** A whole system store has some 150. */
const ANCHORS_MAX = 1_000

/** What an encrypted upstream has to prove. There is no switch that lets it off. */
export interface Proof {
  /** What the certificate must carry (RFC 8310 §8.1); an address when no name was given. */
  readonly name: string
  /** PEM roots instead of the system's. */
  readonly trust?: readonly string[]
  /** Public keys, one of which it must hold. A second condition beside the name: who has both checks both (RFC 8310 §8). */
  readonly pins?: readonly string[]
  /** The settings give no name, so nothing but a pin is asked for (RFC 7858 §4.2): no name, no root, no dates. */
  readonly pinsAlone?: true
  /** False while the wall clock may be wrong: an upstream that fits a pin may then show a certificate of any date. */
  readonly isClockTrusted?: () => boolean
}

/** How a TLS connection is made that `objectionTo` can judge. An address is no server name (RFC 6066 §3). */
export function provingOptions({ name, trust, pins, pinsAlone }: Proof, alpn: string): ConnectionOptions {
  return {
    servername: isIP(name) === 0 ? name : '',
    checkServerIdentity: (_host, certificate) => (pinsAlone ? undefined : checkServerIdentity(name, certificate)),
    ...(trust ? { ca: [...trust] } : {}),
    ALPNProtocols: [alpn],
    minVersion: 'TLSv1.2',
    // With pins the verdict is ours, in `objectionTo`: TLS libraries know none. Without, Node ends the handshake.
    rejectUnauthorized: pins === undefined,
  }
}

export interface Verdict {
  readonly objection?: Fault
  /** The dates of the certificate were passed over: nothing of this connection may outlive it. */
  readonly datesIgnored?: boolean
}

/** Looks at a connection whose handshake is done and on which nothing was sent yet. */
export function judge(socket: TLSSocket, proof: Proof, upstream: string, endpoint: Endpoint): Verdict {
  const { pins } = proof
  // Without pins Node has judged. A resumed session proves that this is who was judged before (RFC 8446 §2.2).
  if (!pins || socket.isSessionReused()) return {}
  const untrusted = (problem: string, cause?: unknown): Verdict => ({
    objection: untrustedFault(problem, upstream, endpoint, cause),
  })
  const presented = presentedBy(socket)
  let path: readonly Certificate[]
  try {
    path = signedPath(presented)
  } catch (error) {
    return untrusted('its certificate cannot be read', error)
  }
  const seen = path.map(({ spki }) => pinOf(spki))
  if (!fitsPin(path, pins)) return untrusted(`no pin fits its keys, ${seen.join(' and ') || 'of which it has none'}`)
  if (proof.pinsAlone || socket.authorized) return {}
  // Node gives the code of the error as text here, whatever its types say.
  const code = String(socket.authorizationError)
  const mayBeOurClock = DATES.has(code) && proof.isClockTrusted?.() === false
  if (!mayBeOurClock) return untrusted(certificateProblem(code))
  try {
    checkApartFromDates(path, presented, proof)
    return { datesIgnored: true }
  } catch (error) {
    return untrusted(reasonOf(error), error)
  }
}

/**
 * OpenSSL names only one problem, so a wrong date may hide others. The path is checked again as of the moment when its
 * last certificate became valid. Throws a Fault.
 */
function checkApartFromDates(
  path: readonly Certificate[],
  presented: readonly Uint8Array[],
  { name, trust }: Proof,
): void {
  checkIdentity({
    chain: presented,
    spki: path[0]!.spki,
    names: [name],
    nowMs: Math.max(...path.map(({ notBeforeMs }) => notBeforeMs)),
    anchors: trust ? trust.flatMap((pem) => fromPem(pem, ANCHORS_MAX)) : systemAnchors(),
  })
}

/** Leaf first, as far as Node could put what was sent in order. */
function presentedBy(socket: TLSSocket): readonly Uint8Array[] {
  const presented: Uint8Array[] = []
  let at: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true)
  while (at?.raw && presented.length < CHAIN_LENGTH_MAX) {
    presented.push(at.raw)
    at = at.issuerCertificate === at ? undefined : at.issuerCertificate
  }
  return presented
}

/** What OpenSSL and Node call a certificate we must not accept. */
const UNTRUSTED =
  /^(CERT_|ERR_TLS_CERT|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|INVALID_CA|PATH_LENGTH|INVALID_PURPOSE|HOSTNAME_MISMATCH|UNSPECIFIED)/
const DATES: ReadonlySet<string> = new Set(['CERT_HAS_EXPIRED', 'CERT_NOT_YET_VALID'])
/** The alert of RFC 7301 §3.2, and what else says that the other side speaks no TLS, or not ours. */
const NOT_THIS_PROTOCOL =
  /NO_APPLICATION_PROTOCOL|WRONG_VERSION_NUMBER|UNSUPPORTED_PROTOCOL|ALERT_PROTOCOL_VERSION|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST/

/** A failed connection in words the reader can act on. A certificate problem is never mistaken for a dead link. */
export function connectionFault(error: NodeJS.ErrnoException, upstream: string, endpoint: Endpoint): Fault {
  const code = error.code ?? ''
  if (UNTRUSTED.test(code)) return untrustedFault(certificateProblem(code), upstream, endpoint, error)
  const [facts, where] = [{ upstream, address: endpointText(endpoint) }, `${upstream} (${endpointText(endpoint)})`]
  if (NOT_THIS_PROTOCOL.test(code))
    return new Fault('UPSTREAM_BROKEN', `${where} does not speak the protocol of its URL`, facts, error)
  return new Fault('UPSTREAM_UNREACHABLE', `no connection to ${where}`, facts, error)
}

function untrustedFault(problem: string, upstream: string, endpoint: Endpoint, cause?: unknown): Fault {
  const facts = { upstream, address: endpointText(endpoint) }
  return new Fault('UPSTREAM_UNTRUSTED', `${upstream} is not who it should be: ${problem}`, facts, cause)
}

function certificateProblem(code: string): string {
  if (code === 'CERT_HAS_EXPIRED') return 'its certificate has expired'
  if (code === 'CERT_NOT_YET_VALID') return 'its certificate is not valid yet'
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return 'its certificate is for another name'
  return 'its certificate does not lead to a trusted root'
}
