import type { Directory } from '../../resource.ts'
import type { AcmeContext } from '../context.ts'
import type { Call } from '../endpoints.ts'
import { jsonReply, type Reply } from '../exchange.ts'

/** RFC 8555 §7.1.1, with the metadata of RFC 8739 §3.2 and RFC 9115 §2.3.4 and §2.3.5. */
export function directory(_call: Call<'directory'>, context: AcmeContext): Reply {
  const { urls, autoRenewal, termsOfService, externalAccounts, issued, profiles } = context
  const resources: Directory = {
    newNonce: urls.to('newNonce', {}),
    newAccount: urls.to('newAccount', {}),
    newOrder: urls.to('newOrder', {}),
    keyChange: urls.to('keyChange', {}),
    revokeCert: urls.to('revokeCert', {}),
    ...(issued ? { renewalInfo: urls.to('renewalInfo', { certificate: '' }).replace(/\/$/, '') } : {}),
    meta: {
      ...(termsOfService === undefined ? {} : { termsOfService }),
      externalAccountRequired: externalAccounts !== undefined,
      'delegation-enabled': true,
      'allow-certificate-get': true,
      ...(autoRenewal === undefined
        ? {}
        : {
            'auto-renewal': {
              'min-lifetime': autoRenewal.minLifetimeS,
              'max-duration': autoRenewal.maxDurationS,
              'allow-certificate-get': true,
            },
          }),
    },
  }
  return jsonReply(200, profiles ? { ...resources, meta: { ...resources.meta, profiles } } : resources)
}

/** RFC 8555 §7.2: HEAD says 200, everything else 204. The nonce itself is put on by the server, as on every POST reply. */
export function newNonce({ request }: Call<'newNonce'>): Reply {
  return { status: request.method === 'HEAD' ? 200 : 204, headers: { 'Cache-Control': 'no-store' } }
}
