import { join } from 'node:path'
import { type Command, EXIT, type Input } from '../../core/command.ts'
import { Fault } from '../../core/fault.ts'
import { readFileIfThere } from '../../store/file.ts'
import { PAGE_MAX } from '../admin/properties.ts'
import type { OperatorConfig } from '../config.ts'
import type { NewDevice } from '../delegation/device.ts'
import { newRun } from '../delegation/names.ts'
import { type Ask, CONFIG_OPTIONS, choiceOf, countOf, textOf, withOperations } from './ask.ts'
import { FORMATS, type Format, type Service, textFormat } from './export/format.ts'
import { fingerprint, nameBatches } from './export/name-file.ts'
import { openOutput } from './export/output.ts'

const COUNT_MAX = 1_000_000
/** Problems of one file that are shown; nobody reads on. */
const PROBLEMS_MAX = 100

/** One router, a number of them, or those of a file; their keys go to the screen or to files, once. */
export const DEVICE_ADD: Command = {
  usage: '[NAME] [--count N | --from FILE] [--format FORMAT --out PATH] [--config FILE]',
  summary: 'register routers: makes their names and their one-time keys',
  options: {
    ...CONFIG_OPTIONS,
    count: { type: 'string', value: 'N', help: `register N routers with random names (at most ${COUNT_MAX})` },
    from: { type: 'string', value: 'FILE', help: 'register the names of a file, one a line' },
    'allow-any-name': { type: 'boolean', help: 'take names that look like MAC addresses, long numbers or e-mail' },
    format: { type: 'string', value: 'FORMAT', help: `${FORMATS.join(', ')} (a directory for each router)` },
    out: { type: 'string', value: 'PATH', help: 'new file (or directory, for openwrt) for names and keys; mode 0600' },
    json: { type: 'boolean', help: 'the same as --format json' },
  },
  words: { min: 0, max: 1 },
  run: (input) =>
    withOperations(input, async (ask, config) => {
      const name = input.words[0]
      const from = textOf(input, 'from')
      if ([name, from, input.values.count].filter((one) => one !== undefined).length > 1)
        throw new Fault('USAGE', 'give one of NAME, --count and --from')
      const source = from === undefined ? namedOrCounted(input, name) : await fromFile(from, input)
      const out = textOf(input, 'out')
      const format = formatOf(input)
      if (out !== undefined) return addToFiles(input, ask, source, { out, format: format ?? 'jsonl', config })
      if (format === 'openwrt') throw new Fault('USAGE', '--format openwrt writes directories: name a place with --out')
      if (source.total > PAGE_MAX)
        throw new Fault('USAGE', `more than ${PAGE_MAX} routers are written to a file: name one with --out`)
      const run = newRun()
      await checkNames(ask, source, run)
      const added: NewDevice[] = []
      for await (const names of source.batches(0))
        added.push(...(await ask('device-add', { ...names, run, first: added.length })))
      input.print(
        format === undefined ? added.map(keyText).join('\n\n') : textOfAll(added, format, await serviceOf(config)),
      )
      return EXIT.OK
    }),
}

/** Where names come from, in batches of a page, each time the same. */
interface Source {
  /** What a repeated command is recognised by. */
  readonly id: string
  readonly total: number
  /** Without the first ones. */
  batches(
    skip: number,
  ): AsyncIterable<{ readonly names: readonly string[]; readonly anyName: boolean } | { readonly count: number }>
  /** Present when the names are somebody's choice. */
  readonly file?: { readonly path: string; readonly anyName: boolean }
}

function namedOrCounted(input: Input, name: string | undefined): Source {
  const total = countOf(input, 'count', { max: COUNT_MAX, fallback: 1 })
  const anyName = input.values['allow-any-name'] === true
  return {
    id: name === undefined ? `--count ${total}` : name,
    total,
    async *batches(skip) {
      for (let left = total - skip; left > 0; left -= PAGE_MAX)
        yield name === undefined ? { count: Math.min(left, PAGE_MAX) } : { names: [name], anyName }
    },
  }
}

async function fromFile(path: string, input: Input): Promise<Source> {
  const anyName = input.values['allow-any-name'] === true
  const { names: total, hash } = await fingerprint(path)
  if (total === 0) throw new Fault('USAGE', `--from ${path} holds no names`)
  if (total > COUNT_MAX) throw new Fault('USAGE', `--from ${path} holds ${total} names, more than ${COUNT_MAX}`)
  return {
    id: `--from a file of ${total} names, ${hash}`,
    total,
    file: { path, anyName },
    async *batches(skip) {
      let at = 0
      for await (const batch of nameBatches(path, PAGE_MAX)) {
        const names = batch.slice(Math.max(0, skip - at)).map(({ name }) => name)
        at += batch.length
        if (names.length > 0) yield { names, anyName }
      }
    },
  }
}

/** Every problem of a file is told before anything is added. */
async function checkNames(ask: Ask, { file }: Source, run: string): Promise<void> {
  if (!file) return
  const { path, anyName } = file
  const problems: string[] = []
  const seen = new Set<string>()
  let first = 0
  for await (const batch of nameBatches(path, PAGE_MAX)) {
    const names = batch.map(({ name }) => name)
    const found = await ask('device-check', { names, run, first, anyName })
    for (const [place, { name, line }] of batch.entries()) {
      const said = found.find((problem) => problem.place === place)?.problem
      const problem = said ?? (seen.has(name.toLowerCase()) ? 'is given twice' : undefined)
      if (problem !== undefined && problems.length < PROBLEMS_MAX) problems.push(`${path}:${line}: ${name} ${problem}`)
      seen.add(name.toLowerCase())
    }
    if (problems.length >= PROBLEMS_MAX) break
    first += batch.length
  }
  if (problems.length > 0) throw new Fault('NAMES_REFUSED', `these names cannot be registered:\n${problems.join('\n')}`)
}

async function addToFiles(
  input: Input,
  ask: Ask,
  source: Source,
  { out, format, config }: { readonly out: string; readonly format: Format; readonly config: OperatorConfig },
): Promise<number> {
  const service = await serviceOf(config)
  const output = await openOutput(out, { format, source: source.id, run: newRun(), service })
  try {
    if (output.done > 0) input.print(`${out} holds ${output.done} of ${source.total} already; going on from there`)
    await checkNames(ask, source, output.run).catch(async (error: unknown) => {
      await output.discard()
      throw error
    })
    let { done } = output
    for await (const batch of source.batches(done)) {
      if (input.signal.aborted) {
        input.print(`stopped after ${done} of ${source.total}; the same command goes on from there`)
        return EXIT.FAILED
      }
      const added = await ask('device-add', { ...batch, run: output.run, first: done })
      await output.append(added)
      done += added.length
    }
    await output.finish()
    input.print(`${done} ${done === 1 ? 'router' : 'routers'} registered; the keys are in ${out} and nowhere else`)
    return EXIT.OK
  } finally {
    await output.close()
  }
}

/** `--format`, or `--json`. */
export function formatOf(input: Input): Format | undefined {
  return choiceOf(input, 'format', FORMATS) ?? (input.values.json === true ? 'json' : undefined)
}

/** What a router has to know of this service. */
export async function serviceOf(config: OperatorConfig): Promise<Service> {
  const trust = (await readFileIfThere(join(config.state, 'root.pem')))?.toString()
  return { directory: `${config.baseUrl}/directory`, ...(trust === undefined ? {} : { trust }) }
}

export function textOfAll(devices: readonly NewDevice[], format: Exclude<Format, 'openwrt'>, service: Service): string {
  const { head, foot, record } = textFormat(format, service)
  return (head + devices.map((device, index) => record(device, index === 0)).join('') + foot).trimEnd()
}

export function keyText({ name, eab }: NewDevice): string {
  return `name     ${name}\neab kid  ${eab.kid}\neab key  ${eab.key}\n(the key is shown once; put it into the file that identity.acme-delegation.eab.key-file of the router names)`
}
