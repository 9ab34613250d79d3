import { expect, it } from 'vitest'
import type { Input } from '../../../src/core/command.ts'
import { EDNS_OPTION, RCODE } from '../../../src/dns/codes.ts'
import { buildMessage, parseMessage } from '../../../src/dns/message.ts'
import { QUERY } from '../../../src/router/cli/query.ts'
import { udpServer } from '../../support/sockets.ts'

/** What `hearth query` prints about a server that refuses with these extended errors. */
async function printed(...texts: readonly string[]): Promise<string> {
  const options = texts.map((text) => ({
    code: EDNS_OPTION.EXTENDED_ERROR,
    data: Uint8Array.from([0, 15, ...Buffer.from(text)]),
  }))
  const { endpoint } = await udpServer((wire, reply) => {
    const { id, questions } = parseMessage(wire)!
    const edns = { udpSize: 1232, version: 0, dnssecOk: false, options }
    reply(buildMessage({ id, isResponse: true, rcode: RCODE.REFUSED, questions, edns }))
  })
  const lines: string[] = []
  const input: Input = {
    values: { server: `udp://127.0.0.1:${endpoint.port}` },
    words: ['a.example'],
    print: (line) => void lines.push(line),
    signal: new AbortController().signal,
    onHangup: () => {},
  }
  await QUERY.run(input)
  return lines.join('\n')
}

it('says what an extended error means, and lets no server write to the terminal', async () => {
  const text = await printed('list ads', 'red \u001b[31m \u009b31m\r\n')
  expect(text).toMatch(
    /^; REFUSED, 0 records, extended error 15 \(blocked\) "list ads", extended error 15 \(blocked\) "red/,
  )
  expect(text).not.toMatch(/\p{Cc}/u)
})

it('a file of roots that is not there is the fault of whoever named it', async () => {
  const input = { values: { trust: '/nope.pem' }, words: ['a.example'], print: () => {} }
  await expect(QUERY.run(input as unknown as Input)).rejects.toMatchObject({
    code: 'USAGE',
    message: expect.stringContaining('--trust /nope.pem'),
  })
})
