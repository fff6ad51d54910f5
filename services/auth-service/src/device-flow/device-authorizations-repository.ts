import type { Database } from '@registry-manager/database'
import type { DeviceFlowPorts, StoredDevice, WaitingDevice } from './device-flow.ts'

/** Devices in Postgres that wait for a person, stored by the hash of their code. */
export function createDeviceAuthorizationsRepository(
  db: Database,
): Pick<DeviceFlowPorts, 'insert' | 'findPending' | 'decide' | 'find' | 'setPolled' | 'delete'> {
  const pending = (userCode: string, now: Date) =>
    db
      .selectFrom('device_authorizations')
      .select('device_code_hash')
      .where('user_code', '=', userCode)
      .where('status', '=', 'pending')
      .where('expires_at', '>', now)

  return {
    async insert({ hash, userCode, clientName, address, intervalSeconds, expiresAt }) {
      const row = await db
        .insertInto('device_authorizations')
        .values({
          device_code_hash: hash,
          user_code: userCode,
          client_name: clientName,
          address,
          interval_seconds: intervalSeconds,
          expires_at: expiresAt,
        })
        .onConflict((conflict) => conflict.column('user_code').doNothing())
        .returning('user_code')
        .executeTakeFirst()
      return row !== undefined
    },

    async findPending(userCode, now): Promise<WaitingDevice | undefined> {
      return pending(userCode, now)
        .clearSelect()
        .select(['user_code as userCode', 'client_name as clientName', 'address'])
        .executeTakeFirst()
    },

    async decide(userCode, now, approvedBy) {
      const row = await db
        .updateTable('device_authorizations')
        .set({
          status: approvedBy === undefined ? 'denied' : 'approved',
          account_id: approvedBy?.id ?? null,
          generation: approvedBy?.generation ?? null,
        })
        .where('device_code_hash', 'in', pending(userCode, now))
        .where('status', '=', 'pending')
        .returning('user_code')
        .executeTakeFirst()
      return row !== undefined
    },

    async find(hash): Promise<StoredDevice | undefined> {
      const row = await db
        .selectFrom('device_authorizations')
        .selectAll()
        .where('device_code_hash', '=', hash)
        .executeTakeFirst()
      return (
        row && {
          userCode: row.user_code,
          clientName: row.client_name,
          address: row.address,
          status: row.status,
          accountId: row.account_id,
          generation: row.generation,
          intervalSeconds: row.interval_seconds,
          polledAt: row.polled_at,
          expiresAt: row.expires_at,
        }
      )
    },

    async setPolled(hash, polledAt, intervalSeconds) {
      await db
        .updateTable('device_authorizations')
        .set({ polled_at: polledAt, interval_seconds: intervalSeconds })
        .where('device_code_hash', '=', hash)
        .execute()
    },

    async delete(hash) {
      const row = await db
        .deleteFrom('device_authorizations')
        .where('device_code_hash', '=', hash)
        .returning('user_code')
        .executeTakeFirst()
      return row !== undefined
    },
  }
}
