import { X509Certificate } from 'node:crypto'
import { connect } from 'node:tls'
import { pause, type Ran, run } from './daemon.ts'

/** What a client that verifies found at a TLS port. */
export type Probe =
  | { readonly kind: 'good'; readonly serial: string; readonly notAfterMs: number }
  | { readonly kind: 'refused'; readonly code: string; readonly shown: string }
  | { readonly kind: 'closed' }

const PROBE_MS_MAX = 5_000
const WATCH_PAUSE_MS = 20

/** One handshake; the certificate is judged by the clock and the roots of this process. */
export function probe(port: number, name: string, ca: string): Promise<Probe> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port, servername: name, ca, rejectUnauthorized: false }, () => {
      const { raw } = socket.getPeerCertificate()
      const error = socket.authorizationError as Error | string | undefined
      socket.resume().end()
      const certificate = new X509Certificate(raw)
      if (error) {
        const code = typeof error === 'string' ? error : ((error as NodeJS.ErrnoException).code ?? error.message)
        return resolve({ kind: 'refused', code, shown: `${certificate.subject} ${certificate.subjectAltName}` })
      }
      return resolve({
        kind: 'good',
        serial: certificate.serialNumber,
        notAfterMs: Date.parse(certificate.validTo),
      })
    })
    socket.setTimeout(PROBE_MS_MAX, () => socket.destroy(new Error('no handshake in time')))
    socket.once('error', () => resolve({ kind: 'closed' }))
  })
}

/** Looks again and again until stopped; keeps every result. */
export function watch(
  port: number,
  name: string,
  ca: string,
): { readonly seen: readonly Probe[]; stop(): Promise<void> } {
  const seen: Probe[] = []
  let going = true
  const done = (async () => {
    while (going) {
      seen.push(await probe(port, name, ca))
      await pause(WATCH_PAUSE_MS)
    }
  })()
  return {
    seen,
    async stop() {
      going = false
      await done
    },
  }
}

/** `openssl s_client` as a strict client of a DoT server. Its exit code is 0 only when everything verified. */
export function opensslClient(port: number, name: string, caFile: string): Promise<Ran> {
  const verify = ['-verify_return_error', '-verify_hostname', name, '-CAfile', caFile, '-no-CApath', '-no-CAstore']
  return run('openssl', ['s_client', '-connect', `127.0.0.1:${port}`, '-servername', name, ...verify, '-brief'])
}

/** kdig against a server on loopback. */
export function kdig(port: number, ...args: readonly string[]): Promise<Ran> {
  return run('kdig', ['@127.0.0.1', '-p', String(port), '+timeout=5', '+retry=0', ...args])
}
