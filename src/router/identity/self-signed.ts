import { join } from 'node:path'
import type { Clock } from '../../core/clock.ts'
import type { TlsMaterial } from '../../net/tls.ts'
import { toPem } from '../../pki/certificate.ts'
import { checkedKey, generateKey } from '../../pki/key.ts'
import { selfSign } from '../../pki/sign.ts'
import { kept } from '../../store/kept.ts'

const KEY_FILE = 'self-signed.key'
/** Apple platforms refuse longer ones; the key stays, so a pin outlives the certificate (identities §6). */
const LIFETIME_MS = 825 * 86_400_000
const BACKDATED_MS = 3_600_000

/** What is shown while there is no believed certificate: encryption without identity, never advertised. */
export async function selfSigned(stateDir: string, name: string, clock: Clock): Promise<TlsMaterial> {
  const keyPem = await kept(join(stateDir, KEY_FILE), checkedKey, () => generateKey('p256'))
  const nowMs = clock.nowMs()
  const certificate = await selfSign({
    keyPem,
    dnsNames: [name],
    ipAddresses: [],
    notBeforeMs: nowMs - BACKDATED_MS,
    notAfterMs: nowMs - BACKDATED_MS + LIFETIME_MS - 1000,
  })
  return { keyPem, chainPem: toPem([certificate]) }
}
