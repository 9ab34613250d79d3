import { readFile } from 'node:fs/promises'
import { type Command, EXIT } from '../../core/command.ts'
import { Fault, reasonOf } from '../../core/fault.ts'
import { CLASS, extendedErrorName, rcodeName, typeNumber } from '../../dns/codes.ts'
import type { ExtendedError } from '../../dns/edns.ts'
import { buildMessage, parseMessage, recordText } from '../../dns/message.ts'
import { nameToWire } from '../../dns/name.ts'
import { MessageView } from '../../dns/view.ts'
import { createUpstream } from '../upstream/upstream.ts'
import { parseUpstreamUrl } from '../upstream/url.ts'

const QUERY_MS_MAX = 5_000

export const QUERY: Command = {
  usage: '[--server URL] [--trust FILE] [--address IP] NAME [TYPE]',
  summary: 'ask a resolver one question, by any transport, verifying who answers',
  options: {
    server: {
      type: 'string',
      value: 'URL',
      help: 'udp://IP, tcp://IP, tls://IP#NAME or https://NAME/dns-query (default udp://127.0.0.1:5453)',
    },
    trust: { type: 'string', value: 'FILE', help: 'PEM file of roots to believe instead of the system store' },
    address: { type: 'string', value: 'IP', help: 'address of the server when the URL has only its name' },
    json: { type: 'boolean', help: 'print the answer as JSON' },
  },
  words: { min: 1, max: 2 },
  async run({ values, words, print }) {
    const [name, typeText = 'A'] = words as [string, string?]
    const type = typeNumber(typeText)
    if (type === undefined) throw new Fault('USAGE', `${typeText} is not a record type`)
    if (!nameToWire(name)) throw new Fault('USAGE', `${name} is not a domain name`)
    const url = (values.server as string | undefined) ?? 'udp://127.0.0.1:5453'
    const server = parseUpstreamUrl(url, values.address === undefined ? [] : [values.address as string])
    const trust = values.trust === undefined ? {} : { trust: [await readRoots(values.trust as string)] }

    const startedMs = performance.now()
    const wire = buildMessage({ recursionDesired: true, questions: [{ name, type, class: CLASS.IN }] })
    const query = {
      view: MessageView.over(wire)!,
      client: { address: '127.0.0.1', transport: 'udp' },
      deadlineMs: startedMs + QUERY_MS_MAX,
    } as const
    const outcome = await createUpstream(server, trust).resolve(query, AbortSignal.timeout(QUERY_MS_MAX))
    const message = outcome.kind === 'answer' ? parseMessage(outcome.wire) : undefined
    if (outcome.kind !== 'answer' || !message) throw new Fault('UPSTREAM_BROKEN', `${url} sent no answer`)

    const tookMs = Math.round(performance.now() - startedMs)
    const rcode = rcodeName(message.rcode)
    const records = message.answers.map(recordText)
    const errors = outcome.extendedErrors ?? []
    if (values.json === true)
      print(JSON.stringify({ name, type: typeText.toUpperCase(), rcode, records, errors, server: url, tookMs }))
    else {
      for (const record of records) print(record)
      const reasons = errors.map(reasonText)
      print(
        `; ${[rcode, records.length === 1 ? '1 record' : `${records.length} records`, ...reasons].join(', ')}, from ${url} in ${tookMs} ms`,
      )
    }
    return rcode === 'NOERROR' ? EXIT.OK : EXIT.FAILED
  },
}

async function readRoots(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((error: unknown) => {
    throw new Fault('USAGE', `--trust ${file} cannot be read: ${reasonOf(error)}`)
  })
}

/** The text is the server's, and must not steer the terminal. */
function reasonText({ code, text }: ExtendedError): string {
  const what = `extended error ${code} (${extendedErrorName(code)})`
  return text === undefined ? what : `${what} "${text.replace(/\p{Cc}/gu, ' ')}"`
}
