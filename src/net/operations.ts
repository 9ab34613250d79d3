import { Fault, type FaultCode, reasonOf } from '../core/fault.ts'
import { type HttpResponse, requestOverSocket, serveHttpOnSocket } from './http.ts'

/** What may be asked of a running daemon, by name. Input and result survive JSON; `by` says who asks, in their own words. */
export type OperationTable = Readonly<Record<string, (input: never, by?: string) => Promise<unknown>>>

const PREFIX = '/v1/'
/** The largest list of a CLI call; see PAGE_MAX of the operations. */
const BODY_BYTES_MAX = 1024 * 1024
/** Believed, because only this user and root can open the socket. */
const BY_HEADER = 'hearth-by'

/**
 * Serves the table on a unix socket that only this user can open: `POST /v1/NAME` with the input as JSON. The table is
 * asked for each time, because a reload may have replaced it.
 */
export function serveOperations(
  socketPath: string,
  tableOf: () => OperationTable,
): Promise<{ close(): Promise<void> }> {
  return serveHttpOnSocket({
    path: socketPath,
    bodyBytesMax: BODY_BYTES_MAX,
    async handler({ method, path, headers, body }): Promise<HttpResponse> {
      const name = path.startsWith(PREFIX) ? path.slice(PREFIX.length) : ''
      const operations = tableOf()
      if (!Object.hasOwn(operations, name)) return json(404, { message: `there is no operation at ${path}` })
      if (method !== 'POST') return json(405, { message: 'use POST' })
      try {
        const input = (body.length === 0 ? {} : JSON.parse(Buffer.from(body).toString())) as never
        return json(200, await operations[name]!(input, headers[BY_HEADER]))
      } catch (error) {
        if (error instanceof Fault) return json(409, { code: error.code, message: error.message })
        return json(500, { message: `${name} failed by a bug of ours: ${reasonOf(error)}` })
      }
    },
  })
}

/** An order takes minutes at some CAs, and registering a thousand routers too. */
const ANSWER_MS_MAX = 600_000

/** Asks a running daemon. Throws what the operation threw there, DAEMON_FAILED for its bugs, or NOT_RUNNING. */
export async function askOperation<T>(socketPath: string, name: string, input: object = {}, by?: string): Promise<T> {
  const body = new TextEncoder().encode(JSON.stringify(input))
  const response = await requestOverSocket(socketPath, {
    method: 'POST',
    path: PREFIX + name,
    ...(by === undefined ? {} : { headers: { [BY_HEADER]: by } }),
    body,
    timeoutMs: ANSWER_MS_MAX,
  })
  const content = JSON.parse(Buffer.from(response.body).toString()) as { code?: FaultCode; message?: string }
  if (response.status === 200) return content as T
  const message = content.message ?? `the daemon answered with HTTP status ${response.status}`
  throw new Fault(content.code ?? 'DAEMON_FAILED', message)
}

function json(status: number, value: unknown): HttpResponse {
  return { status, headers: { 'content-type': 'application/json' }, body: JSON.stringify(value) }
}
