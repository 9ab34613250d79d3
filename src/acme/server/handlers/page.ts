import { AcmeProblem } from '../../problem.ts'
import type { AcmeContext } from '../context.ts'
import { type AcmeRequest, jsonReply, type Reply } from '../exchange.ts'
import { readCursor } from '../urls.ts'

/** Lists are read in pages: the next one is named by a link (RFC 8555 §7.1.2.1, RFC 9115 §2.3.1.2). */
export function readPage({ query }: AcmeRequest, { pageSize }: AcmeContext): { after?: string; limit: number } {
  const after = readCursor(query)
  if (after === null) throw new AcmeProblem('malformed', 'the cursor is not one of ours')
  return { limit: pageSize, ...(after === undefined ? {} : { after }) }
}

export function pageReply(list: Record<string, readonly string[]>, next: string | undefined): Reply {
  return jsonReply(200, list, next === undefined ? {} : { Link: `<${next}>;rel="next"` })
}
