import { deepFreeze } from '../core/freeze.ts'
import { type Page, REMOVED_AT_ONCE_MAX, type Stored, type Table } from '../core/table.ts'
import { inBatches } from './batch.ts'
import { rowText, storableText } from './row.ts'
import { type Ask, literal, type Statement } from './statement.ts'

/** One kind of rows. Its name stands in every statement as a constant, so that the planner sees its partition alone. */
export function tableIn<T>(ask: Ask, kind: string): Table<T> {
  const rows = `hearth_row where kind = ${literal(kind)}`
  const prepared = (verb: string, text: string): ((...values: Statement['values']) => Statement) => {
    const name = `${verb} ${kind}`
    return (...values) => ({ name, text, values })
  }
  const find = prepared('find', `select id, version, row from ${rows} and id = $1`)
  const findAll = prepared('find all', `select id, version, row from ${rows} and id = any ($1::text[])`)
  const insert = prepared(
    'insert',
    `insert into hearth_row (kind, id, version, row) values (${literal(kind)}, $1, ${NEXT_VERSION}, $2::jsonb)
     on conflict do nothing returning version`,
  )
  const replace = prepared(
    'replace',
    `update hearth_row set version = ${NEXT_VERSION}, row = $3::jsonb
     where kind = ${literal(kind)} and id = $1 and version = $2 returning version`,
  )
  const remove = prepared('remove', `delete from ${rows} and id = $1 and version = $2`)
  // Two instances that clean up at once each take their own rows.
  const removeUpTo = prepared(
    'remove up to',
    `delete from ${rows} and id = any (array(
       select id from ${rows} and id <= $1 order by id limit ${REMOVED_AT_ONCE_MAX} for update skip locked))`,
  )

  // Numbers beyond 2^53 come as text; no version gets there.
  const stored = (id: string, version: string, row: T): Stored<T> => deepFreeze({ id, version: Number(version), row })
  const written = async (id: string, text: string, statement: Statement): Promise<Stored<T> | undefined> => {
    const [done] = (await ask<{ version: string }>(statement)).rows
    return done && stored(id, done.version, JSON.parse(text))
  }
  const findOne = inBatches(async (ids) => {
    const statement = ids.length === 1 ? find(ids[0]!) : findAll(ids)
    const found = (await ask<{ id: string; version: string; row: T }>(statement)).rows
    return new Map(found.map(({ id, version, row }) => [id, stored(id, version, row)]))
  })
  return {
    find: (id) => findOne(storableText(id)),
    async insert(id, row) {
      const text = rowText(row)
      return written(id, text, insert(storableText(id), text))
    },
    async replace(seen, next) {
      const text = rowText(next)
      return written(seen.id, text, replace(storableText(seen.id), seen.version, text))
    },
    async remove(seen) {
      return (await ask(remove(storableText(seen.id), seen.version))).count === 1
    },
    async removeUpTo(id) {
      return (await ask(removeUpTo(storableText(id)))).count
    },
    async list(page) {
      const found = await ask<{ id: string; version: string; row: T }>(listStatement(rows, page))
      return found.rows.map(({ id, version, row }) => stored(id, version, row))
    },
  }
}

const NEXT_VERSION = "nextval('hearth_version')"

/** Not prepared: which index is best hangs on the values. */
function listStatement(rows: string, { where = {}, after, limit }: Page): Statement {
  const values: (string | number)[] = []
  const value = (of: string | number): string => `$${values.push(of)}`
  const conditions = Object.entries(where).map(([name, wanted]) =>
    // An expression index is found by its text, and one over the rows of one status by that status.
    name === 'status'
      ? `row -> 'status' = ${literal(JSON.stringify(storableText(wanted)))}::jsonb`
      : `row -> ${literal(name)} = to_jsonb(${value(storableText(wanted))}::text)`,
  )
  if (after !== undefined) conditions.push(`id > ${value(storableText(after))}`)
  const text = [`select id, version, row from ${rows}`, ...conditions].join(' and ')
  return { text: `${text} order by id limit ${value(limit)}`, values }
}
