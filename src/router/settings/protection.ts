import { flag, integer } from '../../core/fields.ts'
import { list, type SettingsOf, section } from '../../core/settings.ts'
import type { RateLimitOptions } from '../resolve/rate-limit.ts'
import type { RebindingOptions } from '../resolve/rebinding.ts'
import { domainTree } from './domain-tree.ts'
import { clientPrefixes } from './values.ts'

const NAMES_MAX = 256

const REBINDING_SETTINGS = section('private addresses in answers from outside (DNS rebinding)', {
  enabled: flag('withhold them', { default: true }),
  allow: list('names that may have them, with all below', domainTree(''), { max: NAMES_MAX, default: [] }),
  'allow-loopback': flag('let 127.0.0.0/8 through, which lists of mail senders answer with', { default: false }),
})

/**
 * The defaults are for homes: a page with everything around it asks some hundred names at once, a large home some 50 a second
 * at its busiest, and a second router may ask for all of it from one address. What runs away asks thousands a second.
 */
const RATE_LIMIT_SETTINGS = section('how much one client may ask (an address, or a /64 of IPv6)', {
  enabled: flag('count', { default: true }),
  'queries-per-second': integer('questions a second, for ever', { min: 1, max: 1_000_000, default: 200 }),
  burst: integer('questions at once, after a pause', { min: 1, max: 1_000_000, default: 1000 }),
  'open-questions': integer('questions that wait for an upstream at one time', { min: 1, max: 4096, default: 512 }),
  // Whatever runs on the router itself asks for others: a DHCP server with a DNS part of its own, say.
  exempt: clientPrefixes('clients that are not counted', { default: ['127.0.0.0/8', '::1'] }),
})

export const PROTECTION_SETTINGS = section('what clients and answers may not do', {
  rebinding: REBINDING_SETTINGS,
  'rate-limit': RATE_LIMIT_SETTINGS,
})

export interface ProtectionConfig {
  /** Absent: not wanted. */
  readonly rebinding?: RebindingOptions
  readonly rateLimit?: RateLimitOptions
}

export function protectionConfigOf({
  rebinding,
  'rate-limit': limit,
}: SettingsOf<typeof PROTECTION_SETTINGS>): ProtectionConfig {
  const { allow, 'allow-loopback': loopbackAllowed } = rebinding
  const { 'queries-per-second': perSecond, burst, 'open-questions': openMax, exempt } = limit
  return {
    ...(rebinding.enabled ? { rebinding: { exempt: allow, loopbackAllowed } } : {}),
    ...(limit.enabled ? { rateLimit: { perSecond, burst, openMax, exempt } } : {}),
  }
}
