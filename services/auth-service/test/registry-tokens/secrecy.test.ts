import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { connectPostgres } from '@registry-manager/database'
import t from 'tap'
import { findPostgres } from '@registry-manager/testing/postgres-binaries'
import { startMigratedPostgres } from '@registry-manager/testing/real-postgres'
import { SERVICE_CREDENTIAL, startAuthService } from '../fixtures/auth-service.ts'
import { tokensApi } from '../fixtures/registry-tokens.ts'

/** The forms in which a secret could leak: itself, its random part, in Base64, in hex. */
function formsOf(secret: string, username: string): string[] {
  const bytes = Buffer.from(secret)
  const basic = Buffer.from(`${username}:${secret}`)
  // The middle of the text in Base64, for each position within a group of three bytes.
  const shifted = [0, 1, 2].map((shift) =>
    Buffer.concat([Buffer.alloc(shift), bytes])
      .toString('base64')
      .slice(4, -4),
  )
  return [secret, secret.slice(4, 34), bytes.toString('hex'), basic.toString('base64'), ...shifted]
}

t.test('the password of a registry token is in the response that creates it, and nowhere else', async (t) => {
  const postgres = await startMigratedPostgres(t)
  const found = findPostgres()
  if (postgres === undefined || 'reason' in found) return
  const db = connectPostgres(postgres.url)
  t.teardown(() => db.destroy())
  const { ask, askInternal, lines, answers } = await startAuthService(t, db, { logLevel: 'trace' })
  const api = await tokensApi(ask)

  const { id, as, password: first } = await api.make({ name: 'Secretive' })
  const second = (await api.put(id, '?overlap=3600')).json().properties.credentials.password as string
  const making = new Set(answers.splice(0).filter((answer) => answer.includes('"rmt_')))
  t.equal(making.size, 2, 'both responses that create a password have it')

  for (const password of [first, second]) {
    t.equal(
      (await ask({ url: '/auth/v2/token?scope=repository:team/app:pull', as, password })).statusCode,
      200,
    )
    const form = { grant_type: 'password', username: as, password, access_type: 'offline' }
    t.equal((await ask({ method: 'POST', url: '/auth/v2/token', form })).statusCode, 200)
    const json = { username: as, password, address: '10.0.0.1', access: null }
    await askInternal({ method: 'POST', url: '/internal/token-exchanges', json, bearer: SERVICE_CREDENTIAL })
    // Requests with the password in the wrong place: no response may repeat it.
    await ask({ url: `/user?password=${password}`, as: 'root' })
    await ask({ url: `${api.base}?limit=${password}&filter.expiresWithin=${password}`, as: 'root' })
    await ask({ method: 'PATCH', url: '/user', json: { username: 'alice', password }, as: 'root' })
    await ask({
      method: 'PATCH',
      url: `${api.base}/${id}`,
      payload: `{"status":"${password}`,
      headers: { 'content-type': 'application/json' },
      as: 'root',
    })
    await ask({ url: '/user', as, password })
    await ask({ url: '/auth/v2/token', as, password: `${password.slice(0, -1)}!` })
  }
  await api.list()
  await api.get(id)
  await api.patch(id, { status: 'disabled' })
  await api.patch(id, { status: 'enabled' })
  const isUsed = async () => 'lastUsedDate' in (await api.get(id)).json().metadata
  for (let attempt = 0; attempt < 100 && !(await isUsed()); attempt += 1) await sleep(200)
  t.ok(await isUsed(), 'its last use is saved')

  const { stdout: dump } = await promisify(execFile)(join(found.folder, 'pg_dump'), [postgres.url], {
    env: { ...process.env, ...found.env },
    maxBuffer: 2 ** 28,
  })
  t.match(dump, /COPY public\.registry_tokens/, 'the dump has the table')
  t.match(dump, /Secretive/)
  t.ok(lines.length > 50 && answers.length > 20, 'there are logs and responses')
  for (const [which, secret] of Object.entries({ first, second })) {
    for (const form of formsOf(secret, as)) {
      const places = { log: lines.join('\n'), responses: answers.join('\n'), dump }
      for (const [place, text] of Object.entries(places)) {
        if (text.includes(form)) t.fail(`the ${which} password is in the ${place}, as ${form.slice(0, 12)}…`)
      }
    }
  }
  t.pass('no form of the passwords is in logs, responses or the dump')
})
