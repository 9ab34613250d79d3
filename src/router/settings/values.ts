import { field, list } from '../../core/settings.ts'
import { refuse, shown } from '../../core/units.ts'
import { addressText, addressToBytes } from '../../dns/address.ts'
import { isAccessEntry } from '../../net/address.ts'
import { pathResolver, readPem } from '../../store/settings-file.ts'

/** Values that several sections of the router's settings have, and what sections need to read the files they name. */

/** In the spelling of RFC 5952, so that addresses can be compared as text. */
export const ipAddress = (description: string) =>
  field({ type: 'IP address', description }, (value) => {
    const octets = typeof value === 'string' ? addressToBytes(value) : undefined
    return octets ? addressText(octets) : refuse(`expected an IP address, got ${shown(value)}`)
  })

const PREFIXES_MAX = 64

/** Clients by network: `lan` stands for the private addresses. */
export const clientPrefixes = (description: string, options: { readonly default?: readonly string[] } = {}) =>
  list(
    description,
    field({ type: 'lan | address | prefix', description: '' }, (value) =>
      typeof value === 'string' && isAccessEntry(value)
        ? value
        : refuse(`expected lan, an address or a prefix such as 192.0.2.0/24, got ${shown(value)}`),
    ),
    { max: PREFIXES_MAX, ...options },
  )

/** Reads what settings name: paths are relative to the settings file. */
export interface SettingsFiles {
  /** The absolute path. */
  at(path: string): string
  /** PEM roots, or nothing when there is no path. `key` names the setting in complaints. */
  roots(path: string | undefined, key: string): Promise<{ readonly trust?: readonly string[] }>
}

export function settingsFiles(directory: string): SettingsFiles {
  const at = pathResolver(directory)
  return {
    at,
    roots: async (path, key) => (path === undefined ? {} : { trust: await readPem(at(path), key) }),
  }
}
