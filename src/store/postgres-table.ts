import { deepFreeze } from '../core/freeze.ts'
import { type Page, REMOVED_AT_ONCE_MAX, type Stored, type Table } from '../core/table.ts'
import { type Asked, inBatches } from './batch.ts'
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
  const insertAll = prepared(
    'insert',
    `insert into hearth_row (kind, id, version, row)
     select ${literal(kind)}, id, ${NEXT_VERSION}, row from jsonb_to_recordset($1::jsonb) as given (id text, row jsonb)
     on conflict do nothing returning id, version`,
  )
  const replaceAll = prepared(
    'replace',
    `update hearth_row set version = ${NEXT_VERSION}, row = given.row
     from jsonb_to_recordset($1::jsonb) as given (id text, version bigint, row jsonb)
     where hearth_row.kind = ${literal(kind)} and hearth_row.id = given.id and hearth_row.version = given.version
     returning hearth_row.id, hearth_row.version`,
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
  const findOne = inBatches<Asked, Stored<T>>(async (batch) => {
    const ids = [...new Set(batch.map(({ id }) => id))]
    const statement = ids.length === 1 ? find(ids[0]!) : findAll(ids)
    const found = (await ask<{ id: string; version: string; row: T }>(statement)).rows
    return new Map(found.map(({ id, version, row }) => [id, stored(id, version, row)]))
  })
  /** Versions of the rows that were written, by id. */
  const writing = (verb: (rows: string) => Statement): ((row: Written) => Promise<string | undefined>) =>
    inBatches<Written, string>(
      async (batch) => {
        // In one order at all instances: they wait for each other's rows seldom in a circle.
        const inOrder = batch.toSorted((a, b) => (a.id < b.id ? -1 : 1)).map(({ text }) => text)
        const done = (await ask<{ id: string; version: string }>(verb(`[${inOrder.join(',')}]`))).rows
        return new Map(done.map(({ id, version }) => [id, version]))
      },
      { apart: true },
    )
  const [insertOne, replaceOne] = [writing(insertAll), writing(replaceAll)]
  return {
    find: (id) => findOne({ id: storableText(id) }),
    async insert(given, row) {
      const [id, text] = [storableText(given), rowText(row)]
      const version = await insertOne({ id, text: `{"id":${JSON.stringify(id)},"row":${text}}` })
      return version === undefined ? undefined : stored(given, version, JSON.parse(text))
    },
    async replace(seen, next) {
      const [id, text] = [storableText(seen.id), rowText(next)]
      const version = await replaceOne({
        id,
        text: `{"id":${JSON.stringify(id)},"version":${seen.version},"row":${text}}`,
      })
      return version === undefined ? undefined : stored(seen.id, version, JSON.parse(text))
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

/** One element of what the statements call `given`. */
interface Written extends Asked {
  readonly text: string
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
