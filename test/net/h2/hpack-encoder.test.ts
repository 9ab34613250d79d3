import { expect, it } from 'vitest'
import { HpackDecoder } from '../../../src/net/h2/hpack-decoder.ts'
import { headerBytesMax, type Reply, writeHeaderBlock } from '../../../src/net/h2/hpack-encoder.ts'

const DATE = 'Wed, 25 Nov 2026 02:00:00 GMT'

it.each([
  {
    status: 200,
    headers: { 'content-type': 'application/dns-message', 'cache-control': 'max-age=300' },
    body: Buffer.alloc(61),
  },
  { status: 405, headers: { allow: 'GET, HEAD, POST' }, body: Buffer.alloc(0) },
  { status: 429, headers: { 'retry-after': '2', 'x-of-our-own': 'a'.repeat(300) }, body: Buffer.alloc(65_535) },
] satisfies Reply[])('the header block of a $status is read as it was meant, and fits', (reply) => {
  const target = Buffer.alloc(2_000)
  const end = writeHeaderBlock(target, 3, reply, DATE)
  expect(end - 3).toBeLessThanOrEqual(headerBytesMax(reply))
  const lines: [string, string][] = []
  const decoder = new HpackDecoder(0) // no dynamic table is needed for it
  decoder.decode(target, 3, end, { field: ({ name, value }) => lines.push([name, value]) })
  expect(lines).toEqual([
    [':status', String(reply.status)],
    ...Object.entries(reply.headers),
    ['content-length', String(reply.body.length)],
    ['date', DATE],
  ])
})
