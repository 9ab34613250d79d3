import { readFileSync } from 'node:fs'

/** Octets of hexadecimal text; spaces, line ends and what follows a `#` are for the reader. */
export function hex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replaceAll(/#.*$/gm, '').replaceAll(/\s/g, ''), 'hex'))
}

/** Octets of a file in test/golden/dns. */
export function golden(name: string): Uint8Array {
  return hex(readFileSync(new URL(`../golden/dns/${name}.hex`, import.meta.url), 'utf8'))
}

export function hexOf(octets: Uint8Array): string {
  return Buffer.from(octets).toString('hex')
}
