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

const ERRORS: readonly (readonly [why: string, error: unknown, away: boolean])[] = [
  ['a refused connection', coded('ECONNREFUSED'), true],
  ['a reset connection', coded('ECONNRESET'), true],
  ['a name that is not found', coded('ENOTFOUND'), true],
  ['a server that shuts down', coded('57P01'), true],
  ['a server that starts up', coded('57P03'), true],
  ['a server that lost its data and restarts', coded('57P02'), true],
  ['a lost connection', coded('08006'), true],
  ['no connection left', coded('53300'), true],
  ['a full disk', coded('53100'), true],
  ['a server that only reads, such as a standby', coded('25006'), true],
  ['a connection that was rejected', coded('08004'), true],
  ['a server whose administrator ended the session', coded('57P01'), true],
  ['a session that was idle too long', coded('57P05'), true],
  ['a statement that took too long', coded('57014'), false],
  ['a statement with more than 65,535 parameters', coded('08P01'), false],
  ['a statement that ran out of memory', coded('53200'), false],
  ['a statement that exceeded a configured limit', coded('53400'), false],
  ['a statement that waited too long for a lock', coded('55P03'), false],
  ['a deadlock', coded('40P01'), false],
  ['a text with NUL', coded('22021'), false],
  ['a code that only begins like one', coded('08P01X'), false],
  ['no connection in time', new Error('timeout exceeded when trying to connect'), true],
  ['a connection that broke', new Error('Connection terminated unexpectedly'), true],
  ['an answer that did not come', new Error('Query read timeout'), true],
  ['every address refused', new AggregateError([coded('ECONNREFUSED'), coded('ECONNREFUSED')]), true],
  ['a taken name', coded('23505'), false],
  ['a broken constraint', coded('23514'), false],
  ['a wrong password', coded('28P01'), false],
  ['a database that is not there', coded('3D000'), false],
  ['a table that is not there', coded('42P01'), false],
  ['bad syntax', coded('42601'), false],
  ['a programming fault', new TypeError('x is not a function'), false],
  ['several programming faults', new AggregateError([new TypeError('x')]), false],
  ['text', 'ECONNREFUSED', false],
  ['nothing', undefined, false],
  ['null', null, false],
]

t.test('which errors mean that the database is away', async (t) => {
  for (const [why, error, away] of ERRORS) t.equal(isDatabaseUnavailable(error), away, why)
})

t.test('a cancelled statement and a lock timeout are statement timeouts, nothing else is', async (t) => {
  for (const code of ['57014', '55P03']) {
    t.equal(isStatementTimeout(coded(code)), true, code)
    t.equal(isDatabaseBusyOrUnavailable(coded(code)), true, `${code} may succeed when it is repeated`)
  }
  t.equal(isDatabaseBusyOrUnavailable(coded('57P01')), true)
  t.equal(isDatabaseBusyOrUnavailable(coded('08P01')), false)
  for (const other of [coded('57P01'), coded('08P01'), new Error('57014'), undefined, '57014']) {
    t.equal(isStatementTimeout(other), false)
  }
})

t.test('which mean that a name is taken', async (t) => {
  t.equal(isUniqueViolation(coded('23505')), true)
  for (const other of [coded('23503'), new Error('23505'), undefined, null, '23505']) {
    t.equal(isUniqueViolation(other), false)
  }
})

t.test('and that what a row names is not there', async (t) => {
  t.equal(isForeignKeyViolation(coded('23503')), true)
  for (const other of [coded('23505'), new Error('23503'), undefined, null, '23503']) {
    t.equal(isForeignKeyViolation(other), false)
  }
})

t.test('on a real Postgres, an error of one statement does not make the database unavailable', async (t) => {
  const postgres = await startPostgres(t)
  if (postgres === undefined) return
  const db = connectPostgres(postgres.url, { statementMs: 300, lockMs: 0 })
  t.teardown(() => db.destroy())
  const parameters = Array.from({ length: 70_000 }, () => sql`${1}::int`)
  const failing = {
    'too many parameters': sql`select array[${sql.join(parameters)}]`,
    'too slow': sql`select pg_sleep(2)`,
    'NUL in a text': sql`select ${'a\0b'}::text`,
  }
  for (const [why, statement] of Object.entries(failing)) {
    const error = await statement.execute(db).catch((error: unknown) => error)
    t.ok(error instanceof Error, `${why} fails`)
    t.equal(isDatabaseUnavailable(error), false, `${why}: the database is there`)
    t.equal(isStatementTimeout(error), why === 'too slow', `${why}: ${String(error)}`)
  }
  t.equal(await answerOf(db), 1)
})

t.test('a Postgres that is frozen is unavailable, and not slow', async (t) => {
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
  t.equal(await answerOf(db), 1)
  frozen = true
  const error = await failureOf(db)
  t.equal(isDatabaseUnavailable(error), true, String(error))
})

const ask = (db: Database) => sql<{ one: number }>`select 1 as one`.execute(db)
const answerOf = async (db: Database) => (await ask(db)).rows[0]?.one

/** The error that a query ends with. */
async function failureOf(db: Database): Promise<unknown> {
  return ask(db).then(
    () => undefined,
    (error: unknown) => error,
  )
}

t.test('a real Postgres that goes and comes back', async (t) => {
  const postgres = await startPostgres(t)
  if (postgres === undefined) return
  const db = connectPostgres(postgres.url)
  t.teardown(() => db.destroy())
  t.equal(await answerOf(db), 1)

  await postgres.stop()
  t.equal(isDatabaseUnavailable(await failureOf(db)), true, 'stopped: away')
  t.equal(isDatabaseUnavailable(await failureOf(db)), true, 'and still')
  await postgres.start()
  t.equal(await answerOf(db), 1, 'started: there again, on the same pool')

  const inTransaction = db.transaction().execute(async (tx) => {
    await ask(tx)
    await postgres.kill()
    // The server's children live on until they notice.
    for (;;) await ask(tx)
  })
  const broken = await inTransaction.catch((error: unknown) => error)
  t.equal(isDatabaseUnavailable(broken), true, 'killed in the middle of a transaction: away')
  t.equal(isDatabaseUnavailable(await failureOf(db)), true, 'and still')
  await postgres.start()
  t.equal(await answerOf(db), 1)
})

t.test('nothing is opened before the first query', async (t) => {
  const db = connectPostgres('postgres://registry@127.0.0.1:1/postgres')
  t.teardown(() => db.destroy())
  t.equal(isDatabaseUnavailable(await failureOf(db)), true, 'then a refused port is a database that is away')
})

t.test('a listener that never answers', async (t) => {
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
  t.equal(isDatabaseUnavailable(await failureOf(db)), true, 'is a database that is away')
  t.equal(sockets.length, 1, 'it was asked')
})
