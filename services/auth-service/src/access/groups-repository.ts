import type { Database } from '@registry-manager/database'
import { sql } from 'kysely'
import type { Group, GroupMapping, GroupMember } from './group.ts'
import { LOCAL } from './group.ts'
import type { KeysetPage } from './page.ts'

/** Queries of groups, their mappings and their members. Names are in lower case. */
export function createGroupsRepository(db: Database) {
  const groups = db
    .selectFrom('groups')
    .select(['id', 'name', 'created_at'])
    .select(
      sql<readonly GroupMapping[]>`(
        select coalesce(json_agg(json_build_object('source', source, 'name', mapped.name)
          order by source, mapped.name), '[]')
        from group_mappings mapped where mapped.group_id = groups.id)`.as('mappings'),
    )
  const toGroup = (row: {
    id: string
    name: string
    created_at: Date
    mappings: readonly GroupMapping[]
  }): Group => {
    const { id, name, mappings, created_at: createdAt } = row
    return { id, name, mappings, createdAt }
  }

  return {
    async listGroups({ after = '', limit }: KeysetPage): Promise<Group[]> {
      const rows = await groups.where('name', '>', after).orderBy('name').limit(limit).execute()
      return rows.map(toGroup)
    },

    async findGroup(name: string): Promise<Group | undefined> {
      const row = await groups.where('name', '=', name).executeTakeFirst()
      return row && toGroup(row)
    },

    /** Locks a group until the transaction ends. Undefined if there is no such group. */
    async lockGroup(name: string): Promise<Group | undefined> {
      const row = await groups.where('name', '=', name).forUpdate().executeTakeFirst()
      return row && toGroup(row)
    },

    /** Undefined if the name is taken. */
    async insertGroup(name: string): Promise<Group | undefined> {
      const row = await db
        .insertInto('groups')
        .values({ name })
        .onConflict((conflict) => conflict.column('name').doNothing())
        .returning(['id', 'name', 'created_at'])
        .executeTakeFirst()
      return row && toGroup({ ...row, mappings: [] })
    },

    async deleteGroup(id: string): Promise<void> {
      await db.deleteFrom('groups').where('id', '=', id).execute()
    },

    /** Replaces the mappings. Ends the memberships that come from removed mappings. */
    async setMappings(id: string, mappings: readonly GroupMapping[]): Promise<void> {
      const wanted = sql`(
        select * from jsonb_to_recordset(${JSON.stringify(mappings)}::jsonb) as wanted (source text, name text))`
      await sql`
        delete from group_members
        where group_id = ${id} and source <> ${LOCAL} and (source, name) not in ${wanted}`.execute(db)
      await sql`
        delete from group_mappings where group_id = ${id} and (source, name) not in ${wanted}`.execute(db)
      await sql`
        insert into group_mappings (group_id, source, name)
        select ${id}::uuid, source, name from ${wanted} wanted on conflict do nothing`.execute(db)
    },

    async listMembers(groupId: string, { after = '', limit }: KeysetPage): Promise<GroupMember[]> {
      const rows = await db
        .selectFrom('group_members')
        .innerJoin('accounts', 'accounts.id', 'group_members.account_id')
        .select(['username', sql<string[]>`array_agg(distinct source)`.as('sources')])
        .where('group_id', '=', groupId)
        .where('username', '>', after)
        .groupBy('username')
        .orderBy('username')
        .limit(limit)
        .execute()
      return rows
    },

    /** The local members by username, with their ids. */
    async localMembers(groupId: string): Promise<ReadonlyMap<string, string>> {
      const rows = await db
        .selectFrom('group_members')
        .innerJoin('accounts', 'accounts.id', 'group_members.account_id')
        .select(['accounts.id', 'username'])
        .where('group_id', '=', groupId)
        .where('source', '=', LOCAL)
        .execute()
      return new Map(rows.map(({ id, username }) => [username, id]))
    },

    async findUsers(usernames: readonly string[]): Promise<ReadonlyMap<string, string>> {
      const rows = await db
        .selectFrom('accounts')
        .select(['id', 'username'])
        .where('kind', '=', 'user')
        .where(sql<boolean>`username = any(${sql.val(usernames)}::text[])`)
        .execute()
      return new Map(rows.map(({ id, username }) => [username, id]))
    },

    async addLocalMembers(groupId: string, accountIds: readonly string[]): Promise<void> {
      await sql`
        insert into group_members (group_id, account_id, source)
        select ${groupId}::uuid, id, ${LOCAL} from unnest(${sql.val(accountIds)}::uuid[]) as added (id)
        on conflict do nothing`.execute(db)
    },

    async removeLocalMembers(groupId: string, accountIds: readonly string[]): Promise<void> {
      await sql`
        delete from group_members
        where group_id = ${groupId} and source = ${LOCAL} and account_id = any(${sql.val(accountIds)}::uuid[])
      `.execute(db)
    },

    /**
     * Compares the memberships that a source gives an account with the stored ones, and returns the differences.
     * `names` are the names of the account's groups in the source.
     */
    async compareMemberships(
      accountId: string,
      source: string,
      names: readonly string[],
    ): Promise<readonly MembershipDifference[]> {
      const { rows } = await sql<MembershipDifference>`
        select coalesce(wanted.group_id, present.group_id) as "groupId", coalesce(wanted.name, present.name) as name,
          wanted.group_id is not null as "isWanted", groups.name as "group"
        from (
          select group_id, name from group_mappings
          where source = ${source} and name = any(${sql.val(names)}::text[])
        ) wanted
        full join (
          select group_id, name from group_members where account_id = ${accountId} and source = ${source}
        ) present on present.group_id = wanted.group_id and present.name = wanted.name
        join groups on groups.id = coalesce(wanted.group_id, present.group_id)
        where wanted.group_id is null or present.group_id is null
        order by groups.id`.execute(db)
      return rows
    },

    async applyMemberships(
      accountId: string,
      source: string,
      differences: readonly MembershipDifference[],
    ): Promise<void> {
      for (const { groupId, name, isWanted } of differences) {
        const member = { group_id: groupId, account_id: accountId, source, name }
        if (isWanted) {
          await db
            .insertInto('group_members')
            .values(member)
            .onConflict((conflict) => conflict.doNothing())
            .execute()
        } else {
          await db
            .deleteFrom('group_members')
            .where((eb) => eb.and(member))
            .execute()
        }
      }
    },

    /** The names, in a source, of all groups that mappings refer to. */
    async mappedNames(source: string): Promise<string[]> {
      const rows = await db
        .selectFrom('group_mappings')
        .select('name')
        .distinct()
        .where('source', '=', source)
        .execute()
      return rows.map(({ name }) => name)
    },
  }
}

/** A membership to be added, because its source gives it, or to be removed, because its source gives it no longer. */
export interface MembershipDifference {
  readonly groupId: string
  readonly group: string
  /** The name of the mapping. */
  readonly name: string
  readonly isWanted: boolean
}
