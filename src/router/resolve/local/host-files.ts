import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { reasonOf } from '../../../core/fault.ts'
import type { KnownHost } from './home.ts'
import { type HostLines, readHostsFile } from './host-lines.ts'
import { type LeaseFormat, readLeases } from './leases.ts'

/** A file that names hosts, or for hosts files a directory of them, as OpenWrt has in /tmp/hosts. */
export interface HostFile {
  readonly path: string
  readonly kind: KnownHost['kind']
  readonly format: LeaseFormat
}

export interface FileProblem {
  readonly file: string
  readonly problem: string
}

/** Five thousand leases have some 400 kB. */
const FILE_BYTES_MAX = 2 * 1024 * 1024
/** One per network and DHCP server; a directory with more is another one than was meant. */
const FILES_PER_DIRECTORY_MAX = 64

/** Differs whenever one of the files does: what stat says of each, without reading them. */
export async function stampOf(files: readonly HostFile[]): Promise<string> {
  const stamps = (await expanded(files)).map(async ({ path }) => {
    const found = await stat(path, { bigint: true }).catch(() => undefined)
    return found ? `${path} ${found.ino} ${found.size} ${found.mtimeNs} ${found.ctimeNs}` : path
  })
  return (await Promise.all(stamps)).join('\n')
}

/** All hosts of all files, in the order of the files. A file that is not there holds none, and is no problem. */
export async function readHostFiles(
  files: readonly HostFile[],
): Promise<{ readonly hosts: readonly KnownHost[]; readonly problems: readonly FileProblem[] }> {
  const hosts: KnownHost[] = []
  const problems: FileProblem[] = []
  for (const file of await expanded(files)) {
    const { path, kind } = file
    try {
      const lines = await readOne(file)
      if (!lines) continue
      for (const host of lines.hosts) hosts.push({ ...host, file: path, kind })
      if (lines.damaged) problems.push({ file: path, problem: problemOf(lines.damaged) })
    } catch (error) {
      if (!isMissing(error)) problems.push({ file: path, problem: `cannot be read: ${reasonOf(error)}` })
    }
  }
  return { hosts, problems }
}

async function readOne({ path, kind, format }: HostFile): Promise<HostLines | undefined> {
  const found = await stat(path)
  // A directory within a directory, or a pipe that would never end.
  if (!found.isFile()) return undefined
  if (found.size > FILE_BYTES_MAX) throw new Error(`it is larger than ${FILE_BYTES_MAX} bytes`)
  const text = await readFile(path, 'utf8')
  return kind === 'hosts file' ? readHostsFile(text) : readLeases(text, format)
}

/** With the files of directories in their place. */
async function expanded(files: readonly HostFile[]): Promise<readonly HostFile[]> {
  const lists = files.map(async (file) => {
    try {
      const names = (await readdir(file.path)).sort().slice(0, FILES_PER_DIRECTORY_MAX)
      return names.map((name) => ({ ...file, path: join(file.path, name) }))
    } catch {
      return [file]
    }
  })
  return (await Promise.all(lists)).flat()
}

function problemOf({ line, problem, count }: NonNullable<HostLines['damaged']>): string {
  return `line ${line} is left out: ${problem}${count > 1 ? `, and ${count - 1} more lines` : ''}`
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')
}
