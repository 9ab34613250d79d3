import { type Kysely, sql } from 'kysely'

/** For reading through ten million rows. */
const TIME_MAX = '10min'

/** Devices are listed by state, and those of version 0.2 say none. Instances of that version read and write on as before. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql.raw(`set local statement_timeout = '${TIME_MAX}'`).execute(db)
  await sql`
    update hearth_row set
      version = nextval('hearth_version'),
      row = row || jsonb_build_object('state', case when row ? 'account' then 'enrolled' else 'waiting' end)
    where kind = 'device' and not row ? 'state'`.execute(db)
  await sql`
    create index hearth_row_device_by_state on hearth_row (kind, (row -> 'state'), id)
    where kind = 'device'`.execute(db)
}
