import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { readList } from '../../../../src/router/resolve/block/read-list.ts'

async function fileWith(content: string | Uint8Array): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'hearth-list-'))
  onTestFinished(() => rm(directory, { recursive: true }))
  const path = join(directory, 'list.txt')
  await writeFile(path, content)
  return path
}

async function read(content: string | Uint8Array) {
  const rules: string[] = []
  const counts = await readList(await fileWith(content), (octets, { nameStart, nameEnd }, line) => {
    rules.push(`${line} ${Buffer.from(octets.subarray(nameStart, nameEnd)).toString()}`)
  })
  return { rules, counts }
}

describe('a list', () => {
  it('is read line by line, and every kind is counted', async () => {
    const { rules, counts } = await read(
      '! title\n\nads.example\r\n0.0.0.0 a.example b.example\n||c.example^\n||x^$popup\nbücher.example\n<\nlast.example',
    )
    expect(rules).toEqual(['3 ads.example', '4 a.example', '4 b.example', '5 c.example', '9 last.example'])
    expect(counts).toEqual({ rule: 4, names: 5, comment: 2, unsupported: 1, international: 1, malformed: 1 })
  })

  it('may be empty, and may begin with a byte order mark', async () => {
    expect((await read('')).counts.names).toBe(0)
    expect((await read('\ufeffads.example\n')).rules).toEqual(['1 ads.example'])
  })

  it('is the same wherever its chunks end', async () => {
    const names = Array.from({ length: 30_000 }, (_, index) => `n${index.toString(36)}.example`)
    const { rules } = await read(`${'#'.repeat(11)}\n${names.join('\r\n')}`)
    expect(rules).toEqual(names.map((name, index) => `${index + 2} ${name}`))
  })

  it.each([4097, 70_000, 200_000])('a line of %i octets is passed over, and the next one is found', async (length) => {
    const { rules, counts } = await read(`a.example\n${'x'.repeat(length)}\nb.example\n${'y'.repeat(length)}`)
    expect(rules).toEqual(['1 a.example', '3 b.example'])
    expect(counts.unsupported).toBe(2)
  })
})

describe('LIST_UNREADABLE', () => {
  it('a file that is not there, or is a directory', async () => {
    await expect(readList('/nowhere/list.txt', () => {})).rejects.toMatchObject({
      code: 'LIST_UNREADABLE',
      message: '/nowhere/list.txt cannot be read',
    })
    await expect(readList(tmpdir(), () => {})).rejects.toMatchObject({ code: 'LIST_UNREADABLE' })
  })

  it('a file that is no text', async () => {
    await expect(read(Buffer.from('a.example\n\0\0\n'))).rejects.toThrow('has a zero octet')
  })

  it('a web page that was saved in its place', async () => {
    const page = '<!DOCTYPE html>\n<html><head>\n<title>Sign in</title>\nexample.com\n</html>\n'
    await expect(read(page)).rejects.toThrow('has 4 lines that are no rules, and 1 that are')
  })
})

it('stops when told to', async () => {
  const path = await fileWith('a.example\n')
  await expect(readList(path, () => {}, AbortSignal.abort())).rejects.toMatchObject({ name: 'AbortError' })
})
