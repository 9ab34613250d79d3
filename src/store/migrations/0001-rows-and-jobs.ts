import { type Kysely, sql } from 'kysely'

export async function up(db: Kysely<unknown>): Promise<void> {
  // Shared by all rows and never reused, so that a row removed and made again is not taken for the one that was seen.
  await sql`create sequence hearth_version`.execute(db)
  // Ids sort by code point (collation C), as they do in the other tables.
  await sql`
    create table hearth_row (
      kind text collate "C" not null,
      id text collate "C" not null,
      version bigint not null,
      row jsonb not null,
      primary key (kind, id)
    )`.execute(db)
  // Lists of one account, in order of id, at millions of rows. Whoever lists by another field adds an index like this.
  await sql`
    create index hearth_row_by_account on hearth_row (kind, (row -> 'account'), id)
    where (row -> 'account') is not null`.execute(db)
  await sql`
    create table hearth_job (
      queue text collate "C" not null,
      id text collate "C" not null,
      due_ms bigint not null,
      lease_until_ms bigint not null default 0,
      again boolean not null default false,
      primary key (queue, id)
    )`.execute(db)
  await sql`create index hearth_job_by_due on hearth_job (queue, due_ms)`.execute(db)
}
