import { type Document, isAlias, isMap, isNode, isSeq, LineCounter, type Node, parseDocument, visit } from 'yaml'
import * as z from 'zod/mini'
import { Fault } from './fault.ts'
import { deepFreeze } from './freeze.ts'
import { closest, didYouMean, type Reader, Refusal, refuse, shown } from './units.ts'

/** Settings files: YAML in, frozen typed values out, or one Fault with every problem and where it is. */

/** Reads one value and knows how to describe it. `section` and `list` combine fields; `fields.ts` has the simple ones. */
export type Field<T> = z.ZodMiniType<T>
export type SettingsOf<F> = z.infer<F>

/** `--set path.to.key=value`: the value is YAML, a number in the path is the place in a list. */
export interface Override {
  readonly path: readonly string[]
  readonly value: string
}

export interface Problem {
  /** Counted from 1; both are 0 for a problem of an override. */
  readonly line: number
  readonly column: number
  readonly key: string
  readonly problem: string
  readonly hint?: string
}

const FILE_CHARACTERS_MAX = 1024 * 1024
/** A hand-written file shares a few blocks; a bomb of aliases needs more. */
const ALIASES_MAX = 100
/** Nobody reads on; a wrong file would fill the log. */
const PROBLEMS_MAX = 100

/** Throws CONFIG_INVALID with every problem of the file and the overrides, in the order of the file. */
export function parseSettings<T>(
  schema: Field<T>,
  text: string,
  fileName: string,
  overrides: readonly Override[] = [],
): T {
  const file = readYaml(text)
  const problems = [...file.problems]
  let tree = file.tree
  for (const { path, value } of overrides) {
    try {
      const read = readYaml(value)
      if (read.problems[0]) refuse(`the value ${shown(value)} is no YAML: ${read.problems[0].problem}`)
      tree = withValue(tree, path, read.tree)
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      problems.push({ ...OVERRIDE, key: path.join('.'), problem: error.message })
    }
  }
  if (problems.length > 0) throw invalid(fileName, problems)
  const result = z.safeParse(schema, tree)
  if (result.success) return deepFreeze(result.data)
  const isOverridden = (path: Path): boolean =>
    overrides.some(({ path: set }) => {
      const isRelated = set.every((part, index) => index >= path.length || part === String(path[index]))
      return isRelated && (set.length <= path.length || !isThere(file.tree, path))
    })
  throw invalid(
    fileName,
    result.error.issues
      .flatMap((issue) => complaintsOf(issue, schema))
      .map(({ path, isKey, ...words }) => {
        const place = isOverridden(path) ? OVERRIDE : file.locate(path, isKey)
        return { ...place, key: path.join('.'), ...words }
      }),
  )
}

function isThere(tree: unknown, path: Path): boolean {
  const end = path.reduce((at, part) => Object.getOwnPropertyDescriptor(at ?? {}, part)?.value, tree)
  return end !== undefined
}

const OVERRIDE: Place = { line: 0, column: 0 }

function invalid(fileName: string, found: readonly Problem[]): Fault {
  const last = (problem: Problem): number => (problem.line === 0 ? 1 : 0)
  const problems = found.toSorted((a, b) => last(a) - last(b) || a.line - b.line || a.column - b.column)
  const lines = problems.slice(0, PROBLEMS_MAX).map(({ line, column, key, problem, hint }) => {
    const place = line === 0 ? '--set' : `${fileName}:${line}:${column}`
    return `${place}${key && ` ${key}`}: ${problem}${hint === undefined ? '' : ` (${hint})`}`
  })
  if (problems.length > PROBLEMS_MAX) lines.push(`and ${problems.length - PROBLEMS_MAX} more problems`)
  return new Fault('CONFIG_INVALID', lines.join('\n'), { file: fileName, problems: problems.slice(0, PROBLEMS_MAX) })
}

// The document.

type Path = readonly PropertyKey[]
type Place = Pick<Problem, 'line' | 'column'>

interface YamlFile {
  readonly tree: unknown
  readonly problems: readonly Problem[]
  /** Where the value is; for a missing one, the key of the section it is missing from. */
  locate(path: Path, isKey: boolean): Place
}

function readYaml(text: string): YamlFile {
  const start = { line: 1, column: 1 }
  const refused = (problem: string, place: Place = start): YamlFile => ({
    tree: undefined,
    problems: [{ ...place, key: '', problem }],
    locate: () => start,
  })
  if (text.length > FILE_CHARACTERS_MAX) return refused(`more than ${FILE_CHARACTERS_MAX} characters`)
  const lineCounter = new LineCounter()
  const document = parseDocument(text, {
    lineCounter,
    strict: true,
    uniqueKeys: true,
    stringKeys: true,
    prettyErrors: false,
    logLevel: 'error',
  })
  const placeOf = (offset: number | undefined): Place => {
    const { line, col } = lineCounter.linePos(offset ?? 0)
    return { line, column: col }
  }
  const broken = [...document.errors, ...document.warnings]
  if (broken.length > 0) {
    const problems = broken.map(({ code, message, pos }) => ({
      ...placeOf(pos[0]),
      key: '',
      problem: YAML_WORDS[code] ?? message,
    }))
    return { tree: undefined, problems, locate: () => start }
  }
  let lostAlias: { readonly name: string; readonly offset: number | undefined } | undefined
  visit(document, {
    Alias(_key, alias) {
      if (!alias.resolve(document)) lostAlias ??= { name: alias.source, offset: alias.range?.[0] }
    },
  })
  if (lostAlias) return refused(`there is no anchor &${lostAlias.name} before this alias`, placeOf(lostAlias.offset))
  try {
    return {
      tree: document.toJS({ maxAliasCount: ALIASES_MAX }) ?? {},
      problems: [],
      locate: (path, isKey) => placeOf(offsetOf(document, path, isKey)),
    }
  } catch {
    return refused(`aliases (*name) repeat more than ${ALIASES_MAX} blocks`)
  }
}

/** Where the library's own words speak of its functions. */
const YAML_WORDS: Readonly<Record<string, string>> = {
  DUPLICATE_KEY: 'this key is given twice',
  MULTIPLE_DOCS: 'a second document begins here; a settings file has one',
}

/** Where the value (or the key) of the path begins, or the last part of the path that is there. */
function offsetOf(document: Document, path: Path, isKey: boolean): number | undefined {
  let offset: number | undefined
  let node: unknown = document.contents
  for (const [index, part] of path.entries()) {
    if (isAlias(node)) node = node.resolve(document)
    if (isSeq<Node>(node)) {
      node = node.items[Number(part)]
      if (isNode(node)) offset = node.range?.[0]
    } else if (isMap<Node, Node | null>(node)) {
      const pair = node.items.find(({ key }) => String(key) === String(part))
      if (!pair) break
      const [start, end] = pair.value?.range ?? [0, 0]
      const isValue = index === path.length - 1 && !isKey && end > start
      offset = isValue ? start : pair.key.range?.[0]
      node = pair.value
    } else break
  }
  return offset
}

/** The tree with one value replaced, made of copies along the path, because an alias may share a block. */
function withValue(tree: unknown, path: readonly string[], value: unknown): unknown {
  const [key, ...rest] = path
  if (key === undefined) return value
  if (Array.isArray(tree)) {
    const index = /^\d+$/.test(key) ? Number(key) : Number.NaN
    if (!(index <= tree.length)) refuse(`there is no place ${shown(key)} in a list of ${tree.length}`)
    return [...tree.slice(0, index), withValue(tree[index], rest, value), ...tree.slice(index + 1)]
  }
  if (tree === undefined || tree === null)
    return key === '0' ? [withValue(null, rest, value)] : { [key]: withValue(null, rest, value) }
  if (typeof tree !== 'object') refuse(`${shown(key)} cannot be set inside ${shown(tree)}`)
  const inner: unknown = Object.getOwnPropertyDescriptor(tree, key)?.value
  return { ...tree, [key]: withValue(inner, rest, value) }
}

// What zod found, in our words.

interface Complaint {
  readonly path: Path
  readonly isKey: boolean
  readonly problem: string
  readonly hint?: string
}

function complaintsOf(issue: z.core.$ZodIssue, schema: Field<unknown>): readonly Complaint[] {
  if (issue.code === 'unrecognized_keys') {
    const known = Object.keys(fieldsAt(schema, issue.path))
    return issue.keys.map((key) => {
      const near = didYouMean(closest(key, known))
      const hint = near ?? `known here: ${known.join(', ')}`
      return { path: [...issue.path, key], isKey: true, problem: 'unknown key', hint }
    })
  }
  const hint: unknown = issue.code === 'custom' ? issue.params?.['hint'] : undefined
  return [{ path: issue.path, isKey: false, problem: issue.message, ...(typeof hint === 'string' ? { hint } : {}) }]
}

function fieldsAt(schema: Field<unknown>, path: Path): Fields {
  const about = describe(schema)
  const [part, ...rest] = path
  if (part === undefined) return about.fields ?? {}
  const inner = about.of ?? about.fields?.[String(part)]
  return inner ? fieldsAt(inner, rest) : {}
}

// What schemas are made of.

export type Fields = Readonly<Record<string, z.ZodMiniType>>

export interface FieldAbout {
  /** For people: `duration, 1s to 1h`. */
  readonly type: string
  readonly description: string
  readonly isOptional: boolean
  /** As it would be written in the file. */
  readonly default?: unknown
  readonly fields?: Fields
  readonly of?: Field<unknown>
}

const ABOUT = new WeakMap<object, FieldAbout>()

export function describe(field: Field<unknown>): FieldAbout {
  return ABOUT.get(field) ?? { type: 'value', description: '', isOptional: false }
}

function described<F extends z.ZodMiniType>(field: F, about: FieldAbout): F {
  ABOUT.set(field, about)
  return field
}

/** A simple value. */
export function field<T>(
  about: { readonly type: string; readonly description: string; readonly default?: unknown },
  read: Reader<T>,
): Field<T> {
  const scalar = z.transform((value: unknown, context) => reading(value, context, () => read(present(value))))
  const withDefault = about.default === undefined ? scalar : z.prefault(scalar, about.default)
  return described(withDefault, { ...about, isOptional: false })
}

function reading<T>(value: unknown, context: z.core.ParsePayload, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    context.issues.push({ code: 'custom', message: error.message, params: { hint: error.hint }, input: value })
    return z.NEVER
  }
}

function present(value: unknown): unknown {
  if (value === undefined) refuse('is missing')
  if (value === null) refuse('has no value', 'give it one, or remove the line')
  return value
}

/** A block of keys. One that is left out counts as empty, so that the defaults inside it hold. */
export function section<const F extends Fields>(
  description: string,
  fields: F,
): Field<z.infer<z.ZodMiniObject<F, z.core.$strict>>> {
  const block = z.transform((value: unknown, context) =>
    reading(value, context, () => {
      if (Array.isArray(value) || (value && typeof value !== 'object'))
        refuse(`expected a section (lines of "key: value"), got ${shown(value)}`)
      return value ?? {}
    }),
  )
  return described(z.pipe(block, z.strictObject(fields)), { type: 'section', description, isOptional: false, fields })
}

export function list<T>(
  description: string,
  of: Field<T>,
  {
    max,
    min = 0,
    default: preset,
  }: { readonly max: number; readonly min?: number; readonly default?: readonly unknown[] },
): Field<T[]> {
  const items = z.transform((value: unknown, context) =>
    reading(value, context, (): unknown[] => {
      const found = present(value)
      if (!Array.isArray(found))
        refuse(`expected a list, got ${shown(found)}`, 'put "- " before each entry, or write [a, b]')
      if (found.length < min || found.length > max) refuse(`expected ${min} to ${max} entries, got ${found.length}`)
      return found
    }),
  )
  const checked = z.pipe(items, z.array(of))
  const type = `list of ${describe(of).type}, at most ${max}`
  const about = { type, description, isOptional: false, of, ...(preset === undefined ? {} : { default: preset }) }
  return described(preset === undefined ? checked : z.prefault(checked, preset), about)
}

/** May be left out; the key is then absent from the result. */
export function optional<F extends z.ZodMiniType>(of: F): z.ZodMiniExactOptional<F> {
  return described(z.exactOptional(of), { ...describe(of), isOptional: true })
}

/** Rules between fields, looked at once each field by itself is right. `path` leads to the one to complain about. */
export function checked<T>(
  of: Field<T>,
  check: (value: T, complain: (path: readonly (string | number)[], problem: string, hint?: string) => void) => void,
): Field<T> {
  const rule = z.check<T>((context) => {
    check(context.value, (path, problem, hint) =>
      context.issues.push({
        code: 'custom',
        path: [...path],
        message: problem,
        params: { hint },
        input: context.value,
      }),
    )
  })
  return described(of.check(rule), describe(of))
}
