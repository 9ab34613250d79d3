import { choice, domainName, duration, filePath, httpsUrl, text } from '../../core/fields.ts'
import { checked, optional, type SettingsOf, section } from '../../core/settings.ts'
import { readSecret } from '../../store/settings-file.ts'
import type { SettingsFiles } from './values.ts'

const delegation = checked(
  section('ACME delegation (RFC 9115) with certificates that renew by themselves (RFC 8739)', {
    directory: httpsUrl('directory of the operator'),
    eab: section('ties this router to its name at the operator', {
      kid: text('key identifier, as handed out'),
      'key-file': filePath('file with the key, base64url as handed out'),
    }),
    trust: optional(
      filePath('PEM roots: alone for the HTTPS of the operator, beside the public ones for certificates'),
    ),
    lifetime: duration('lifetime to ask for', { default: '7d', min: '1s', max: '90d' }),
    'order-span': duration('how long one order renews by itself', { default: '365d', min: '1m', max: '3650d' }),
  }),
  (order, complain) => {
    if (order['order-span'] < 2 * order.lifetime)
      complain(
        ['order-span'],
        'an order must last for two certificates at least',
        'make it longer, or lifetime shorter',
      )
  },
)

export const IDENTITY_SETTINGS = section('the name and certificate of this router', {
  name: domainName('unique name of this router, as the operator registered it'),
  solution: choice('how the certificate is obtained', ['acme-delegation'], { default: 'acme-delegation' }),
  'acme-delegation': delegation,
})

export interface IdentityConfig {
  readonly name: string
  readonly acmeDelegation: {
    readonly directory: string
    readonly eab: { readonly kid: string; readonly key: string }
    readonly trust?: readonly string[]
    readonly lifetimeMs: number
    readonly orderSpanMs: number
  }
}

export async function identityConfigOf(
  { name, 'acme-delegation': order }: SettingsOf<typeof IDENTITY_SETTINGS>,
  files: SettingsFiles,
): Promise<IdentityConfig> {
  return {
    name,
    acmeDelegation: {
      directory: order.directory,
      eab: {
        kid: order.eab.kid,
        key: await readSecret(files.at(order.eab['key-file']), 'identity.acme-delegation.eab.key-file'),
      },
      ...(await files.roots(order.trust, 'identity.acme-delegation.trust')),
      lifetimeMs: order.lifetime,
      orderSpanMs: order['order-span'],
    },
  }
}
