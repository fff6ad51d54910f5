import { connectPostgres } from '@registry-manager/database'
import t from 'tap'
import { DIRECTORY_USER } from './fixtures/fake-auth-service.ts'
import { BASE, startImageManager } from './fixtures/image-manager.ts'

const { ask, askFor, auth } = await startImageManager(t)

t.test('image management responds 503 while auth-service is unavailable', async (t) => {
  auth.down = true
  // Other credentials than those in the cache of authenticated principals.
  const answer = await ask('', { headers: { authorization: `Basic ${btoa('alice:another')}` } })
  auth.down = false
  t.equal(answer.statusCode, 503)
  t.ok(answer.headers['retry-after'])
})

t.test('image management responds 503 to a directory user while the directory is unavailable', async (t) => {
  const authorization = `Basic ${btoa(`${DIRECTORY_USER}:a-password`)}`
  for (const path of ['', '/team/app']) {
    const answer = await ask(path, { headers: { authorization } })
    t.equal(answer.statusCode, 503, path)
    t.match(answer.json(), { detail: 'the directory is unavailable' })
    t.match(answer.headers['retry-after'], /^[1-9]\d*$/)
    t.equal(
      answer.headers['www-authenticate'],
      undefined,
      'the response is no challenge for another password',
    )
  }
})

t.test('image management responds 503 while its database is unavailable', async (t) => {
  const away = connectPostgres('postgres://x:y@127.0.0.1:1/z')
  t.teardown(() => away.destroy())
  const other = await startImageManager(t, away)
  for (const path of ['', '?limit=1', '/team/app']) {
    const answer = await other.ask(path, { as: 'root' })
    t.equal(answer.statusCode, 503, path)
    t.ok(answer.headers['retry-after'])
  }
})

t.test(
  'image management responds 503 to offline tokens, which auth-service issues without its database',
  async (t) => {
    const other = await startImageManager(t)
    t.equal((await other.ask('', { as: 'alice' })).statusCode, 200)
    other.auth.offline = true
    // Not alice: her token is still cached for some seconds.
    const answer = await other.ask('', { as: 'olga' })
    t.equal(answer.statusCode, 503)
    t.ok(answer.headers['retry-after'])
  },
)

t.test('the list of endpoints needs no authentication', async (t) => {
  for (const url of ['/', BASE, `${BASE}/`]) {
    const { statusCode, headers, body } = await askFor(url)
    t.equal(statusCode, 200)
    t.match(headers['content-type'], /^text\/plain/)
    for (const line of ['GET /', `GET ${BASE}/auth/token`, `DELETE ${BASE}/repositories/{repo:.*}`])
      t.ok(body.split('\n').includes(line), line)
    const head = await askFor(url, { method: 'HEAD' })
    t.same([head.statusCode, head.body], [200, ''], `HEAD ${url}`)
    t.equal(head.headers['content-length'], headers['content-length'])
  }
})
