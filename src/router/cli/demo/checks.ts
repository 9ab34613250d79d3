import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { Fault } from '../../../core/fault.ts'
import { CLASS, TYPE } from '../../../dns/codes.ts'
import { buildMessage, type Message, parseMessage } from '../../../dns/message.ts'
import { MessageView } from '../../../dns/view.ts'
import { askOperation } from '../../../net/operations.ts'
import type { RouterStatus } from '../../admin/operations.ts'
import type { Resolver } from '../../resolve/resolver.ts'
import { createUpstream } from '../../upstream/upstream.ts'
import { parseUpstreamUrl } from '../../upstream/url.ts'
import type { DemoReport } from './demo.ts'
import { DEMO_ZONE } from './zone.ts'

/** One thing `hearth demo --once` looks at, as a client that knows nothing of Hearth would. Throws when it is not so. */
export interface DemoCheck {
  readonly name: string
  run(): Promise<void>
}

const QUESTION = `www.${DEMO_ZONE}`
const EXPECTED = '192.0.2.80'
const ROLL_OVER_MS_MAX = 120_000

export function demoChecks(report: DemoReport, isOwnZone: boolean): readonly DemoCheck[] {
  const [do53Host, do53Port] = report.do53.split(':')
  const dotUrl = `tls://${report.dot}#${report.name}`
  const dohUrl = report.doh
  const encrypted = async (url: string): Promise<Resolver> =>
    createUpstream(parseUpstreamUrl(url, url === dohUrl ? ['127.0.0.1'] : []), {
      trust: [await readFile(report.trust, 'utf8')],
    })

  const resolves = async (resolver: Resolver): Promise<void> => {
    const { answers } = await ask(resolver, QUESTION, TYPE.A)
    if (!isOwnZone) return
    const addresses = answers.map(({ data }) => ('address' in data ? data.address : ''))
    if (!addresses.includes(EXPECTED))
      throw new Fault('DEMO_FAILED', `${QUESTION} is ${EXPECTED}, but ${addresses.join(', ') || 'nothing'} came`)
  }
  return [
    { name: 'Do53 over UDP answers', run: () => resolves(plain(`udp://${report.do53}`)) },
    { name: 'Do53 over TCP answers', run: () => resolves(plain(`tcp://${report.do53}`)) },
    { name: 'DoT answers, certificate verified by name', run: async () => resolves(await encrypted(dotUrl)) },
    { name: 'DoH answers, certificate verified by name', run: async () => resolves(await encrypted(dohUrl)) },
    {
      name: 'a client that expects another name refuses us',
      async run() {
        const other = await encrypted(`tls://${report.dot}#other.example`)
        const error = await ask(other, QUESTION, TYPE.A).then(
          () => undefined,
          (reason: unknown) => reason,
        )
        if (!(error instanceof Fault) || error.code !== 'UPSTREAM_UNTRUSTED')
          throw new Fault('DEMO_FAILED', 'the connection was not refused for its name')
      },
    },
    {
      name: 'DDR names the encrypted endpoints',
      async run() {
        const { answers } = await ask(plain(`udp://${do53Host}:${do53Port}`), '_dns.resolver.arpa', TYPE.SVCB)
        const targets = new Set(answers.map(({ data }) => ('target' in data ? data.target : '')))
        if (answers.length !== 2 || !targets.has(report.name))
          throw new Fault('DEMO_FAILED', `_dns.resolver.arpa named ${[...targets].join(', ') || 'nothing'}`)
      },
    },
    {
      name: 'the certificate rolls over, an open connection lives on',
      async run() {
        const open = await encrypted(dotUrl)
        await ask(open, QUESTION, TYPE.A)
        const before = await shownCertificate(report)
        const socket = join(report.state, 'router', 'admin.sock')
        const untilMs = performance.now() + ROLL_OVER_MS_MAX
        while ((await shownCertificate(report)) === before) {
          if (performance.now() > untilMs) {
            const { identity } = await askOperation<RouterStatus>(socket, 'status')
            throw new Fault('DEMO_FAILED', `no new certificate came: ${JSON.stringify(identity)}`)
          }
          await ask(open, QUESTION, TYPE.A)
          await new Promise((resolve) => setTimeout(resolve, 250))
        }
        await ask(open, QUESTION, TYPE.A)
      },
    },
  ]
}

function plain(url: string): Resolver {
  return createUpstream(parseUpstreamUrl(url))
}

async function ask(resolver: Resolver, name: string, type: number): Promise<Message> {
  const wire = buildMessage({ recursionDesired: true, questions: [{ name, type, class: CLASS.IN }] })
  const query = {
    view: MessageView.over(wire)!,
    client: { address: '127.0.0.1', transport: 'udp' },
    deadlineMs: performance.now() + 5_000,
  } as const
  const outcome = await resolver.resolve(query, AbortSignal.timeout(5_000))
  const message = outcome.kind === 'answer' ? parseMessage(outcome.wire) : undefined
  if (!message || message.rcode !== 0)
    throw new Fault('DEMO_FAILED', `${name} was not resolved (rcode ${message?.rcode ?? 'none'})`)
  return message
}

/** Fingerprint of what a new client is shown now. */
async function shownCertificate(report: DemoReport): Promise<string> {
  const [host, port] = report.dot.split(':')
  const ca = await readFile(report.trust, 'utf8')
  return new Promise((resolve, reject) => {
    const socket = connect({ host: host!, port: Number(port), servername: report.name, ca }, () => {
      resolve(socket.getPeerCertificate().fingerprint256)
      socket.end()
    })
    socket.once('error', reject)
  })
}
