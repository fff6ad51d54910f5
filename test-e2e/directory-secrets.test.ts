import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { connectPostgres } from '../packages/database/src/connect.ts'
import { findPostgres } from '@registry-manager/testing/postgres-binaries'
import { startMigratedPostgres } from '@registry-manager/testing/real-postgres'
import type { Question } from '../services/auth-service/test/fixtures/auth-service.ts'
import { startAuthService } from '../services/auth-service/test/fixtures/auth-service.ts'
import { configFor } from './harness/connected-directory.ts'
import { directoryKinds } from './harness/directories.ts'
import { startFaultyProxy } from './harness/faulty-proxy.ts'
import { runCommand } from './harness/run-command.ts'
import type { TestDirectory } from './harness/test-directory.ts'
import { settingsFor } from './harness/test-directory.ts'

const RIGHT = 'Right-password+of/alice 1'
const WRONG = 'Wrong-password+of/alice 2'
const IGNORED = 'Ignored-password+of/alice 3'
/** A password that was typed into the name field. */
const MISTYPED = 'mistyped-password-4'

/** The spellings in which a secret may appear. */
function spellings(secret: string): string[] {
  const bytes = Buffer.from(secret)
  // The base64 form of a text depends on the number of bytes before it.
  const shifted = [0, 1, 2].map((by) =>
    Buffer.concat([Buffer.alloc(by), bytes])
      .toString('base64')
      .slice(by + 1, -4),
  )
  return [secret, encodeURIComponent(secret), secret.replaceAll(' ', '+'), bytes.toString('hex'), ...shifted]
}

async function testSecrets(t: Test, directory: TestDirectory) {
  const [postgres, found] = [await startMigratedPostgres(t), findPostgres()]
  if (postgres === undefined || 'reason' in found) return
  const db = connectPostgres(postgres.url)
  t.teardown(() => db.destroy())
  await directory.addUsers({ alice: RIGHT, bob: 'Password-of-bob-1' })
  await directory.addGroup('developers', [directory.userDn('alice')])
  const proxy = await startFaultyProxy(t, directory)
  const config = configFor({
    ...settingsFor(directory),
    DIRECTORY_URL: `ldaps://127.0.0.1:${proxy.port}`,
    DIRECTORY_GROUP_MAP: JSON.stringify({ [directory.groupDn('developers')]: { namespaces: ['team'] } }),
    DIRECTORY_AUTO_CREATE: 'true',
  })
  const service = await startAuthService(t, db, { directory: config, logLevel: 'trace' })
  const { ask, askInternal, lines, answers } = service
  const statuses: number[] = []
  const go = async (question: Question) => {
    const answer = await ask(question)
    answers.push(JSON.stringify(answer.headers))
    statuses.push(answer.statusCode)
  }
  const everyWay = async (password: string) => {
    const query = new URLSearchParams({ username: 'bob', ad: 'true', password })
    await go({
      url: '/auth/v2/token?scope=repository:team/app:pull&offline_token=true',
      as: 'alice',
      password,
    })
    await go({
      method: 'POST',
      url: '/auth/v2/token',
      form: {
        grant_type: 'password',
        service: 'token-service',
        client_id: 'test',
        username: 'alice',
        password,
      },
    })
    await go({ url: '/user', as: 'alice', password })
    await go({ url: '/user', as: password, password: 'some-password' })
    await go({ url: '/user', as: MISTYPED, password })
    await go({ method: 'POST', url: `/user?${query}`, as: 'root' })
    await go({ method: 'PATCH', url: `/user?${query}`, as: 'root' })
    await go({
      method: 'POST',
      url: `/user/password?${new URLSearchParams({ username: 'bob', password })}`,
      as: 'root',
    })
    await go({ method: 'DELETE', url: '/user?username=bob', as: 'root' })
  }
  // Every test has a local user alice. Here alice is a directory user.
  await service.users.delete('alice')
  for (const password of [RIGHT, WRONG, IGNORED]) await everyWay(password)
  t.ok(
    [200, 201, 401, 409].every((status) => statuses.includes(status)),
    `status codes: ${[...new Set(statuses)].join()}`,
  )
  for (const fault of ['reset', 'black-hole'] as const) {
    proxy.fault = fault
    for (const password of [`${WRONG}1`, IGNORED]) await everyWay(password)
  }
  t.ok(statuses.includes(503))
  await directory.stop()
  await everyWay(`${WRONG}2`)

  const dump = await runCommand(join(found.folder, 'pg_dump'), ['--dbname', postgres.url], { env: found.env })
  const places = {
    'the log': lines.join('\n'),
    'the responses': answers.join('\n'),
    'the database': dump.stdout,
    'the metrics': (await askInternal({ url: '/metrics' })).body,
    'the health page': (await askInternal({ url: '/readyz' })).body,
  }
  t.ok(
    places['the database'].includes('alice') && places['the log'].includes('/user'),
    'every place was searched',
  )
  const root = 'root-password'
  for (const [place, text] of Object.entries(places)) {
    t.ok(text.length > 100, place)
    for (const secret of [RIGHT, WRONG, IGNORED, MISTYPED, directory.service.password, root]) {
      for (const spelling of spellings(secret)) t.notOk(text.includes(spelling), `${place}: ${spelling}`)
    }
  }
}

for (const { name, missing, start } of await directoryKinds()) {
  t.test(`passwords appear in no log, response, table or metric: ${name}`, { skip: missing }, async (t) => {
    await testSecrets(t, await start(t))
  })
}
