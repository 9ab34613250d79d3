import type { Clock } from '../../core/clock.ts'
import type { Log } from '../../core/log.ts'
import { endpointText } from '../../net/bind.ts'
import { type HttpCertificate, type HttpServer, serveHttp } from '../../net/http.ts'
import type { OperatorConfig } from '../config.ts'
import type { Management } from '../management.ts'
import type { Watching } from '../watch/watching.ts'
import { adminAccess } from './access.ts'
import { ADMIN_BODY_BYTES_MAX, httpFace } from './http-face.ts'
import { pageFiles } from './page.ts'
import { readiness } from './readiness.ts'

/** No device has it: asking for it only shows that the store answers. */
const NO_DEVICE = '-'

/** The admin listener: operations, page, metrics, health. Undefined: the settings do not open it. */
export async function serveAdmin(
  config: OperatorConfig,
  options: {
    readonly management: Pick<Management, 'operations' | 'tokens' | 'registry'>
    readonly watching: Pick<Watching, 'metrics' | 'health'>
    readonly tls: HttpCertificate
    readonly clock: Clock
    readonly log: Log
  },
): Promise<HttpServer | undefined> {
  const at = config.listen.admin
  if (!at) return undefined
  const { management, watching, tls, clock, log } = options
  const { hosts, clientCa, clientRole, openMetrics } = config.admin
  const handler = httpFace({
    table: management.operations,
    access: adminAccess({ tokens: management.tokens, clientRole, clock }),
    hosts: new Set([...LOOPBACK, at.host, new URL(config.baseUrl).hostname, ...hosts].map(bracketed)),
    metrics: () => watching.metrics.text(),
    openMetrics,
    readiness: readiness({ askStore: () => management.registry.find(NO_DEVICE), health: watching.health, clock }),
    page: await pageFiles(),
    version: process.env.HEARTH_VERSION ?? 'development',
    log,
  })
  const server = await serveHttp({
    ...at,
    tls,
    ...(clientCa ? { clientCa } : {}),
    bodyBytesMax: ADMIN_BODY_BYTES_MAX,
    handler,
    log,
  })
  const where = endpointText({ host: server.address, port: server.port })
  log.info({ address: server.address, port: server.port, page: `https://${where}/` }, 'admin API open')
  return server
}

const LOOPBACK = ['localhost', '127.0.0.1', '::1']

/** As a URL writes it. */
function bracketed(host: string): string {
  return host.includes(':') && !host.startsWith('[') ? `[${host}]` : host
}
