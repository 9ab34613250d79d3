import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Clock } from '../../../core/clock.ts'
import type { Log } from '../../../core/log.ts'
import { type AuthoredRecord, buildAnswer } from '../../../dns/build.ts'
import { RCODE, TYPE } from '../../../dns/codes.ts'
import type { Endpoint } from '../../../net/bind.ts'
import { listenOn } from '../../../net/bind.ts'
import { tcpListener } from '../../listen/tcp.ts'
import { udpListener } from '../../listen/udp.ts'
import type { Resolver } from '../../resolve/resolver.ts'

export const DEMO_ZONE = 'demo.example'
const TTL_S = 300

/** `www` is made of documentation addresses; `page` is the small web page of this demo. */
const RECORDS: readonly AuthoredRecord[] = [
  { name: `www.${DEMO_ZONE}`, type: TYPE.A, ttl: TTL_S, rdata: { address: '192.0.2.80' } },
  { name: `www.${DEMO_ZONE}`, type: TYPE.AAAA, ttl: TTL_S, rdata: { address: '2001:db8::80' } },
  { name: `page.${DEMO_ZONE}`, type: TYPE.A, ttl: TTL_S, rdata: { address: '127.0.0.1' } },
  { name: `hello.${DEMO_ZONE}`, type: TYPE.TXT, ttl: TTL_S, rdata: { strings: [Buffer.from('it works')] } },
]

const SOA: AuthoredRecord = {
  name: DEMO_ZONE,
  type: TYPE.SOA,
  ttl: TTL_S,
  rdata: {
    primary: `ns.${DEMO_ZONE}`,
    mailbox: `nobody.${DEMO_ZONE}`,
    serial: 1,
    refresh: 3600,
    retry: 600,
    expire: 86_400,
    minimum: 60,
  },
}

/** The Internet of the demo: an upstream that knows one small zone, so that nothing here needs a network. */
export async function startDemoZone(context: {
  clock: Clock
  log: Log
}): Promise<{ endpoint: Endpoint; stop(): Promise<void> }> {
  const zone: Resolver = {
    id: 'demo zone',
    resolve({ view }) {
      const named = RECORDS.filter(({ name }) => name === view.questionName.toLowerCase())
      const answers = named.filter(({ type }) => type === view.questionType)
      const rcode = named.length > 0 ? RCODE.NOERROR : RCODE.NXDOMAIN
      const authorities = answers.length > 0 ? [] : [SOA]
      return {
        kind: 'answer',
        from: 'demo zone',
        wire: buildAnswer(view, { rcode, authoritative: true, answers, authorities }),
      }
    },
  }
  const [udp, tcp] = await firstThatWorks(async () => {
    const tcp = tcpListener({ host: '127.0.0.1', port: 0 }, context)
    await tcp.start(zone)
    const udp = udpListener(tcp.endpoint, context)
    await udp.start(zone).catch(async (error: unknown) => {
      await tcp.stop(0)
      throw error
    })
    return [udp, tcp] as const
  })
  return {
    endpoint: udp.endpoint,
    stop: async () => {
      await Promise.all([udp.stop(0), tcp.stop(0)])
    },
  }
}

/** The system gives a free TCP port; that its UDP twin is free too is likely, not certain. */
async function firstThatWorks<T>(listen: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await listen()
    } catch (error) {
      if (attempt === ATTEMPTS_MAX) throw error
    }
  }
}
const ATTEMPTS_MAX = 10

/** A page to fetch by name, so that a browser or curl can show that resolving works. */
export async function startDemoPage(port: number): Promise<{ port: number; stop(): Promise<void> }> {
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/plain' })
    response.end('Hello. Your program found this page through your own router, over encrypted DNS.\n')
  })
  await listenOn(server, { host: '127.0.0.1', port })
  return {
    port: (server.address() as AddressInfo).port,
    stop: () => new Promise((resolve) => void server.close(() => resolve())),
  }
}
