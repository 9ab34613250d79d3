import { randomBytes } from 'node:crypto'
import type { AcmeServerOptions } from './options.ts'
import { Urls } from './urls.ts'

/** What every step and handler is given: the options with their defaults, and the URLs. */
export type AcmeContext = AcmeServerOptions & typeof DEFAULTS & { readonly urls: Urls }

const DEFAULTS = {
  /** 50 URLs fill about 4 kB. */
  pageSize: 50,
  retryAfterS: 3,
  orderLifetimeMs: 7 * 86_400_000,
}

export function createContext(options: AcmeServerOptions): AcmeContext {
  return { ...DEFAULTS, ...options, urls: new Urls(options.baseUrl) }
}

/** RFC 8555 §10.5: unguessable. */
export function randomId(): string {
  return randomBytes(16).toString('base64url')
}
