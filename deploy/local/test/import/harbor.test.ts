import { createServer } from 'node:https'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { readAccessFile } from '../../apply/read-access-file.ts'
import { createHarborClient } from '../../import/harbor-client.ts'
import { importHarbor } from '../../import/harbor.ts'
import { writeAccessFile } from '../../import/write-access-file.ts'
import { makeForeignPair } from '../fixtures/foreign-pair.ts'
import type { HarborContents } from '../fixtures/harbor.ts'
import { SMALL_HARBOR, startHarbor, startServer } from '../fixtures/harbor.ts'

const NOW = Date.parse('2026-11-29T00:00:00Z')
const clientOf = (url: string) => createHarborClient({ url, username: 'admin', password: 'Harbor12345' })

t.test(
  'projects, members, groups and robots of a Harbor are taken over, and the rest is reported',
  async (t) => {
    const { url, requests } = await startHarbor(t, SMALL_HARBOR)
    const imported = await importHarbor(clientOf(url), { provider: undefined, nowMs: NOW })
    t.strictSame(Object.fromEntries(imported.users), { helga: {}, hugo: { role: 'cluster-administrator' } })
    t.strictSame(Object.fromEntries(imported.groups), {
      builders: { mappings: [{ directory: 'cn=builders,dc=example,dc=com' }] },
      visitors: {},
    })
    t.strictSame(Object.fromEntries(imported.grants), {
      shop: [
        { subject: { kind: 'user', name: 'helga' }, repositories: 'shop/*', role: 'maintainer' },
        { subject: { kind: 'group', name: 'builders' }, repositories: 'shop/*', role: 'developer' },
        { subject: { kind: 'group', name: 'visitors' }, repositories: 'shop/*', role: 'reader' },
      ],
    })
    t.strictSame(Object.fromEntries(imported.registryTokens), {
      mirror: { scopes: [{ type: 'repository', name: '*', actions: ['pull'] }] },
      'shop-ci': {
        scopes: [{ type: 'repository', name: 'shop/*', actions: ['pull', 'push'] }],
        expiryDate: '2037-06-29T00:00:00Z',
        status: 'disabled',
      },
    })
    const report = imported.report.join('\n')
    for (const part of [
      "user admin is not imported: it is Harbor's own administrator",
      '2 users get new passwords: Harbor does not show the hashes',
      'project library is public in Harbor, but not in registry-manager',
      'group visitors has no members yet',
      'user helga gets no rights in shop: its role has the unknown id 9',
      'robot robot$mirror does not get its permissions on system /',
      'robot robot$shop+ci becomes the registry token shop-ci with a new password',
      'robot robot$shop+ci loses these permissions in shop: artifact delete, tag list',
      'robot robot$shop+old is not imported: it has expired',
      'robot robot$shop+my_bot is not imported: shop-my_bot cannot be the name of a registry token',
      'robot robot$shop+deny is not imported: it has a permission that denies',
      'robot robot$shop+blind loses these permissions in shop: repository push',
      'robot robot$shop+blind is not imported: none of its permissions',
      'maintainers in registry-manager may also set the scope of a repository',
    ]) {
      t.ok(report.includes(part), part)
    }
    t.ok(
      requests.every((request) => request.startsWith('GET ')),
      'the import only reads',
    )
    const file = readAccessFile(writeAccessFile(imported, 'A title.'))
    t.notOk('faults' in file && file.faults, 'the written file is an access file')
  },
)

t.test('long lists of a Harbor are read in pages', async (t) => {
  const users = Array.from({ length: 250 }, (_, index) => ({ user_id: index + 2, username: `user-${index}` }))
  const { url, requests } = await startHarbor(t, { users })
  const imported = await importHarbor(clientOf(url), { provider: undefined, nowMs: NOW })
  t.equal(imported.users.size, 250)
  t.equal(requests.filter((request) => request.includes('/users?')).length, 3)
})

t.test(
  'users of a directory or of a provider become such users, and without the provider none',
  async (t) => {
    const of = async (auth_mode: string, provider?: string) => {
      const { url } = await startHarbor(t, { ...SMALL_HARBOR, auth_mode } as HarborContents)
      return importHarbor(clientOf(url), { provider, nowMs: NOW })
    }
    t.strictSame((await of('ldap_auth')).users.get('helga'), { ad: true })
    t.strictSame((await of('oidc_auth', 'corp')).users.get('helga'), { provider: 'corp' })
    const without = await of('oidc_auth')
    t.equal(without.users.size, 0)
    t.strictSame(
      without.grants.get('shop')?.map(({ subject }) => subject.kind),
      ['group', 'group'],
    )
    t.match(without.report.join('\n'), /3 users and their rights are not imported: .* --provider=ID/)
  },
)

t.test(
  'wrong credentials, other servers and too long responses are errors without the password',
  async (t) => {
    const { url } = await startHarbor(t, {})
    const wrong = createHarborClient({ url, username: 'admin', password: 'wrong-secret' })
    await t.rejects(importHarbor(wrong, { provider: undefined, nowMs: NOW }), {
      message: /^GET .*\/systeminfo: 401 Unauthorized$/,
    })
    const other = await startServer(t, (_request, response) => void response.end('<html>'))
    await t.rejects(clientOf(other.url).list('/users', {}), /not a response of Harbor/)
    const long = await startServer(t, (_request, response) => {
      response.write('[')
      const timer = setInterval(() => response.write(' '.repeat(1024 * 1024)), 1)
      response.on('close', () => clearInterval(timer))
    })
    await t.rejects(clientOf(long.url).list('/users', {}), /the response is longer than 4194304 bytes/)
    const elsewhere = await startServer(t, (_request, response) => {
      response.writeHead(302, { location: `${url}/api/v2.0/systeminfo` }).end()
    })
    await t.rejects(
      clientOf(elsewhere.url).get('/systeminfo', {}),
      /no response/,
      'a redirect is not followed',
    )
  },
)

t.test('an import from a Harbor with an untrusted certificate fails', async (t) => {
  const pair = makeForeignPair(t.testdir(), 'localhost')
  const server = createServer({ cert: pair['server.crt'], key: pair['server.key'] })
  await once(server.listen(0, 'localhost'), 'listening')
  t.teardown(() => server.close())
  const client = clientOf(`https://localhost:${(server.address() as AddressInfo).port}`)
  await t.rejects(client.get('/systeminfo', {}), /no response \(.*(certificate|CERT|issuer)/i)
})
