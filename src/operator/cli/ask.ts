import { userInfo } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../../core/clock.ts'
import { type CommandOption, configArguments, type Input, SET_OPTION } from '../../core/command.ts'
import { configOption } from '../../core/daemon-verbs.ts'
import { Fault } from '../../core/fault.ts'
import { askOperation } from '../../net/operations.ts'
import { lockDirectory } from '../../store/file.ts'
import { openStore } from '../../store/postgres.ts'
import { perform } from '../admin/operation.ts'
import type { OperationName, Operations } from '../admin/operations.ts'
import { loadOperatorConfig, type OperatorConfig } from '../config.ts'
import { openManagement } from '../management.ts'

export const CONFIG_FILE = 'hearth-operator.yaml'
/** Of a verb that is about one thing. */
export const ONE_WORD = { min: 1, max: 1 } as const
/** Of every verb that reads the settings. */
export const CONFIG_OPTIONS = { config: configOption(CONFIG_FILE), set: SET_OPTION } as const
export const PAGE_OPTIONS = {
  after: { type: 'string', value: 'ID', help: 'continue a long list after this one' },
  limit: { type: 'string', value: 'N', help: 'how many at most (default 100)' },
} as const satisfies Record<string, CommandOption>
const LIMIT_DEFAULT = 100
const LIMIT_MAX = 10_000_000

export type Answer<N extends OperationName> = Awaited<ReturnType<Operations[N]['run']>>
export type Question<N extends OperationName> = Parameters<Operations[N]['run']>[0]
export type Ask = <N extends OperationName>(name: N, input: Question<N>) => Promise<Answer<N>>

/**
 * Asks the running service; when none runs, does the same on its store, which is opened once for all questions. Nobody else
 * may use an embedded store meanwhile; a database server is shared by any number.
 */
export async function withOperations<R>(
  input: Input,
  work: (ask: Ask, config: OperatorConfig) => Promise<R>,
): Promise<R> {
  const config = await configOf(input)
  const closing: (() => Promise<void>)[] = []
  let onStore: Operations | undefined
  const openOnStore = async (): Promise<Operations> => {
    if (!isShared(config)) {
      const lock = await lockDirectory(config.state)
      closing.push(() => lock.release())
    }
    const store = await openStore(config.store, config.storeKey ? { key: config.storeKey } : {})
    closing.push(() => store.close())
    return openManagement(config, store, systemClock).operations
  }
  const ask = async (name: OperationName, question: object): Promise<unknown> => {
    if (!onStore) {
      try {
        return await askOperation(socketOf(config), name, question, whoAmI())
      } catch (error) {
        if (!(error instanceof Fault) || error.code !== 'NOT_RUNNING') throw error
      }
    }
    onStore ??= await openOnStore()
    return perform(onStore, name, question, { by: whoAmI(), role: 'operate' })
  }
  try {
    // Each name has its own types; the table of operations is what makes them true.
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion
    return await work(ask as Ask, config)
  } finally {
    for (const close of closing.toReversed()) await close()
  }
}

export async function configOf(input: Input): Promise<OperatorConfig> {
  const { file, overrides } = configArguments(input, CONFIG_FILE)
  return loadOperatorConfig(file, overrides)
}

export function socketOf(config: OperatorConfig): string {
  return join(config.state, 'admin.sock')
}

/** The value of an option that was declared with `type: 'string'`. */
export function textOf({ values }: Input, option: string): string | undefined {
  const value = values[option]
  return typeof value === 'string' ? value : undefined
}

/** The words or option as one of those that are allowed. */
export function choiceOf<const T extends string>(input: Input, option: string, choices: readonly T[]): T | undefined {
  const value = textOf(input, option)
  const found = choices.find((choice) => choice === value)
  if (value === undefined || found !== undefined) return found
  throw new Fault('USAGE', `--${option} ${value}: expected ${choices.join(', ')}`)
}

export function countOf(input: Input, option: string, { max, fallback }: { max: number; fallback: number }): number {
  const value = textOf(input, option)
  if (value === undefined) return fallback
  const count = /^\d{1,9}$/.test(value) ? Number(value) : 0
  if (count >= 1 && count <= max) return count
  throw new Fault('USAGE', `--${option} ${value}: expected a whole number from 1 to ${max}`)
}

/** Asks for pages until there are as many as `--limit` says. `next`: there are more after this one. */
export async function listed<T>(
  input: Input,
  ask: (page: { readonly after?: string; readonly limit: number }) => Promise<{ items: readonly T[]; next?: string }>,
): Promise<{ readonly items: readonly T[]; readonly next?: string }> {
  const limit = countOf(input, 'limit', { max: LIMIT_MAX, fallback: LIMIT_DEFAULT })
  const items: T[] = []
  let next = textOf(input, 'after')
  do {
    const page = await ask({
      limit: Math.min(1000, limit - items.length),
      ...(next === undefined ? {} : { after: next }),
    })
    for (const item of page.items) items.push(item)
    next = page.next
  } while (next !== undefined && items.length < limit)
  return next === undefined ? { items } : { items, next }
}

/** A `postgres://` server takes care of who writes what; the embedded engine does not. */
function isShared({ store }: OperatorConfig): boolean {
  return !store.startsWith('pglite:')
}

/** For the audit log. */
function whoAmI(): string {
  const { username, uid } = userInfo()
  return `cli ${username} (uid ${uid})`
}
