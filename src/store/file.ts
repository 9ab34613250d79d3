import { randomBytes } from 'node:crypto'
import { type FileHandle, mkdir, open, readdir, rename, rm, rmdir, unlink } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'
import { basename, dirname, join, resolve } from 'node:path'
import { Fault } from '../core/fault.ts'

/** State in files. What is written is there as a whole or not at all, whenever the power goes. */

/** Our largest file, a CA with its certificates, is a hundredth of this. */
const FILE_BYTES_MAX = 16 * 1024 * 1024

const TEMPORARY = '.tmp'

/** The path holds the old content or the new one, never half of either. */
export async function writeFileAtomic(
  path: string,
  data: string | Uint8Array,
  { mode = 0o600 }: { readonly mode?: number } = {},
): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.${randomName()}${TEMPORARY}`)
  try {
    await using file = await open(temporary, 'wx', mode)
    await file.chmod(mode)
    await file.writeFile(data)
    await file.sync()
    await rename(temporary, path)
    await syncDirectory(dirname(path))
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {})
    throw unwritable(path, error)
  }
}

/** Undefined when there is no such file. */
export async function readFileIfThere(path: string, bytesMax = FILE_BYTES_MAX): Promise<Buffer | undefined> {
  try {
    const chunks: Uint8Array[] = []
    await using file = await open(path, 'r')
    for await (const chunk of file.createReadStream({ end: bytesMax, autoClose: false })) chunks.push(chunk)
    const bytes = Buffer.concat(chunks)
    if (bytes.length > bytesMax) throw new Fault('STATE_DAMAGED', `${path} is larger than ${bytesMax} bytes`, { path })
    return bytes
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    if (codeOf(error) === 'EISDIR') throw new Fault('STATE_DAMAGED', `${path} is a directory`, { path }, error)
    if (codeOf(error) === 'EACCES') throw new Fault('STATE_UNWRITABLE', `no right to read ${path}`, { path }, error)
    throw error
  }
}

/** Removing what is not there is fine. */
export async function removeFile(path: string): Promise<void> {
  try {
    await rm(path, { force: true })
    await syncDirectory(dirname(path))
  } catch (error) {
    throw unwritable(path, error)
  }
}

export interface DirectoryLock {
  release(): Promise<void>
}

const LOCK = '.lock'
/** Each attempt lost means that another process came or went in the same moment. */
const LOCK_ATTEMPTS_MAX = 20

/**
 * Makes the directory when it is absent and keeps other processes out of it until released, or until this process ends in
 * whatever way. The lock is a directory with a listening socket in it: the kernel knows whether its owner lives, also across
 * containers and after a reboot. Moving a directory onto another succeeds only while that is empty, and a dead owner is
 * removed by its own unique name, so two who find the same dead owner cannot both win.
 */
export async function lockDirectory(path: string): Promise<DirectoryLock> {
  const directory = resolve(path)
  const lock = join(directory, LOCK)
  const owner = `${process.pid}-${randomName()}`
  const prepared = join(directory, `${LOCK}-${owner}`)
  try {
    await mkdir(prepared, { recursive: true, mode: 0o700 })
  } catch (error) {
    throw unwritable(directory, error)
  }
  let socket: Server | undefined
  try {
    socket = await listenIn(prepared, owner)
    await moveOnto(prepared, lock, directory)
    await removeLeftovers(directory)
  } catch (error) {
    socket?.close()
    await rm(prepared, { recursive: true, force: true })
    throw unwritable(directory, error)
  }
  const held = socket
  return {
    async release() {
      held.close()
      await unlink(join(lock, owner)).catch(() => {})
      await rmdir(lock).catch(() => {})
    },
  }
}

async function moveOnto(prepared: string, lock: string, directory: string): Promise<void> {
  for (let attempt = 0; attempt < LOCK_ATTEMPTS_MAX; attempt++) {
    try {
      return await rename(prepared, lock)
    } catch (error) {
      if (codeOf(error) !== 'ENOTEMPTY' && codeOf(error) !== 'EEXIST') throw error
    }
    for (const owner of await namesIn(lock)) {
      if (await isListening(lock, owner)) throw lockedBy(owner, directory)
      await unlink(join(lock, owner)).catch(() => {})
    }
  }
  throw new Fault('STATE_LOCKED', `${directory} is being locked by others all the time`, { path: directory })
}

/** What a killed process was just writing. Nobody else writes here now. */
async function removeLeftovers(directory: string): Promise<void> {
  const leftovers = (await readdir(directory)).filter((name) => name.startsWith('.') && name.endsWith(TEMPORARY))
  await Promise.all(leftovers.map((name) => unlink(join(directory, name))))
}

function lockedBy(owner: string, directory: string): Fault {
  const pid = Number.parseInt(owner, 10)
  return new Fault('STATE_LOCKED', `${directory} is in use by process ${pid}`, { path: directory, pid })
}

async function listenIn(directory: string, name: string): Promise<Server> {
  await using parent = await open(directory, 'r')
  const server = createServer((client) => client.destroy())
  await new Promise<void>((listening, failed) => {
    server.once('error', failed).listen({ path: socketPath(parent, directory, name), backlog: 1 }, listening)
  })
  return server.unref()
}

async function isListening(directory: string, name: string): Promise<boolean> {
  try {
    await using parent = await open(directory, 'r')
    const path = socketPath(parent, directory, name)
    await new Promise<void>((connected, failed) => {
      const client = connect(path, () => {
        client.destroy()
        connected()
      })
      client.once('error', failed)
    })
    return true
  } catch (error) {
    // Anything else (no right to connect, queue full) comes from a socket that somebody serves.
    return codeOf(error) !== 'ECONNREFUSED' && codeOf(error) !== 'ENOENT'
  }
}

/** Addresses of unix sockets end after 107 bytes (unix(7)); through the open directory the path is short. */
function socketPath(parent: FileHandle, directory: string, name: string): string {
  const path = join(directory, name)
  return Buffer.byteLength(path) < SOCKET_PATH_BYTES_MAX ? path : `/proc/self/fd/${parent.fd}/${name}`
}
const SOCKET_PATH_BYTES_MAX = 104

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return []
    throw error
  }
}

async function syncDirectory(directory: string): Promise<void> {
  await using parent = await open(directory, 'r')
  await parent.sync()
}

const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'no right to write there',
  EPERM: 'the system does not permit it',
  EROFS: 'the file system is read-only',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota is used up',
  ENOENT: 'the directory does not exist',
  ENOTDIR: 'its parent is not a directory',
}

/** An error of the system in words that name the path. */
export function unwritable(path: string, error: unknown): unknown {
  const code = codeOf(error)
  if (code === undefined || error instanceof Fault) return error
  return new Fault('STATE_UNWRITABLE', `${path} cannot be written: ${REASONS[code] ?? code}`, { path }, error)
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined
}

function randomName(): string {
  return randomBytes(6).toString('hex')
}
