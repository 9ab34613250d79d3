import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { lockDirectory, readFileIfThere, removeFile, writeFileAtomic } from '../../src/store/file.ts'

let home: string
let made = 0

async function directory(): Promise<string> {
  const path = join(home, String(made++))
  await mkdir(path)
  return path
}

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'hearth-file-'))
})
afterAll(() => rm(home, { recursive: true }))

/** Runs the lines, which may use the functions of file.ts, in a process of its own until they print something. */
async function inChild(lines: string): Promise<ChildProcess> {
  const outfile = join(home, `child-${made++}.mjs`)
  const contents = `import * as file from './src/store/file.ts'\n${lines}`
  await build({
    stdin: { contents, resolveDir: process.cwd() },
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    outfile,
  })
  const child = spawn(process.execPath, [outfile], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(child.stdout, 'data')
  return child
}

async function kill(child: ChildProcess): Promise<void> {
  const gone = once(child, 'exit')
  child.kill('SIGKILL')
  await gone
}

describe('writeFileAtomic', () => {
  it('writes with the mode asked for, 0600 unless given, also over a file with another', async () => {
    const path = join(await directory(), 'a')
    await writeFile(path, 'old', { mode: 0o644 })
    await writeFileAtomic(path, 'new')
    expect([await readFile(path, 'utf8'), (await stat(path)).mode & 0o777]).toEqual(['new', 0o600])
    await writeFileAtomic(path, Buffer.from([0, 255]), { mode: 0o666 })
    expect([[...(await readFile(path))], (await stat(path)).mode & 0o777]).toEqual([[0, 255], 0o666])
  })

  it('leaves nothing else behind, also when it fails', async () => {
    const path = await directory()
    await writeFileAtomic(join(path, 'a'), 'x')
    await mkdir(join(path, 'b', 'full'), { recursive: true })
    await expect(writeFileAtomic(join(path, 'b'), 'x')).rejects.toMatchObject({
      code: 'STATE_UNWRITABLE',
      facts: { path: join(path, 'b') },
    })
    expect((await readdir(path)).sort()).toEqual(['a', 'b'])
  })

  it.each([
    ['no/such/a', 'the directory does not exist'],
    ['file/a', 'its parent is not a directory'],
  ])('says why %s cannot be written', async (name, reason) => {
    const path = await directory()
    await writeFile(join(path, 'file'), '')
    await expect(writeFileAtomic(join(path, name), 'x')).rejects.toThrow(
      `${join(path, name)} cannot be written: ${reason}`,
    )
  })

  it('replaces a link, not what it leads to', async () => {
    const path = await directory()
    await writeFile(join(path, 'target'), 'old')
    await symlink('target', join(path, 'link'))
    await writeFileAtomic(join(path, 'link'), 'new')
    expect([await readFile(join(path, 'target'), 'utf8'), await readFile(join(path, 'link'), 'utf8')]).toEqual([
      'old',
      'new',
    ])
  })

  it('leaves the old content or the new one when the process is killed, never half', async () => {
    const path = await directory()
    const file = join(path, 'a')
    const size = 2_000_000
    for (let round = 0; round < 5; round++) {
      const child = await inChild(`
        console.log('begun')
        for (let n = 0; ; n++) await file.writeFileAtomic(${JSON.stringify(file)}, String(n % 10).repeat(${size}))`)
      await new Promise((resolve) => void setTimeout(resolve, 20 + 17 * round))
      await kill(child)
      const content = (await readFileIfThere(file))?.toString() ?? '0'.repeat(size)
      expect(content === content.slice(0, 1).repeat(size)).toBe(true)
    }
    const lock = await lockDirectory(path)
    expect((await readdir(path)).filter((name) => name.endsWith('.tmp'))).toEqual([])
    await lock.release()
  })
})

describe('readFileIfThere', () => {
  it('reads a file, and gives nothing when there is none', async () => {
    const path = await directory()
    await writeFile(join(path, 'a'), 'hello')
    expect((await readFileIfThere(join(path, 'a')))?.toString()).toBe('hello')
    expect((await readFileIfThere(join(path, 'a'), 5))?.toString()).toBe('hello')
    expect(await readFileIfThere(join(path, 'b'))).toBeUndefined()
    await writeFile(join(path, 'empty'), '')
    expect(await readFileIfThere(join(path, 'empty'))).toEqual(Buffer.alloc(0))
  })

  it('refuses what is too large or no file', async () => {
    const path = await directory()
    await writeFile(join(path, 'a'), 'hello')
    await expect(readFileIfThere(join(path, 'a'), 4)).rejects.toMatchObject({ code: 'STATE_DAMAGED' })
    await expect(readFileIfThere('/dev/zero', 100_000)).rejects.toThrow('/dev/zero is larger than 100000 bytes')
    await expect(readFileIfThere(path)).rejects.toMatchObject({ code: 'STATE_DAMAGED' })
  })
})

it('removes a file, there or not', async () => {
  const path = join(await directory(), 'a')
  await writeFileAtomic(path, 'x')
  await removeFile(path)
  await removeFile(path)
  expect(await readFileIfThere(path)).toBeUndefined()
})

describe('lockDirectory', () => {
  it('makes the directory, for this user only', async () => {
    const path = join(await directory(), 'new', 'state')
    const lock = await lockDirectory(path)
    expect((await stat(path)).mode & 0o777).toBe(0o700)
    await lock.release()
    expect(await readdir(path)).toEqual([])
  })

  it('refuses while another holds it and names that process', async () => {
    const path = await directory()
    const child = await inChild(`
      await file.lockDirectory(${JSON.stringify(path)})
      console.log('locked')
      setInterval(() => {}, 1000)`)
    const fault = {
      code: 'STATE_LOCKED',
      message: `${path} is in use by process ${child.pid}`,
      facts: { pid: child.pid },
    }
    await expect(lockDirectory(path)).rejects.toMatchObject(fault)
    await kill(child)
    const takers = await Promise.allSettled(Array.from({ length: 8 }, () => lockDirectory(path)))
    const winners = takers.filter((taker) => taker.status === 'fulfilled')
    expect(winners).toHaveLength(1)
    await expect(lockDirectory(path)).rejects.toMatchObject({ code: 'STATE_LOCKED', facts: { pid: process.pid } })
    await winners[0]?.value.release()
    await (await lockDirectory(path)).release()
    expect(await readdir(path)).toEqual([])
  })

  it('lets one of many in at a time', async () => {
    const path = await directory()
    let inside = 0
    let entries = 0
    const enterOften = async (): Promise<void> => {
      while (entries < 40) {
        const lock = await lockDirectory(path).catch((error: Error) => error)
        if (lock instanceof Error) {
          expect(lock).toMatchObject({ code: 'STATE_LOCKED' })
          continue
        }
        expect(++inside).toBe(1)
        await new Promise(setImmediate)
        inside--
        entries++
        await lock.release()
      }
    }
    await Promise.all(Array.from({ length: 6 }, enterOften))
  })

  it('does not mind a long path', async () => {
    const path = join(await directory(), 'x'.repeat(100), 'y'.repeat(100))
    const lock = await lockDirectory(path)
    await expect(lockDirectory(path)).rejects.toMatchObject({ code: 'STATE_LOCKED' })
    await lock.release()
    await (await lockDirectory(path)).release()
  })

  it('does not keep the process alive', async () => {
    const child = await inChild(`await file.lockDirectory(${JSON.stringify(await directory())}); console.log('locked')`)
    expect(child.exitCode ?? (await once(child, 'exit'))[0]).toBe(0)
  })

  it('says when the directory cannot be made', async () => {
    const path = await directory()
    await writeFile(join(path, 'file'), '')
    await expect(lockDirectory(join(path, 'file'))).rejects.toMatchObject({
      code: 'STATE_UNWRITABLE',
      facts: { path: join(path, 'file') },
    })
  })
})
