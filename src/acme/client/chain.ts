import { explain, type Log } from '../../core/log.ts'
import { fromPem, parseCertificate } from '../../pki/certificate.ts'
import { DerReader, TAG } from '../../pki/der-reader.ts'
import { parseName } from '../../pki/name.ts'
import { SUBJECT_FIELD } from '../../pki/object-ids.ts'
import type { AcmeClient } from './plumbing.ts'

/** RFC 8555 §7.4.2 sets no bound. */
const ALTERNATES_MAX = 5

/**
 * The PEM chain at this URL that leads to the wanted issuer, by the common name in the last certificate; or the first one,
 * with a warning: a certificate is better than none.
 */
export async function chainOf(
  url: string,
  {
    client,
    preferredChain,
    log,
  }: {
    readonly client: Pick<AcmeClient, 'certificate'>
    readonly preferredChain?: string | undefined
    readonly log?: Log
  },
  signal: AbortSignal,
): Promise<string> {
  const { pem, alternates } = await client.certificate(url, signal)
  if (preferredChain === undefined || leadsTo(pem, preferredChain)) return pem
  for (const alternate of alternates.slice(0, ALTERNATES_MAX)) {
    try {
      const other = await client.certificate(alternate, signal)
      if (leadsTo(other.pem, preferredChain)) return other.pem
    } catch (error) {
      signal.throwIfAborted()
      log?.warn({ alternate, ...explain(error) }, 'one of the chains of the authority could not be read')
    }
  }
  const { issuer } = topOf(pem)
  log?.warn({ preferredChain, issuer }, 'the authority offers no such chain; its first one is used')
  return pem
}

function leadsTo(pem: string, commonName: string): boolean {
  return parseName(DerReader.over(topOf(pem).issuerDer, TAG.sequence))
    .flat()
    .some(({ oid, value }) => oid === SUBJECT_FIELD.commonName && value === commonName)
}

function topOf(pem: string): ReturnType<typeof parseCertificate> {
  return parseCertificate(fromPem(pem).at(-1)!)
}
