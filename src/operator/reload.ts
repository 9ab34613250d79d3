import { explain, type Log } from '../core/log.ts'
import type { HttpServer } from '../net/http.ts'
import type { Audit } from './audit/audit.ts'
import type { OperatorConfig } from './config.ts'

/**
 * What SIGHUP does: the certificate of the settings file, which others renew, and the log level are taken over without
 * dropping a connection. Everything else holds from the next start on; with several instances that is one restart after
 * the other. A file with problems leaves all as it is.
 */
export async function reload(
  load: () => Promise<OperatorConfig>,
  {
    servers,
    audit,
    log,
  }: {
    readonly servers: readonly Pick<HttpServer, 'setCertificate'>[]
    readonly audit: Pick<Audit, 'record'>
    readonly log: Log
  },
): Promise<void> {
  try {
    const config = await load()
    const { tls } = config.listen
    if (tls) for (const server of servers) server.setCertificate(tls)
    log.level = config.log
    await audit.record({
      event: 'settings-reloaded',
      by: 'signal SIGHUP',
      reason: `certificate and log level, ${config.log}`,
    })
    log.info('certificate and log level are those of the settings file now; all else holds from the next start on')
  } catch (error) {
    log.error(explain(error), 'the settings could not be read again; the old ones stay in force')
  }
}
