import { hostPort } from '../../core/fields.ts'
import { list, type SettingsOf, section } from '../../core/settings.ts'

const LISTENERS_MAX = 16

export const LISTEN_SETTINGS = section('where to answer', {
  do53: list('plain DNS, UDP and TCP', hostPort('', { defaultPort: 53 }), {
    max: LISTENERS_MAX,
    default: ['127.0.0.1:5453'],
  }),
  dot: list('DNS over TLS', hostPort('', { defaultPort: 853 }), { max: LISTENERS_MAX, default: ['127.0.0.1:8853'] }),
  doh: list('DNS over HTTPS', hostPort('', { defaultPort: 443 }), {
    max: LISTENERS_MAX,
    default: ['127.0.0.1:8443'],
  }),
})

export type ListenConfig = SettingsOf<typeof LISTEN_SETTINGS>
