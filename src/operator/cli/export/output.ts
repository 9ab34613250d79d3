import { type FileHandle, mkdir, open, readdir, rm, rmdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Fault } from '../../../core/fault.ts'
import { readFileIfThere, removeFile, unwritable, writeFileAtomic } from '../../../store/file.ts'
import type { NewDevice } from '../../delegation/device.ts'
import { type Format, routerFiles, type Service, textFormat } from './format.ts'

/** Where keys are written. What was written before a crash is gone on from, never written over. */
export interface Output {
  /** Names the run to the registry, so that the batch under way at a crash may be added again. */
  readonly run: string
  /** Devices written already. */
  readonly done: number
  append(devices: readonly NewDevice[]): Promise<void>
  /** All are written. */
  finish(): Promise<void>
  /** Takes away what this command has begun, as long as it has written nothing. */
  discard(): Promise<void>
  /** For now. */
  close(): Promise<void>
}

/** Beside the output while it is unfinished. */
interface Progress {
  readonly run: string
  /** What the devices are made from; another command must not go on with this output. */
  readonly source: string
  readonly format: Format
  readonly done: number
  /** Of a file: up to here it is good. */
  readonly bytes: number
}

export async function openOutput(
  path: string,
  options: { readonly format: Format; readonly source: string; readonly run: string; readonly service: Service },
): Promise<Output> {
  const { format, source, service } = options
  const isDirectory = format === 'openwrt'
  const progressPath = isDirectory ? join(path, '.progress') : `${path}.progress`
  const begun = readProgress(await readFileIfThere(progressPath), progressPath)
  if (begun && (begun.source !== source || begun.format !== format))
    throw new Fault(
      'USAGE',
      `${path} was begun by another command (${begun.source}, ${begun.format}); repeat that one to complete it, or name another file`,
    )
  if (!begun && (await hasContent(path, isDirectory)))
    throw new Fault('USAGE', `${path} exists; keys that were handed out are not written over, name another place`)
  let progress: Progress = begun ?? { run: options.run, source, format, done: 0, bytes: 0 }
  const save = async (next: Progress): Promise<void> => {
    await writeFileAtomic(progressPath, JSON.stringify(next))
    progress = next
  }
  try {
    if (isDirectory) await mkdir(path, { recursive: true, mode: 0o700 })
    if (!begun) await save(progress)
    const to = isDirectory
      ? intoDirectory(path, service)
      : await intoFile(path, textFormat(format, service), progress.bytes)
    return {
      run: progress.run,
      done: progress.done,
      async append(devices) {
        const bytes = await to.append(devices, progress.done)
        await save({ ...progress, done: progress.done + devices.length, bytes })
      },
      async finish() {
        await to.finish()
        await removeFile(progressPath)
      },
      async discard() {
        if (begun || progress.done > 0) return
        await rm(progressPath, { force: true })
        await (isDirectory ? rmdir(path).catch(() => {}) : rm(path, { force: true }))
      },
      close: () => to.close(),
    }
  } catch (error) {
    throw unwritable(path, error)
  }
}

/** `append` resolves to the length of the file once its bytes are on the disk. */
interface Target {
  append(devices: readonly NewDevice[], done: number): Promise<number>
  finish(): Promise<void>
  close(): Promise<void>
}

async function intoFile(path: string, text: ReturnType<typeof textFormat>, goodBytes: number): Promise<Target> {
  const file: FileHandle = await open(path, 'a', 0o600)
  // What came after the last save may be half a record; its devices are added again.
  await file.truncate(goodBytes)
  let bytes = goodBytes
  const write = async (content: string): Promise<void> => {
    await file.appendFile(content)
    await file.sync()
    bytes += Buffer.byteLength(content)
  }
  return {
    async append(devices, done) {
      const records = devices.map((device, index) => text.record(device, done === 0 && index === 0))
      await write((done === 0 ? text.head : '') + records.join(''))
      return bytes
    },
    async finish() {
      await write(text.foot)
    },
    close: () => file.close(),
  }
}

/** A directory for each router, named by it. */
function intoDirectory(path: string, service: Service): Target {
  return {
    async append(devices) {
      for (const device of devices) {
        const home = join(path, device.name)
        await mkdir(home, { recursive: true, mode: 0o700 })
        for (const [name, content] of Object.entries(routerFiles(device, service))) {
          await using file = await open(join(home, name), 'w', 0o600)
          await file.writeFile(content)
          await file.sync()
        }
      }
      return 0
    },
    finish: async () => {},
    close: async () => {},
  }
}

async function hasContent(path: string, isDirectory: boolean): Promise<boolean> {
  try {
    const found = await stat(path)
    return isDirectory && found.isDirectory() ? (await readdir(path)).length > 0 : true
  } catch {
    return false
  }
}

function readProgress(bytes: Buffer | undefined, path: string): Progress | undefined {
  if (!bytes) return undefined
  try {
    const { run, source, format, done, bytes: good } = JSON.parse(bytes.toString()) as Progress
    if (typeof run === 'string' && Number.isInteger(done) && Number.isInteger(good))
      return { run, source, format, done, bytes: good }
  } catch {
    // Said below.
  }
  throw new Fault('STATE_DAMAGED', `${path} is damaged`, { path })
}
