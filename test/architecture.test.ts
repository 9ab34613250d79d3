import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'
import { describe, expect, it } from 'vitest'

const MAY_IMPORT: Record<string, readonly string[]> = {
  core: [],
  dns: ['core'],
  pki: ['core'],
  acme: ['core', 'pki'],
  net: ['core', 'dns'],
  store: ['core'],
  router: ['core', 'dns', 'pki', 'acme', 'net', 'store'],
  operator: ['core', 'dns', 'pki', 'acme', 'net', 'store'],
  bin: ['core', 'router', 'operator'],
}

/** Codecs and protocol cores are handed bytes, a Clock, a Table: they open no socket and read no file or environment. */
const PURE = ['dns', 'pki', 'acme']
const IMPURE_MODULES = /^node:(fs|net|tls|http|https|http2|dgram|child_process|os|process)/

/** Each library has one file that wraps it; a folder where several files share one subject. */
const WRAPPED: Record<string, readonly string[]> = {
  dns2: ['dns/message.ts'],
  'reflect-metadata': ['acme/client/plumbing.ts'],
  'acme-client': ['acme/client/plumbing.ts'],
  pino: ['core/log.ts'],
  yaml: ['core/settings.ts'],
  zod: ['core/settings.ts'],
  kysely: ['store/postgres.ts', 'store/migrations/'],
  pg: ['store/postgres.ts'],
  '@electric-sql/': ['store/postgres.ts'],
}

const SRC = join(import.meta.dirname ?? dirname(new URL(import.meta.url).pathname), '../src')

interface ImportLine {
  readonly file: string
  readonly target: string
}

function importLines(): ImportLine[] {
  const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((name) => /\.tsx?$/.test(name))
  return files.flatMap((file) => {
    const text = readFileSync(join(SRC, file), 'utf8')
    const found = text.matchAll(
      /^\s*(?:import|export)\b[^'"]*?from\s+['"]([^'"]+)['"]|import\(\s*['"]([^'"]+)['"]|^import\s+['"]([^'"]+)['"]/gm,
    )
    return [...found].map((match) => ({ file, target: (match[1] ?? match[2] ?? match[3])! }))
  })
}

const folderOf = (file: string): string => file.split('/')[0]!

describe('imports point down only', () => {
  const lines = importLines()

  it('reads the source tree', () => {
    expect(lines.length).toBeGreaterThan(10)
  })

  it('keeps to the table of style guide section 1', () => {
    const wrong = lines.filter(({ file, target }) => {
      if (!target.startsWith('.')) return false
      const to = folderOf(relative(SRC, normalize(join(SRC, dirname(file), target))))
      return to !== folderOf(file) && !MAY_IMPORT[folderOf(file)]?.includes(to)
    })
    expect(wrong).toEqual([])
  })

  it('keeps sockets, files and the environment out of the protocol cores', () => {
    const wrong = lines.filter(({ file, target }) => PURE.includes(folderOf(file)) && IMPURE_MODULES.test(target))
    expect(wrong).toEqual([])
  })

  it('wraps every library in one place', () => {
    const wrong = lines.filter(({ file, target }) => {
      const library = Object.keys(WRAPPED).find((name) =>
        name.endsWith('/') ? target.startsWith(name) : target === name || target.startsWith(`${name}/`),
      )
      if (target.startsWith('.') || target.startsWith('node:')) return false
      return !library || !WRAPPED[library]!.some((place) => file.startsWith(place))
    })
    expect(wrong).toEqual([])
  })
})
