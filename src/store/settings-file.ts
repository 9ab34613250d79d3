import { readFile, stat } from 'node:fs/promises'
import { isAbsolute, join } from 'node:path'
import { Fault } from '../core/fault.ts'

/** Reading settings files and the files they name. */

const SECRET_BYTES_MAX = 4096
/** Group and others. */
const MODE_OTHERS = 0o077

/** Paths in a settings file are relative to it, not to wherever the program was started. */
export function pathResolver(directory: string): (path: string) => string {
  return (path) => (isAbsolute(path) ? path : join(directory, path))
}

export async function readSettingsFile(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    throw new Fault('CONFIG_UNREADABLE', `cannot read the settings file ${file}`, { file }, error)
  }
}

/** A file of PEM certificates, whole. */
export async function readPem(path: string, key: string): Promise<readonly string[]> {
  const text = await readNamed(path, key)
  if (!text.includes('-----BEGIN CERTIFICATE-----'))
    throw new Fault('CONFIG_INVALID', `${key}: ${path} holds no PEM certificate`, { key, path })
  return [text]
}

/** One line of text that nobody else on this machine may read. */
export async function readSecret(path: string, key: string): Promise<string> {
  const secret = (await readNamed(path, key)).trim()
  if (secret === '' || secret.length > SECRET_BYTES_MAX || /\s/.test(secret))
    throw new Fault('CONFIG_INVALID', `${key}: ${path} must hold the key alone, on one line`, { key, path })
  await checkPrivate(path, key)
  return secret
}

export async function readPrivateKey(path: string, key: string): Promise<string> {
  const text = await readNamed(path, key)
  if (!/-----BEGIN (EC |RSA |)PRIVATE KEY-----/.test(text))
    throw new Fault('CONFIG_INVALID', `${key}: ${path} holds no unencrypted PEM private key`, { key, path })
  await checkPrivate(path, key)
  return text
}

/** The lines of a file that say something; what stands after `;` or `#` is for people. Lines count from 1. */
export async function readLines(
  path: string,
  key: string,
): Promise<readonly { readonly text: string; readonly line: number }[]> {
  return (await readNamed(path, key))
    .split('\n')
    .map((text, index) => ({ text: text.replace(/[;#].*/, '').trim(), line: index + 1 }))
    .filter(({ text }) => text !== '')
}

async function checkPrivate(path: string, key: string): Promise<void> {
  if (((await stat(path)).mode & MODE_OTHERS) !== 0)
    throw new Fault('CONFIG_INVALID', `${key}: others may read ${path}; run \`chmod 600 ${path}\``, { key, path })
}

async function readNamed(path: string, key: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw new Fault('CONFIG_INVALID', `${key}: cannot read ${path}`, { key, path }, error)
  }
}
