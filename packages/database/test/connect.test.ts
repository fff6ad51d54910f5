import { once } from 'node:events'
import type { AddressInfo, Socket } from 'node:net'
import { connect, createServer } from 'node:net'
import { sql } from 'kysely'
import t from 'tap'
import type { Database } from '../src/connect.ts'
import {
  connectPostgres,
  isDatabaseBusyOrUnavailable,
  isDatabaseUnavailable,
  isForeignKeyViolation,
  isStatementTimeout,
  isUniqueViolation,
} from '../src/connect.ts'
import { startPostgres } from '@registry-manager/testing/real-postgres'

const coded = (code: string, message = 'x') => Object.assign(new Error(message), { code })

const ERRORS: readonly (readonly [why: string, error: unknown, unavailable: boolean])[] = [
  ['a refused connection', coded('ECONNREFUSED'), true],
  ['a reset connection', coded('ECONNRESET'), true],
  ['an unknown host name', coded('ENOTFOUND'), true],
  ['a server that shuts down', coded('57P01'), true],
  ['a server that starts up', coded('57P03'), true],
  ['a server that lost its data and restarts', coded('57P02'), true],
  ['a lost connection', coded('08006'), true],
  ['no connection left', coded('53300'), true],
  ['a full disk', coded('53100'), true],
  ['a read-only server, such as a standby', coded('25006'), true],
  ['a connection that was rejected', coded('08004'), true],
  ['a server whose administrator ended the session', coded('57P01'), true],
  ['a session that was idle too long', coded('57P05'), true],
  ['a statement that took too long', coded('57014'), false],
  ['a statement with more than 65,535 parameters', coded('08P01'), false],
  ['a statement that ran out of memory', coded('53200'), false],
  ['a statement that exceeded a configured limit', coded('53400'), false],
  ['a statement that waited too long for a lock', coded('55P03'), false],
  ['a deadlock', coded('40P01'), false],
  ['a string with NUL', coded('22021'), false],
  ['an unknown code with a known prefix', coded('08P01X'), false],
  ['no connection in time', new Error('timeout exceeded when trying to connect'), true],
  ['a connection that broke', new Error('Connection terminated unexpectedly'), true],
  ['a response that did not come', new Error('Query read timeout'), true],
  ['every address refused', new AggregateError([coded('ECONNREFUSED'), coded('ECONNREFUSED')]), true],
  ['a taken name', coded('23505'), false],
  ['a broken constraint', coded('23514'), false],
  ['a wrong password', coded('28P01'), false],
  ['an unknown database', coded('3D000'), false],
  ['an unknown table', coded('42P01'), false],
  ['bad syntax', coded('42601'), false],
  ['a programming error', new TypeError('x is not a function'), false],
  ['several programming errors', new AggregateError([new TypeError('x')]), false],
  ['text', 'ECONNREFUSED', false],
  ['nothing', undefined, false],
  ['null', null, false],
]

t.test(
  'errors of the connection or the server mean that the database is unavailable, others do not',
  async (t) => {
    for (const [why, error, unavailable] of ERRORS) t.equal(isDatabaseUnavailable(error), unavailable, why)
  },
)

t.test('a cancelled statement and a lock timeout are statement timeouts, nothing else is', async (t) => {
  for (const code of ['57014', '55P03']) {
    t.equal(isStatementTimeout(coded(code)), true, code)
    t.equal(isDatabaseBusyOrUnavailable(coded(code)), true, `${code} may succeed when it is retried`)
  }
  t.equal(isDatabaseBusyOrUnavailable(coded('57P01')), true)
  t.equal(isDatabaseBusyOrUnavailable(coded('08P01')), false)
  for (const other of [coded('57P01'), coded('08P01'), new Error('57014'), undefined, '57014']) {
    t.equal(isStatementTimeout(other), false)
  }
})

t.test('isUniqueViolation recognizes a taken name and no other error', async (t) => {
  t.equal(isUniqueViolation(coded('23505')), true)
  for (const other of [coded('23503'), new Error('23505'), undefined, null, '23505']) {
    t.equal(isUniqueViolation(other), false)
  }
})

t.test('isForeignKeyViolation recognizes a missing referenced row and no other error', async (t) => {
  t.equal(isForeignKeyViolation(coded('23503')), true)
  for (const other of [coded('23505'), new Error('23503'), undefined, null, '23503']) {
    t.equal(isForeignKeyViolation(other), false)
  }
})

t.test('on a real Postgres, an error of one statement does not make the database unavailable', async (t) => {
  const postgres = await startPostgres(t)
  if (postgres === undefined) return
  const [db, impatient] = [300_000, 300].map((statementMs) =>
    connectPostgres(postgres.url, { statementMs, lockMs: 0 }),
  ) as [Database, Database]
  t.teardown(() => Promise.all([db.destroy(), impatient.destroy()]))
  const parameters = Array.from({ length: 70_000 }, () => sql`${1}::int`)
  const failing = {
    'too many parameters': sql`select array[${sql.join(parameters)}]`,
    'too slow': sql`select pg_sleep(2)`,
    'NUL in a string': sql`select ${'a\0b'}::text`,
  }
  for (const [why, statement] of Object.entries(failing)) {
    const on = why === 'too slow' ? impatient : db
    const error = await statement.execute(on).catch((error: unknown) => error)
    t.ok(error instanceof Error, `${why} fails`)
    t.equal(isDatabaseUnavailable(error), false, `${why}: the database is available`)
    t.equal(isStatementTimeout(error), why === 'too slow', `${why}: ${String(error)}`)
  }
  t.equal(await queryOne(db), 1)
})

t.test('a frozen Postgres is unavailable: its silence is not a statement timeout', async (t) => {
  const sockets: Socket[] = []
  const postgres = await startPostgres(t)
  if (postgres === undefined) return
  const { port } = new URL(postgres.url)
  let frozen = false
  const relay = createServer((client) => {
    const server = connect(Number(port), '127.0.0.1')
    sockets.push(client, server)
    for (const socket of [client, server]) socket.on('error', () => {})
    client.on('data', (bytes) => void (frozen || server.write(bytes)))
    server.on('data', (bytes) => void client.write(bytes))
  }).listen(0, '127.0.0.1')
  await once(relay, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    relay.close()
  })
  const url = `postgres://registry@127.0.0.1:${(relay.address() as AddressInfo).port}/postgres`
  const db = connectPostgres(url, { statementMs: 300, lockMs: 0 })
  t.teardown(() => db.destroy())
  t.equal(await queryOne(db), 1)
  frozen = true
  const error = await failureOf(db)
  t.equal(isDatabaseUnavailable(error), true, String(error))
})

const query = (db: Database) => sql<{ one: number }>`select 1 as one`.execute(db)
const queryOne = async (db: Database) => (await query(db)).rows[0]?.one

/** Returns the error of a failing query. */
async function failureOf(db: Database): Promise<unknown> {
  return query(db).then(
    () => undefined,
    (error: unknown) => error,
  )
}

t.test('a pool recovers after Postgres was stopped or killed, even within a transaction', async (t) => {
  const postgres = await startPostgres(t)
  if (postgres === undefined) return
  const db = connectPostgres(postgres.url)
  t.teardown(() => db.destroy())
  t.equal(await queryOne(db), 1)

  await postgres.stop()
  t.equal(isDatabaseUnavailable(await failureOf(db)), true, 'stopped')
  t.equal(isDatabaseUnavailable(await failureOf(db)), true, 'at the second query too')
  await postgres.start()
  t.equal(await queryOne(db), 1, 'started again, on the same pool')

  const inTransaction = db.transaction().execute(async (tx) => {
    await query(tx)
    await postgres.kill()
    // The server's child processes live on for a moment.
    for (const deadline = Date.now() + 60_000; Date.now() < deadline;) await query(tx)
  })
  const broken = await inTransaction.catch((error: unknown) => error)
  t.equal(isDatabaseUnavailable(broken), true, 'killed within a transaction')
  t.equal(isDatabaseUnavailable(await failureOf(db)), true, 'at the second query too')
  await postgres.start()
  t.equal(await queryOne(db), 1)
})

t.test('a pool connects at its first query', async (t) => {
  const db = connectPostgres('postgres://registry@127.0.0.1:1/postgres')
  t.teardown(() => db.destroy())
  t.equal(isDatabaseUnavailable(await failureOf(db)), true, 'a refused connection')
})

t.test('a server that accepts connections but never responds is unavailable', async (t) => {
  const sockets: Socket[] = []
  const silent = createServer((socket) => void sockets.push(socket)).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    silent.close()
  })
  const db = connectPostgres(
    `postgres://registry@127.0.0.1:${(silent.address() as AddressInfo).port}/postgres`,
  )
  t.teardown(() => db.destroy())
  t.equal(isDatabaseUnavailable(await failureOf(db)), true)
  t.equal(sockets.length, 1, 'the pool connected to it')
})
