import { choice, hostPort, integer } from '../../core/fields.ts'
import { checked, list, type SettingsOf, section } from '../../core/settings.ts'
import { endpointText } from '../../net/bind.ts'
import { CONNECTIONS } from '../listen/listener.ts'

const LISTENERS_MAX = 16

export const LISTEN_SETTINGS = checked(
  section('where to answer', {
    do53: list('plain DNS, UDP and TCP', hostPort('', { defaultPort: 53 }), {
      max: LISTENERS_MAX,
      default: ['127.0.0.1:5453'],
    }),
    dot: list('DNS over TLS', hostPort('', { defaultPort: 853 }), { max: LISTENERS_MAX, default: ['127.0.0.1:8853'] }),
    doh: list('DNS over HTTPS', hostPort('', { defaultPort: 443 }), {
      max: LISTENERS_MAX,
      default: ['127.0.0.1:8443'],
    }),
    http2: choice('who speaks HTTP/2 for DNS over HTTPS: our own server, or the one of Node.js', ['own', 'node'], {
      default: 'own',
    }),
    'udp-batches': choice(
      'take and give many datagrams for one system call where the runtime can (Node.js 26, 64-bit Linux); read at start',
      ['auto', 'off'],
      { default: 'auto' },
    ),
    connections: integer('open connections of one listener', { min: 16, max: 65_535, default: CONNECTIONS.max }),
    'connections-per-client': integer('of those, from one IPv4 address or IPv6 /64', {
      min: 1,
      max: 65_535,
      default: CONNECTIONS.maxPerClient,
    }),
  }),
  (settings, complain) => {
    for (const transport of ['do53', 'dot', 'doh'] as const) {
      const texts = settings[transport].map(endpointText)
      // Port 0 is another one each time.
      const twice = texts.findIndex((text, index) => texts.indexOf(text) < index && !text.endsWith(':0'))
      if (twice >= 0) complain([transport, twice], `${texts[twice]} is listed twice`)
    }
  },
)

export type ListenConfig = SettingsOf<typeof LISTEN_SETTINGS>
