import { expect, it } from 'vitest'
import { upstreamsText } from '../../../src/router/cli/text.ts'

it('hearth upstreams: a line for each, and below it what it said last', () => {
  const text = upstreamsText([
    {
      id: 'tls://9.9.9.9#dns.quad9.net',
      state: 'up',
      routes: ['default route'],
      rttMs: 12.4,
      queries: 1234,
      failures: 2,
      failuresInARow: 0,
    },
    {
      id: 'udp://10.0.0.53',
      state: 'down',
      designated: 'tls://10.0.0.53:853 at 10.0.0.53',
      routes: ['route corp.example', 'route lab.example'],
      queries: 3,
      failures: 3,
      failuresInARow: 3,
      lastError: 'udp://10.0.0.53 did not answer in time',
    },
  ])
  expect(text).toBe(
    `
upstream                     state     time  asked  failed  for
tls://9.9.9.9#dns.quad9.net  up     12.4 ms   1234       2  default route
udp://10.0.0.53              down         -      3       3  route corp.example, route lab.example
  asked encrypted, as it said itself: tls://10.0.0.53:853 at 10.0.0.53
  last error: udp://10.0.0.53 did not answer in time
`.trim(),
  )
})
