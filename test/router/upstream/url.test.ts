import { describe, expect, it } from 'vitest'
import { createUpstream } from '../../../src/router/upstream/upstream.ts'
import { parseUpstreamUrl } from '../../../src/router/upstream/url.ts'

describe('good', () => {
  it.each([
    ['udp://192.0.2.1', { scheme: 'udp', endpoints: [{ host: '192.0.2.1', port: 53 }] }],
    ['udp://192.0.2.1:5353', { scheme: 'udp', endpoints: [{ host: '192.0.2.1', port: 5353 }] }],
    ['tcp://[2001:db8::1]', { scheme: 'tcp', endpoints: [{ host: '2001:db8::1', port: 53 }] }],
    [
      'tls://9.9.9.9#dns.quad9.net',
      { scheme: 'tls', endpoints: [{ host: '9.9.9.9', port: 853 }], name: 'dns.quad9.net' },
    ],
    [
      'tls://[2001:db8::1]:8853#dns.example',
      { scheme: 'tls', endpoints: [{ host: '2001:db8::1', port: 8853 }], name: 'dns.example' },
    ],
    ['tls://192.0.2.1', { scheme: 'tls', endpoints: [{ host: '192.0.2.1', port: 853 }], name: '192.0.2.1' }],
    [
      'https://192.0.2.1',
      { scheme: 'https', endpoints: [{ host: '192.0.2.1', port: 443 }], name: '192.0.2.1', path: '/dns-query' },
    ],
    ['https://192.0.2.1/', { path: '/dns-query' }],
    ['https://192.0.2.1:8443/resolve', { endpoints: [{ host: '192.0.2.1', port: 8443 }], path: '/resolve' }],
    ['https://192.0.2.1/dns-query{?dns}', { path: '/dns-query' }],
    ['https://192.0.2.1/dns-query?token=abc', { path: '/dns-query?token=abc' }],
    ['https://192.0.2.1/dns-query#dns.example', { name: 'dns.example', path: '/dns-query' }],
    ['https://[2001:db8::1]/dns-query', { endpoints: [{ host: '2001:db8::1', port: 443 }], name: '2001:db8::1' }],
  ])('%s', (text, expected) => expect(parseUpstreamUrl(text)).toMatchObject({ id: text, ...expected }))

  it('a name with pinned addresses', () => {
    expect(parseUpstreamUrl('https://dns.example/dns-query', ['192.0.2.1', '2001:db8::1'])).toMatchObject({
      endpoints: [
        { host: '192.0.2.1', port: 443 },
        { host: '2001:db8::1', port: 443 },
      ],
      name: 'dns.example',
    })
    expect(parseUpstreamUrl('tls://dns.example:8853', ['192.0.2.1'])).toMatchObject({
      endpoints: [{ host: '192.0.2.1', port: 8853 }],
      name: 'dns.example',
    })
  })

  it.each(['udp://192.0.2.1', 'tcp://192.0.2.1', 'tls://192.0.2.1#dns.example', 'https://192.0.2.1'])(
    '%s becomes a resolver with that id',
    (text) => {
      expect(createUpstream(parseUpstreamUrl(text)).id).toBe(text)
    },
  )
})

describe('bad', () => {
  it.each([
    ['', 'expected udp://ADDRESS'],
    ['192.0.2.1', 'expected udp://ADDRESS'],
    ['192.0.2.1:53', 'expected udp://ADDRESS'],
    ['http://192.0.2.1/dns-query', 'expected udp://ADDRESS'],
    ['quic://192.0.2.1', 'expected udp://ADDRESS'],
    ['constructor://192.0.2.1', 'expected udp://ADDRESS'],
    ['udp://', 'nobody proves who he is'],
    ['udp://dns.example', 'nobody proves who he is'],
    ['udp://192.0.2.1:99999', 'expected udp://ADDRESS'],
    ['udp://192.0.2.1:0', 'no port 0'],
    ['tls://dns.example', 'its host is a name, which nobody could look up for us; add `addresses: [IP, ...]`'],
    ['https://dns.example/dns-query', 'its host is a name'],
    ['tls://user@192.0.2.1', 'no user name'],
    ['https://:secret@192.0.2.1/', 'no user name'],
    ['udp://192.0.2.1?x=1', 'has no path and no query'],
    ['tls://192.0.2.1/dns-query', 'has no path and no query'],
    ['udp://192.0.2.1#dns.example', 'takes no #NAME'],
    ['tcp://192.0.2.1#dns.example', 'takes no #NAME'],
    ['tls://192.0.2.1#not a name', 'not a name'],
    ['tls://192.0.2.1#-dns-.example', 'not a name'],
  ])('%j: %s', (text, reason) => {
    expect(() => parseUpstreamUrl(text)).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringContaining(reason) }),
    )
  })

  it('a pinned address that is none', () => {
    expect(() => parseUpstreamUrl('https://dns.example/', ['192.0.2.1', 'dns.example'])).toThrow(
      'dns.example is not an IP address',
    )
  })
})
