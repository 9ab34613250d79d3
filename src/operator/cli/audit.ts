import { createReadStream } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { type Command, EXIT, type Input, JSON_OPTION, show } from '../../core/command.ts'
import { Fault } from '../../core/fault.ts'
import { unwritable } from '../../store/file.ts'
import type { AuditEntry } from '../audit/entry.ts'
import { type AuditVerdict, verifyAudit } from '../audit/verify.ts'
import { type Ask, CONFIG_OPTIONS, textOf, withOperations } from './ask.ts'
import { columns, minute } from './columns.ts'

interface Entry {
  readonly id: string
  readonly row: AuditEntry
}

const SINCE = {
  type: 'string',
  value: 'TIME',
  help: 'from this time on: 2027-01-10, or 2027-01-10T08:00:00Z',
} as const

export const AUDIT_COMMANDS: Readonly<Record<string, Command>> = {
  'audit show': {
    usage: '[--since TIME] [--config FILE]',
    summary: 'show who decided what, a line each',
    options: { ...CONFIG_OPTIONS, since: SINCE },
    run: (input) =>
      withOperations(input, async (ask) => {
        for await (const page of pages(ask, sinceOf(input))) input.print(columns(page.map(entryRow)))
        return EXIT.OK
      }),
  },
  'audit export': {
    usage: '--out FILE [--since TIME] [--config FILE]',
    summary: 'write the log of every decision to a file, JSON lines',
    options: {
      ...CONFIG_OPTIONS,
      since: SINCE,
      out: { type: 'string', value: 'FILE', help: 'new file; mode 0600' },
    },
    run: (input) =>
      withOperations(input, async (ask) => {
        const out = textOf(input, 'out')
        if (out === undefined) throw new Fault('USAGE', 'name a file with --out FILE')
        let entries = 0
        const file = await newFile(out)
        try {
          for await (const page of pages(ask, sinceOf(input))) {
            await file.appendFile(page.map(({ id, row }) => `${JSON.stringify({ id, ...row })}\n`).join(''))
            entries += page.length
          }
          await file.sync()
        } finally {
          await file.close()
        }
        input.print(`${counted(entries, 'entry is', 'entries are')} in ${out}`)
        return EXIT.OK
      }),
  },
  'audit verify': {
    usage: '[FILE] [--part] [--config FILE] [--json]',
    summary: 'tell the first entry of the log, or of an exported file, that was tampered with',
    options: {
      ...CONFIG_OPTIONS,
      part: { type: 'boolean', help: 'the file was exported with --since: what came before is not in it' },
      json: JSON_OPTION,
    },
    words: { min: 0, max: 1 },
    async run(input) {
      const file = input.words[0]
      const isPart = input.values.part === true
      if (isPart && file === undefined) throw new Fault('USAGE', '--part is for a FILE')
      const verdict =
        file === undefined
          ? await withOperations(input, (ask) => verifyAudit(entriesOf(pages(ask, undefined)), { isWhole: true }))
          : await verifyAudit(entriesIn(file), { isWhole: !isPart })
      show(input, verdict, verdictText(verdict, isPart))
      return verdict.broken ? EXIT.FAILED : EXIT.OK
    },
  },
}

function verdictText({ entries, chains, broken, unanchored }: AuditVerdict, isPart: boolean): string {
  if (broken) return `BROKEN at entry ${entries}, ${broken.id}: ${broken.reason}`
  const before = isPart ? `; ${unanchored} of them rest on entries before this part, which were not checked` : ''
  return `${counted(entries, 'entry', 'entries')} in ${counted(chains, 'chain', 'chains')} fit together${before}`
}

function counted(count: number, one: string, many: string): string {
  return `${count} ${count === 1 ? one : many}`
}

function entryRow({ row }: Entry): readonly string[] {
  const { atMs, event, by, device, devices, account, order, authority, reason } = row
  const many = devices && (devices.length === 1 ? devices[0] : `${devices.length} routers from ${devices[0]} on`)
  const about = [device ?? many ?? account, order, authority, reason].filter((part) => part !== undefined).join(', ')
  return [minute(new Date(atMs).toISOString()), event, by, about]
}

/** A date alone is the beginning of that day, UTC. */
function sinceOf(input: Input): string | undefined {
  const since = textOf(input, 'since')
  return since !== undefined && /^\d{4}-\d\d-\d\d$/.test(since) ? `${since}T00:00:00Z` : since
}

async function* pages(ask: Ask, since: string | undefined): AsyncGenerator<readonly Entry[]> {
  let after: string | undefined
  do {
    const page = await ask('audit-list', {
      ...(since === undefined ? {} : { since }),
      ...(after === undefined ? {} : { after }),
    })
    if (page.entries.length > 0) yield page.entries
    after = page.next
  } while (after !== undefined)
}

async function* entriesOf(from: AsyncIterable<readonly Entry[]>): AsyncGenerator<Entry> {
  for await (const page of from) yield* page
}

/** Entries of an exported file. */
async function* entriesIn(path: string): AsyncGenerator<Entry> {
  let line = 0
  try {
    for await (const text of createInterface({ input: createReadStream(path), crlfDelay: Infinity })) {
      line++
      if (text === '') continue
      const { id, ...row } = JSON.parse(text) as AuditEntry & { readonly id: string }
      yield { id, row }
    }
  } catch (error) {
    if (error instanceof SyntaxError)
      throw new Fault('USAGE', `${path}:${line}: this is no entry of an audit log`, {}, error)
    throw new Fault('USAGE', `${path} cannot be read`, { path }, error)
  }
}

async function newFile(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'wx', 0o600)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST')
      throw new Fault('USAGE', `${path} exists; name a new file`)
    throw unwritable(path, error)
  }
}
