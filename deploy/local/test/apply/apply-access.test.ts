import { once } from 'node:events'
import { readFileSync, statSync } from 'node:fs'
import { createServer, request as httpRequest } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { pgliteForTest } from '@registry-manager/testing/pglite'
import t from 'tap'
import { Type } from 'typebox'
import { ListedUser } from '@registry-manager/auth-service/management'
import { passwordOf, startAuthService } from '../../../../services/auth-service/test/fixtures/auth-service.ts'
import { EXIT, applyAccess } from '../../apply/command.ts'
import { createManagementClient } from '../../apply/management-client.ts'

const db = await pgliteForTest(t)
const { publicApp } = await startAuthService(t, db)
const url = await publicApp.listen({ host: '127.0.0.1', port: 0 })

/** Applies a file as a user. Returns the exit code and what was printed. */
async function apply(
  text: string,
  {
    as = 'root',
    at = url,
    dryRun = false,
    onlyAdd = false,
    passwords,
  }: { as?: string; at?: string; dryRun?: boolean; onlyAdd?: boolean; passwords?: string } = {},
) {
  const [out, err]: [string[], string[]] = [[], []]
  const client = createManagementClient({ url: at, username: as, password: passwordOf(as) })
  const code = await applyAccess(client, {
    name: 'access.yaml',
    text,
    dryRun,
    onlyAdd,
    passwords,
    print: (line) => void out.push(line),
    printError: (line) => void err.push(line),
  })
  return { code, out: out.join('\n'), err: err.join('\n') }
}

const root = createManagementClient({ url, username: 'root', password: passwordOf('root') })
for (const username of ['jane', 'omar']) {
  await root.send('POST', '/user', { username, password: passwordOf(username) })
}
/** Everything that a change of access changes. */
async function stateOf() {
  const generations = db.selectFrom('accounts').select(['username', 'generation']).orderBy('username')
  const events = db.selectFrom('events').select(({ fn }) => fn.countAll().as('count'))
  return { generations: await generations.execute(), events: await events.execute() }
}

const FILE = `
users:
  jane: { namespaces: [jane, team] }
groups:
  developers:
    members: [jane, omar]
    mappings: [{ directory: Developers }]
registryTokens:
  ci-team:
    scopes: [{ type: repository, name: team/*, actions: [push, pull] }]
    expiryDate: 2037-06-30T00:00:00+02:00
namespaces:
  '*':
    grants:
      - { subject: { kind: registry-token, name: CI-Team }, repositories: alpine, actions: [pull] }
  team:
    grants:
      - { subject: { kind: user, name: Jane }, repositories: team/*, role: owner }
      - { subject: { kind: group, name: developers }, repositories: team/app, actions: [push, pull],
          conditions: { tags: v*, networks: [10.0.0.0/8], notAfter: 2037-01-01T00:00:00+01:00 } }
    trustRules:
      - name: ci
        issuer: https://ci.example.com
        audience: registry.example.com
        claims: { ref: refs/heads/*, repository: acme/app }
        scopes: [{ type: repository, name: team/app, actions: [push] }]
`

t.test('a dry run prints every difference and changes nothing', async (t) => {
  const before = await stateOf()
  const { code, out, err } = await apply(FILE, { dryRun: true })
  t.equal(code, EXIT.different)
  t.equal(err, '')
  t.equal(
    out,
    `user jane
  ~ namespaces: none → jane team
group developers
  + new group
  + mapping {"directory":"cn=developers"}
  + member jane
  + member omar
registry token ci-team
  + new registry token, expiryDate 2037-06-29T22:00:00Z, scopes team/* (pull, push)
grants of the installation (*)
  + grant to registry-token CI-Team: pull of alpine
grants of the namespace team
  + grant to user Jane: owner of team/*
  + grant to group developers: push, pull of team/app if {"tags":"v*","networks":["10.0.0.0/8"],"notAfter":"2037-01-01T00:00:00+01:00"}
trust rules of the namespace team
  + trust rule ci
9 added, 1 changed, 0 removed; nothing was applied (--dry-run)`,
  )
  t.strictSame(await stateOf(), before)
})

t.test('a file is applied once: the second run changes nothing and says so', async (t) => {
  const refused = await apply(FILE)
  t.equal(refused.code, EXIT.usage)
  t.match(
    refused.err,
    /these accounts get passwords: registry token ci-team\nnothing was applied: name a file/,
  )

  const passwords = join(t.testdir(), 'passwords.txt')
  const first = await apply(FILE, { passwords })
  t.strictSame([first.code, first.err], [EXIT.done, ''])
  t.match(first.out, /applied: 9 added, 1 changed, 0 removed\nthe passwords of new accounts are in /)
  t.match(readFileSync(passwords, 'utf8'), /^ci-team rmt_\w{36}\n$/)
  t.equal(statSync(passwords).mode & 0o777, 0o600)

  const before = await stateOf()
  for (const dryRun of [false, true]) {
    const again = await apply(FILE, { dryRun })
    t.strictSame(again, {
      code: EXIT.done,
      out: 'nothing to change: the server matches the file',
      err: '',
    })
  }
  t.strictSame(await stateOf(), before, 'no generation was raised, and no event was recorded')
})

t.test('a change of the file is applied, and objects that the file does not mention stay', async (t) => {
  await root.send('PUT', '/namespaces/other/grants', {
    items: [{ subject: { kind: 'user', name: 'omar' }, repositories: 'other/*', role: 'reader' }],
  })
  const changed = `
groups:
  developers: { members: [omar] }
registryTokens:
  ci-team: { status: disabled, conditions: { networks: [10.0.0.0/8] } }
namespaces:
  team:
    trustRules: []
`
  const { code, out } = await apply(changed)
  t.equal(code, EXIT.done)
  t.equal(
    out,
    `group developers
  - member jane
registry token ci-team
  ~ status: enabled → disabled
  ~ conditions: none → {"networks":["10.0.0.0/8"]}
trust rules of the namespace team
  - trust rule ci
applied: 0 added, 2 changed, 2 removed`,
  )
  const rest = FILE.replace('members: [jane, omar]', 'members: [omar]').replace(/ {4}trustRules:[^]*$/, '')
  t.equal((await apply(rest, { dryRun: true })).code, EXIT.done, 'the rest is as it was')
  const file =
    'namespaces:\n  other:\n    grants:\n      - { subject: { kind: user, name: omar }, repositories: other/*, role: reader }\n'
  t.equal((await apply(file, { dryRun: true })).code, EXIT.done, 'the other namespace, too')
})

t.test('a file with names that do not exist is refused with every name and its line', async (t) => {
  const before = await stateOf()
  const { code, out, err } = await apply(`
users:
  jane: { namespaces: [] }
groups:
  developers: { members: [jane, nemo] }
namespaces:
  team:
    grants:
      - { subject: { kind: group, name: none }, repositories: team/*, role: reader }
      - { subject: { kind: registry-token, name: none }, repositories: team/*, role: reader }
`)
  t.strictSame([code, out], [EXIT.usage, ''])
  t.equal(
    err,
    `access.yaml:5: group developers: members.1 must name a user; there is no nemo
access.yaml:9: namespace team: grants.0.subject.name must name a group; there is no none
access.yaml:10: namespace team: grants.1.subject.name must name a registry-token; there is no none
access.yaml has 3 faults: nothing was applied`,
  )
  t.strictSame(await stateOf(), before)
})

t.test('a new user without a password in the file gets a random one', async (t) => {
  const passwords = join(t.testdir(), 'passwords.txt')
  const { code } = await apply('users:\n  nina: { namespaces: [nina] }\n', { passwords })
  t.equal(code, EXIT.done)
  const [username = '', password = ''] = readFileSync(passwords, 'utf8').trim().split(' ')
  const nina = createManagementClient({ url, username, password })
  const { createdAt: _, ...user } = (await nina.find('/user', {})) as Record<string, unknown>
  t.match(user, { username: 'nina', namespaces: ['nina'] })
})

t.test('a new user with a bcrypt hash in the file keeps that password', async (t) => {
  const file =
    'users:\n  vera:\n    passwordHash: $2b$04$iEElrE2W4MmrFR/fa5yyvuJGwBhLzdzNYGobA5NeHA32Qo2B3RZnu\n'
  const { code, out } = await apply(file)
  t.equal(code, EXIT.done)
  t.match(out, /\+ new user, with the hash of a password\n/)
  const vera = createManagementClient({ url, username: 'vera', password: 'password' })
  t.match(await vera.find('/user', {}), { username: 'vera' })
  t.match((await apply(file)).out, /^nothing to change/)
})

t.test(
  'a directory user loses the rights that administrators gave, and keeps those of the directory',
  async (t) => {
    await db
      .insertInto('accounts')
      .values({
        username: 'dora',
        directory: true,
        role: 'administrator',
        namespaces: ['team'],
        password_hash: null,
        directory_dn: 'CN=dora',
        directory_state: 'active',
        directory_role: 'cluster-administrator',
        directory_namespaces: ['other'],
      })
      .execute()
    const file = 'users:\n  dora: { ad: true, role: user, enabled: true, namespaces: [] }\n'
    const { code, out } = await apply(file)
    t.equal(code, EXIT.done)
    t.match(out, '  ~ role: administrator → user\n  ~ namespaces: team → none\n')
    const [dora] = await root.get('/users?search=dora', Type.Array(ListedUser))
    t.match(dora, { role: 'cluster-administrator', own: { role: 'user', namespaces: [] } })
    t.match((await apply(file, { dryRun: true })).code, EXIT.done, 'nothing is left to change')
  },
)

t.test('an import that would remove or change something is refused', async (t) => {
  await root.send('PUT', '/namespaces/shop/grants', {
    items: [{ subject: { kind: 'user', name: 'omar' }, repositories: 'shop/*', role: 'owner' }],
  })
  const before = await stateOf()
  const grants = (name: string) =>
    `namespaces:\n  shop:\n    grants:\n      - { subject: { kind: user, name: ${name} }, repositories: shop/*, role: owner }\n`
  for (const file of [grants('jane'), 'users:\n  omar: { role: administrator }\n']) {
    const { code, err } = await apply(file, { onlyAdd: true })
    t.equal(code, EXIT.failed)
    t.match(
      err,
      /^nothing was applied: the file would remove or change the entries that are marked with - or ~/,
    )
  }
  t.strictSame(await stateOf(), before)
  const line = grants('jane').split('\n').at(-2)
  t.equal((await apply(`${grants('omar')}${line}\n`, { onlyAdd: true })).code, EXIT.done)
})

t.test('an owner applies their own namespaces, and nothing else', async (t) => {
  const own =
    'namespaces:\n  team:\n    grants:\n      - { subject: { kind: user, name: omar }, repositories: team/x, role: reader }\n'
  const before = await stateOf()
  const users = await apply(`${own}users: { jane: {} }\n`, { as: 'olga' })
  t.equal(users.code, EXIT.usage)
  t.match(
    users.err,
    /^access\.yaml:5: users requires a cluster administrator, but olga is not one: move the namespaces/,
  )
  const other = await apply(`${own}  other: { grants: [] }\n`, { as: 'olga' })
  t.equal(other.code, EXIT.failed)
  t.match(
    other.err,
    /namespaces\/other\/grants\?limit=200: 403, managing other requires .*\nnothing was applied$/,
  )
  t.strictSame(await stateOf(), before, 'nothing was changed')
  t.equal((await apply(own, { as: 'olga' })).code, EXIT.done)
  t.equal((await apply(own, { as: 'olga' })).out, 'nothing to change: the server matches the file')
  const unknown = await apply(own.replace('omar', 'nemo'), { as: 'olga' })
  t.equal(unknown.code, EXIT.failed)
  t.match(
    unknown.err,
    /^access\.yaml:4: .*: 400, items\.0\.subject\.name must name a user; there is no nemo\n/,
  )
  t.match(unknown.err, /applied: nothing\nnot applied: grants of the namespace team\n/)
})

t.test('wrong credentials and an unreachable server are errors, and nothing is applied', async (t) => {
  const wrong = createManagementClient({ url, username: 'root', password: 'wrong-password' })
  const options = { name: 'a', text: 'groups: {}', dryRun: false, passwords: undefined, print: () => {} }
  const err: string[] = []
  const printError = (line: string) => void err.push(line)
  t.equal(await applyAccess(wrong, { ...options, printError }), EXIT.failed)
  t.match(err.join('\n'), /GET .*\/user: 401, .*\nnothing was applied/)
  t.notMatch(err.join('\n'), /wrong-password/)
  const closed = createServer().listen(0, '127.0.0.1')
  await once(closed, 'listening')
  const at = `http://127.0.0.1:${(closed.address() as AddressInfo).port}`
  await new Promise((resolve) => void closed.close(resolve))
  const nowhere = await apply('groups: {}', { at })
  t.equal(nowhere.code, EXIT.failed)
  t.match(
    nowhere.err,
    /^GET http:\/\/127\.0\.0\.1:\d+\/user: no response \(.*ECONNREFUSED.*\)\nnothing was applied$/,
  )
})

t.test(
  'if the server becomes unavailable, the command says which changes were applied, and the next run completes them',
  async (t) => {
    // A proxy that answers no request any more once a group was changed.
    let isGone = false
    const proxy = createServer((incoming, outgoing) => {
      const isLast = incoming.method === 'PUT' && incoming.url === '/namespaces/team/grants'
      if (isGone || isLast) {
        isGone = true
        incoming.socket.destroy()
        return
      }
      const { method, headers, url: path } = incoming
      const forwarded = httpRequest(new URL(path ?? '/', url), { method, headers }, (response) => {
        outgoing.writeHead(response.statusCode ?? 500, response.headers)
        response.pipe(outgoing)
      })
      incoming.pipe(forwarded)
    })
    await once(proxy.listen(0, '127.0.0.1'), 'listening')
    t.teardown(() => proxy.close())
    const at = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`
    const file = `
groups: { testers: { members: [omar] } }
namespaces:
  team:
    grants:
      - { subject: { kind: group, name: testers }, repositories: team/*, role: reader }
  lab:
    grants:
      - { subject: { kind: group, name: testers }, repositories: lab/*, role: reader }
`
    const broken = await apply(file, { at })
    t.equal(broken.code, EXIT.failed)
    t.match(
      broken.err,
      /^access\.yaml:\d+: PUT .*\/namespaces\/team\/grants: no response .*\napplied: group testers\nunknown, perhaps applied: grants of the namespace team\nnot applied: grants of the namespace lab\nrun the same command again: it applies what is missing$/,
    )
    const completed = await apply(file)
    t.equal(completed.code, EXIT.done)
    t.notMatch(completed.out, /testers\n.*member/, 'applied changes are not applied again')
    t.match(completed.out, /namespace team[^]*namespace lab/)
    t.equal((await apply(file)).out, 'nothing to change: the server matches the file')
  },
)
