import type { IssuedCertificates } from '../../acme/server/options.ts'
import type { ReplacementRow } from '../../acme/server/rows.ts'
import type { Table } from '../../core/table.ts'
import { certId, fromPem, parseCertificate } from '../../pki/certificate.ts'
import type { RevocationReason } from '../../pki/revocation-reason.ts'
import type { Audit } from '../audit/audit.ts'
import type { PublicationRow } from './rows.ts'

/** Where the certificate of that id (RFC 9773 §4.1) is published. */
export interface IssuedRow {
  readonly publication: string
}

/** The certificates that are published now, by their ids: one row for each publication. */
export interface IssuedIndex extends IssuedCertificates {
  /** Before it is published; may be repeated. */
  note(pem: string, publication: string): Promise<void>
  /** After the next one has taken its place, or with its publication. */
  forget(pem: string): Promise<void>
}

export function issuedCertificates(options: {
  readonly table: Table<IssuedRow>
  readonly publications: Table<PublicationRow>
  readonly replacements: Table<ReplacementRow>
  /** Resolves when it is sure to happen. */
  readonly revoke: (publication: string, reason: RevocationReason) => Promise<void>
  /** Given: who asked for a revocation is put on record there. */
  readonly audit?: Pick<Audit, 'record'>
}): IssuedIndex {
  const { table, publications, replacements, audit } = options

  const publicationOf = async (id: string) => {
    const seen = await table.find(id)
    const published = seen && (await publications.find(seen.row.publication))
    // A certificate that was noted and then never published is nobody's.
    return published && idOf(published.row.pem) === id ? published : undefined
  }
  return {
    replacements,
    async note(pem, publication) {
      const id = idOf(pem)
      if (id !== undefined) await table.insert(id, { publication })
    },
    async forget(pem) {
      const id = idOf(pem)
      const seen = id === undefined ? undefined : await table.find(id)
      if (seen) await table.remove(seen)
    },
    async find(id) {
      const published = await publicationOf(id)
      if (!published) return undefined
      const { account, pem, terms, canceled, renewal } = published.row
      return {
        account,
        leaf: fromPem(pem)[0]!,
        star: terms.kind === 'star',
        revoked: canceled === true,
        ...(renewal ? { renewal } : {}),
      }
    },
    async revoke(id, { reason, account: asking }) {
      const published = await publicationOf(id)
      if (!published) return
      const { account, order, names, revocation } = published.row
      // Once, however often it is asked for until the CA has heard of it.
      if (!revocation)
        await audit?.record({
          event: 'revocation-requested',
          by: asking === undefined ? 'key of the certificate' : `account ${asking}`,
          account,
          ...(order === undefined ? {} : { order }),
          ...(names[0] === undefined ? {} : { device: names[0] }),
          reason,
        })
      await options.revoke(published.id, reason)
    },
  }
}

/** Undefined for a certificate without an authority key identifier: renewal information has no name for it. */
function idOf(pem: string): string | undefined {
  const leaf = fromPem(pem)[0]!
  return parseCertificate(leaf).authorityKeyId ? certId(leaf) : undefined
}
