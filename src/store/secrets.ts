import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { Fault } from '../core/fault.ts'
import type { Stored, Table } from '../core/table.ts'
import { type Keep, readKept } from './kept.ts'

/** Secrets that all instances on one store share: made once, by whoever needs them first. */

/** `text` is plain; `sealed` is encrypted with the key of the settings, base64url. */
export type SecretRow = { readonly text: string } | { readonly sealed: string }

/** AES-256-GCM. */
export const STORE_KEY_BYTES = 32
const NONCE_BYTES = 12
const TAG_BYTES = 16
const CIPHER = 'aes-256-gcm'

/** What is plain in the table is sealed as soon as somebody with a key reads it. */
export function keptInTable(table: Table<SecretRow>, key?: Uint8Array): Keep {
  const rowOf = (name: string, text: string): SecretRow => (key ? { sealed: seal(name, text, key) } : { text })
  const make = async (name: string, text: string): Promise<Stored<SecretRow>> =>
    // Undefined: another instance was faster, and what it made is what counts.
    (await table.insert(name, rowOf(name, text))) ?? (await table.find(name))!
  return async (name, read, makeText) => {
    const stored = (await table.find(name)) ?? (await make(name, await makeText()))
    const text = 'text' in stored.row ? stored.row.text : unseal(name, stored.row.sealed, key)
    if (key && 'text' in stored.row) await table.replace(stored, rowOf(name, text))
    return readKept(text, read, `the secret ${name} in the store`)
  }
}

const SECRET_BYTES = 32

/** Random bytes for keys of a MAC, the same at all instances. */
export function secretIn(keep: Keep, name: string): Promise<Buffer> {
  const read = (text: string): Buffer => {
    const bytes = Buffer.from(text, 'base64url')
    if (bytes.length !== SECRET_BYTES) throw new RangeError('not a secret of ours')
    return bytes
  }
  return keep(`${name}.secret`, read, async () => randomBytes(SECRET_BYTES).toString('base64url'))
}

/** The name is authenticated too: a row copied under another name does not open. */
function seal(name: string, text: string, key: Uint8Array): string {
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv(CIPHER, key, nonce).setAAD(Buffer.from(name))
  return Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]).toString('base64url')
}

function unseal(name: string, sealed: string, key: Uint8Array | undefined): string {
  if (!key) throw new Fault('STORE_KEY_WRONG', `the secret ${name} in the store is encrypted, and no key is given`)
  const bytes = Buffer.from(sealed, 'base64url')
  try {
    const decipher = createDecipheriv(CIPHER, key, bytes.subarray(0, NONCE_BYTES)).setAAD(Buffer.from(name))
    decipher.setAuthTag(bytes.subarray(-TAG_BYTES))
    return Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()]).toString()
  } catch {
    throw new Fault('STORE_KEY_WRONG', `the secret ${name} in the store was encrypted with another key`)
  }
}
