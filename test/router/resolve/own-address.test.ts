import { describe, expect, it } from 'vitest'
import type { Endpoint } from '../../../src/net/bind.ts'
import { loopFault } from '../../../src/router/resolve/own-address.ts'

const OWN = ['127.0.0.1', '192.168.1.1', '::1', 'fd00::1', 'fe80::1%br-lan']
const at = (host: string, port = 53): Endpoint => ({ host, port })
const isLoop = (upstream: Endpoint, listener: Endpoint): boolean =>
  loopFault({ id: 'up', endpoints: [upstream] }, [listener], OWN) !== undefined

describe('an upstream that is this router itself', () => {
  it.each([
    [at('192.168.1.1'), at('192.168.1.1')],
    [at('192.168.1.1'), at('0.0.0.0')],
    [at('192.168.1.1'), at('::')],
    [at('::ffff:192.168.1.1'), at('192.168.1.1')],
    [at('127.0.0.53'), at('0.0.0.0')],
    [at('127.0.0.53'), at('::')],
    [at('0.0.0.0'), at('127.0.0.1')],
    [at('::'), at('::1')],
    [at('fd00:0:0::1'), at('fd00::1')],
    [at('fd00::1'), at('::')],
    [at('fe80::1'), at('::')],
    [at('::1'), at('::')],
  ])('%o is reached at the listener %o', (upstream, listener) => {
    expect(isLoop(upstream, listener)).toBe(true)
  })

  it.each([
    [at('192.168.1.1', 5353), at('192.168.1.1')],
    [at('192.168.1.2'), at('0.0.0.0')],
    [at('192.168.1.2'), at('::')],
    [at('127.0.0.2'), at('127.0.0.1')],
    [at('fd00::1'), at('0.0.0.0')],
    [at('fd00::2'), at('::')],
    [at('9.9.9.9', 853), at('0.0.0.0', 853)],
  ])('%o is not the listener %o', (upstream, listener) => {
    expect(isLoop(upstream, listener)).toBe(false)
  })

  it('is named, with the listener; one of its addresses is enough', () => {
    const fault = loopFault(
      { id: 'tls://dns.example', endpoints: [at('9.9.9.9', 853), at('192.168.1.1', 853)] },
      [at('127.0.0.1'), at('::', 853)],
      OWN,
    )
    expect(fault).toMatchObject({
      code: 'UPSTREAM_LOOP',
      message: 'tls://dns.example is this router itself, which listens on [::]:853',
    })
  })
})
