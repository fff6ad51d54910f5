import { readdir } from 'node:fs/promises'
import { sql } from 'kysely'
import type { Migration } from 'kysely/migration'
import { Migrator } from 'kysely/migration'
import t from 'tap'
import type { Database } from '../src/connect.ts'
import { pgliteForTest } from '@registry-manager/testing/pglite'

/*
 * During a rolling update the previous version reads and writes in the new schema. Existing columns therefore keep
 * their names and types, and new columns are optional. A later release drops what no version needs any more; columns
 * that a migration drops are listed here.
 */
const DROPPED: ReadonlySet<string> = new Set()

const RELEASES = 'writes a table of its own, and refuses nothing'
const KEEPS = 'refuses only what names data that is removed at this moment; the client retries'
const COUNTS = 'counts in tables of its own, and refuses only what a quota does not permit'

/**
 * Changes that could make statements of the previous version fail or slow: constraints, unique indexes and triggers
 * added to an existing table, and constraints and indexes that were dropped. Each with the reason why it does no harm.
 */
const CONSIDERED: Readonly<Record<string, string>> = {
  '2026-11-21-tokens drops accounts.accounts_password': 'accounts_kind has the same rule for users',
  '2026-11-21-tokens adds accounts.accounts_kind':
    'all accounts of the previous version are users, whose rule is unchanged',
  '2026-11-22-directory adds accounts.accounts_directory_role_check':
    'of a new column, which is null by default',
  '2026-11-22-directory adds accounts.accounts_directory_state_check':
    'of a new column, which is null by default',
  '2026-11-29-states-of-manifests adds admissions.delete_admission':
    'makes a view behave like the table before',
  '2026-11-29-states-of-manifests adds admissions.insert_admission':
    'makes a view behave like the table before',
  '2026-11-29-states-of-manifests adds manifests.all_manifests_state':
    'of a new column, which only this version and triggers write',
  '2026-11-29-states-of-manifests adds manifests.insert_manifest': 'sets a new column, and refuses nothing',
  '2026-11-29-states-of-manifests adds manifests.record_manifest': 'sets a new column, and refuses nothing',
  '2026-11-29-states-of-manifests adds manifests.update_revision': 'sets a new column, and refuses nothing',
  '2026-11-29-states-of-manifests adds repositories.show_repository':
    'sets a new column, and refuses nothing',
  '2026-11-29-states-of-manifests adds tags.update_revision': 'sets a new column, and refuses nothing',
  '2026-12-01-providers drops accounts.accounts_kind': 'is replaced by the next one',
  '2026-12-01-providers adds accounts.accounts_kind':
    'the rule for accounts without a provider is unchanged, and the previous version creates no others',
  '2026-12-06-usage-triggers adds manifests.charge_all_manifests': COUNTS,
  '2026-12-06-usage-triggers adds manifests.discharge_all_manifests': COUNTS,
  '2026-12-06-usage-triggers adds manifests.resize_all_manifests': COUNTS,
  '2026-12-06-usage-triggers adds repositories.charge_repositories': COUNTS,
  '2026-12-06-usage-triggers adds repositories.discharge_repositories': COUNTS,
  '2026-12-06-usage-triggers adds repositories.empty_repository':
    'deletes the rows that the deletion of the repository deletes by cascades',
  '2026-12-06-usage-triggers adds manifest_references.charge_manifest_references': COUNTS,
  '2026-12-06-usage-triggers adds manifest_references.discharge_manifest_references': COUNTS,
  '2026-12-06-usage-triggers adds manifest_references.resize_manifest_references': COUNTS,
  '2026-12-07-tag-history adds tags.record_tag_history': 'writes a table of its own, and refuses nothing',
  '2026-12-07-tag-history adds tags.record_tag_move': 'writes a table of its own, and refuses nothing',
  '2026-12-08-storage adds manifests.keep_all_manifests': KEEPS,
  '2026-12-08-storage adds manifests.release_all_manifests': RELEASES,
  '2026-12-08-storage adds blob_aliases.keep_blob_aliases': KEEPS,
  '2026-12-08-storage adds blob_aliases.release_blob_aliases': RELEASES,
  '2026-12-08-storage adds manifest_references.keep_manifest_references': KEEPS,
  '2026-12-08-storage adds manifest_references.release_manifest_references': RELEASES,
  '2026-12-08-storage adds admissions.keep_pending_pushes': KEEPS,
  '2026-12-08-storage adds repository_blobs.keep_repository_blobs': KEEPS,
  '2026-12-08-storage adds repository_blobs.release_repository_blobs': RELEASES,
  '2026-12-08-trash drops manifests.all_manifests_state': 'is replaced by the next one',
  '2026-12-08-trash adds manifests.all_manifests_state':
    'permits all earlier states, and the views hide the new ones',
}

/** Tables that a migration has renamed. A view has the old name, so that the previous version still finds it. */
const RENAMED: Readonly<Record<string, string>> = {
  all_repositories: 'repositories',
  all_manifests: 'manifests',
  pending_pushes: 'admissions',
}

const FOLDER = new URL('../src/migrations/', import.meta.url)

interface Column {
  readonly name: string
  readonly type: string
  /** Whether an insert that leaves the column out is refused. */
  readonly mandatory: boolean
}

async function columnsOf(db: Database): Promise<readonly Column[]> {
  const { rows } = await sql<Column>`
    select table_name || '.' || column_name as name, data_type as type,
      is_nullable = 'NO' and column_default is null and is_generated = 'NEVER' as mandatory
    from information_schema.columns
    where table_schema = 'public' and table_name not like 'kysely%'`.execute(db)
  return rows
}

interface Rule {
  readonly table: string
  readonly name: string
  readonly definition: string
  /** Whether the rule may refuse a statement. */
  readonly refuses: boolean
}

async function rulesOf(db: Database): Promise<readonly Rule[]> {
  const { rows } = await sql<Rule>`
    select * from (
      select conrelid::regclass::text as table, conname as name, pg_get_constraintdef(oid) as definition, true as refuses
        from pg_constraint where contype <> 'n' and conrelid <> 0
      union all
      -- A foreign key refuses the deletion of referenced rows, unless it cascades.
      select confrelid::regclass::text, conname || ' (here)', pg_get_constraintdef(oid), confdeltype in ('a', 'r')
        from pg_constraint where contype = 'f'
      union all
      select indrelid::regclass::text, indexrelid::regclass::text, pg_get_indexdef(indexrelid), indisunique
        from pg_index
        where not exists (select from pg_constraint where conindid = indexrelid and contype in ('p', 'u', 'x'))
      union all
      select tgrelid::regclass::text, tgname, pg_get_triggerdef(oid), true from pg_trigger where not tgisinternal
    ) rules
    join pg_class on pg_class.oid = rules.table::regclass
    where relnamespace = 'public'::regnamespace and relname not like 'kysely%'
    order by 1, 2`.execute(db)
  return rows.map((rule) => ({ ...rule, table: oldNames(rule.table), definition: oldNames(rule.definition) }))
}

/** Replaces the names of renamed tables. */
function oldNames(text: string): string {
  return text.replaceAll(/\w+/g, (word) => RENAMED[word] ?? word)
}

/** Describes the changes of the rules of existing tables. */
function changesOf(before: readonly Rule[], after: readonly Rule[], tables: ReadonlySet<string>): string[] {
  const isIn = (rules: readonly Rule[]) => {
    const known = new Set(rules.map((rule) => JSON.stringify([rule.table, rule.name, rule.definition])))
    return (rule: Rule) => known.has(JSON.stringify([rule.table, rule.name, rule.definition]))
  }
  const [existed, exists] = [isIn(before), isIn(after)]
  const dropped = before.filter((rule) => !exists(rule))
  const added = after.filter((rule) => rule.refuses && tables.has(rule.table) && !existed(rule))
  return [
    ...dropped.map(({ table, name }) => `drops ${table}.${name}`),
    ...added.map(({ table, name }) => `adds ${table}.${name}`),
  ]
}

t.test('no migration breaks the statements of the previous version', async (t) => {
  const files = (await readdir(FOLDER)).toSorted()
  const load = async (file: string) => [file.replace(/\.ts$/, ''), await import(new URL(file, FOLDER).href)]
  const migrations: Record<string, Migration> = Object.fromEntries(await Promise.all(files.map(load)))
  const db = await pgliteForTest(t)
  const migrator = new Migrator({ db, provider: { getMigrations: async () => migrations } })
  for (const _ of files) t.equal((await migrator.migrateDown()).error, undefined)
  t.same(await columnsOf(db), [], 'the schema is empty')

  const changes: string[] = []
  for (const name of Object.keys(migrations)) {
    const [before, rules] = [await columnsOf(db), await rulesOf(db)]
    t.equal((await migrator.migrateUp()).error, undefined)
    const after = new Map((await columnsOf(db)).map((column) => [column.name, column]))
    const tables = new Set(before.map((column) => tableOf(column)))
    for (const column of before.filter((column) => !DROPPED.has(column.name))) {
      const now = after.get(column.name)
      t.match(now, { type: column.type }, `${name} keeps ${column.name}`)
      t.notOk(now?.mandatory && !column.mandatory, `${name} keeps ${column.name} optional`)
      after.delete(column.name)
    }
    for (const column of after.values()) {
      t.notOk(tables.has(tableOf(column)) && column.mandatory, `${name} adds ${column.name}`)
    }
    for (const change of changesOf(rules, await rulesOf(db), tables)) changes.push(`${name} ${change}`)
  }
  t.same(changes, Object.keys(CONSIDERED), 'every other change is considered')
})

t.test('the check of migrations detects added and dropped rules', async (t) => {
  const db = await pgliteForTest(t)
  const tables = new Set((await columnsOf(db)).map(tableOf))
  const DETECTED: readonly (readonly [statement: string, ...changes: string[]])[] = [
    ['alter table tags add constraint short check (length(name) < 9)', 'adds tags.short'],
    ['alter table tags add constraint once unique (digest)', 'adds tags.once'],
    ['create unique index one_each on all_manifests (media_type)', 'adds manifests.one_each'],
    [
      'alter table pending_pushes add constraint known foreign key (repository) references all_repositories (name)',
      'adds admissions.known',
      'adds repositories.known (here)',
    ],
    [`create function no() returns trigger language plpgsql as 'begin return null; end'`],
    ['create trigger never before insert on tags for each row execute function no()', 'adds tags.never'],
    ['drop index tags_by_digest', 'drops tags.tags_by_digest'],
    ['create index tags_by_digest on tags (digest)'],
    [
      'alter table tags drop constraint tags_manifest',
      'drops manifests.tags_manifest (here)',
      'drops tags.tags_manifest',
    ],
    ['create table other (repository uuid primary key references all_repositories (id) on delete cascade)'],
    [
      'drop table other',
      'drops other.other_pkey',
      'drops other.other_repository_fkey',
      'drops repositories.other_repository_fkey (here)',
    ],
  ]
  for (const [statement, ...changes] of DETECTED) {
    const before = await rulesOf(db)
    await sql.raw(statement).execute(db)
    t.same(changesOf(before, await rulesOf(db), tables).toSorted(), changes, statement)
  }
})

function tableOf({ name }: Column): string {
  return name.split('.', 1).join('')
}
