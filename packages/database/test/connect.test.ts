import { once } from 'node:events'
import type { AddressInfo, Socket } from 'node:net'
import { createServer } from 'node:net'
import { sql } from 'kysely'
import t from 'tap'
import type { Database } from '../src/connect.ts'
import {
  connectPostgres,
  isDatabaseUnavailable,
  isForeignKeyViolation,
  isUniqueViolation,
} from '../src/connect.ts'
import { startPostgres } from './fixtures/real-postgres.ts'

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
  ['a statement that took too long', coded('57014'), true],
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
