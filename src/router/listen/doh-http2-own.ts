import type { Clock } from '../../core/clock.ts'
import { explain, type Log } from '../../core/log.ts'
import { Http2Server } from '../../net/h2/server.ts'
import type { DohProtocol } from './doh-protocol.ts'
import type { DohService } from './doh-service.ts'
import { MESSAGE_BYTES_MAX } from './reply.ts'

/** HTTP/2 as we speak it ourselves (design §3.4). */
export function dohOverOwnHttp2(service: DohService, clock: Clock, log: Log): DohProtocol {
  const server = new Http2Server(clock)
  return {
    take: (socket, client) =>
      server.serve(socket, {
        bodyBytesMax: MESSAGE_BYTES_MAX + 1, // enough to refuse it
        begin: (head) => service.begin(head, client),
        finish: (body) => service.finish(body, client),
        failed: (error) => log.error(explain(error), 'a DoH request failed by a bug of ours'),
      }),
    finish: () => server.drain(),
  }
}
