import { mkdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { fromPem, toPem } from '../../pki/certificate.ts'
import type { Identity, StarTerms } from '../../pki/issuer.ts'
import { checkedKey } from '../../pki/key.ts'
import { readFileIfThere, writeFileAtomic } from '../../store/file.ts'

/** A certificate with its private key. */
export interface Credential {
  readonly identity: Identity
  readonly keyPem: string
}

/** One file, because key, chain and renewal terms are only good together. Written once per renewal. */
interface IdentityFile {
  readonly names: readonly string[]
  readonly key: string
  readonly chain: string
  readonly notBefore: string
  readonly notAfter: string
  readonly renewAt: string
  readonly star?: StarTerms
}

const FILE = 'identity.json'

export async function saveCredential(stateDir: string, { identity, keyPem }: Credential): Promise<void> {
  const file: IdentityFile = {
    names: identity.names,
    key: keyPem,
    chain: toPem(identity.chain),
    notBefore: new Date(identity.notBeforeMs).toISOString(),
    notAfter: new Date(identity.notAfterMs).toISOString(),
    renewAt: new Date(identity.renewAtMs).toISOString(),
    ...(identity.star ? { star: identity.star } : {}),
  }
  await mkdir(stateDir, { recursive: true, mode: 0o700 })
  await writeFileAtomic(join(stateDir, FILE), `${JSON.stringify(file, null, 2)}\n`)
}

/**
 * The credential of the last run. A file that cannot be read is moved aside, never overwritten, and reported: the
 * caller enrols anew, and whoever wants to know what happened still has the bytes.
 */
export async function loadCredential(
  stateDir: string,
  report: (damagedFile: string, reason: unknown) => void,
): Promise<Credential | undefined> {
  const path = join(stateDir, FILE)
  const text = await readFileIfThere(path)
  if (!text) return undefined
  try {
    const file = parsed(text.toString())
    const [notBeforeMs, notAfterMs, renewAtMs] = [file.notBefore, file.notAfter, file.renewAt].map((date) => {
      const ms = Date.parse(date)
      if (Number.isNaN(ms)) throw new Error('a date is missing')
      return ms
    }) as [number, number, number]
    if (!Array.isArray(file.names) || typeof file.key !== 'string') throw new Error('names or key are missing')
    const identity: Identity = {
      names: file.names,
      chain: fromPem(file.chain),
      notBeforeMs,
      notAfterMs,
      renewAtMs,
      ...(file.star ? { star: file.star } : {}),
    }
    return { identity, keyPem: checkedKey(file.key) }
  } catch (error) {
    const aside = `${path}.damaged`
    await rename(path, aside)
    report(aside, error)
    return undefined
  }
}

/** The reasons of the parser may quote what stands around the mistake, and that may be the key. */
function parsed(text: string): IdentityFile {
  try {
    return JSON.parse(text) as IdentityFile
  } catch {
    throw new Error('it is not JSON')
  }
}
