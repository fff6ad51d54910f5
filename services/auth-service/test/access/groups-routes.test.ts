import { onBothDatabases } from '@registry-manager/testing/both-databases'
import t from 'tap'
import { createAccess } from '../../src/access/index.ts'
import { claimsOf, passwordOf, startAuthService } from '../fixtures/auth-service.ts'

void onBothDatabases(t, async (t, db) => {
  const { ask, users } = await startAuthService(t, db)
  for (const username of ['jane', 'owen', 'eve']) {
    const json = { username, password: passwordOf(username) }
    await ask({ method: 'POST', url: '/user', json, as: 'root' })
  }
  const send = (method: 'PUT' | 'POST' | 'DELETE' | 'GET', url: string, json?: object, as = 'root') =>
    ask({ method, url, as, ...(json && { json }) })
  const grantTo = (group: string, role: string) =>
    send('PUT', '/namespaces/team/grants', {
      items: [{ subject: { kind: 'group', name: group }, repositories: 'team/*', role }],
    })
  const actionsOf = async (as: string) => {
    const { token } = (await ask({ url: '/auth/v2/token?scope=repository:team/app:*', as })).json()
    return claimsOf(token).access?.flatMap(({ actions }) => actions) ?? []
  }
  const accountOf = async (username: string) => {
    const account = await users.find(username)
    if (account === undefined) throw new Error(`there is no user ${username}`)
    return account
  }
  const access = createAccess({ db, now: Date.now, onRevoked: () => {} })

  await t.test('members of a group have its grants, as long as they are members', async (t) => {
    const created = await send('POST', '/groups', { name: 'Devs' })
    t.equal(created.statusCode, 201)
    t.equal(created.headers.location, '/groups/devs')
    t.match(created.json(), { name: 'devs', mappings: [] })
    t.equal((await grantTo('devs', 'developer')).statusCode, 200)
    t.strictSame(await actionsOf('jane'), [])
    for (let times = 0; times < 2; times += 1) {
      t.equal((await send('PUT', '/groups/devs/members/Jane')).statusCode, 204)
    }
    t.strictSame(await actionsOf('jane'), ['pull', 'push'])
    t.strictSame(await actionsOf('owen'), [])
    t.match((await send('GET', '/groups/devs/members')).json(), {
      items: [{ username: 'jane', sources: ['local'] }],
      next: null,
    })
    await grantTo('devs', 'reader')
    t.strictSame(await actionsOf('jane'), ['pull'])
    t.equal((await send('DELETE', '/groups/devs/members/jane')).statusCode, 204)
    t.equal((await send('DELETE', '/groups/devs/members/jane')).statusCode, 404)
    t.strictSame(await actionsOf('jane'), [])
  })

  await t.test('rights of several groups and of the account add up', async (t) => {
    await send('POST', '/groups', { name: 'cleaners' })
    await send('PUT', '/namespaces/team/grants', {
      items: [
        { subject: { kind: 'group', name: 'devs' }, repositories: 'team/*', role: 'reader' },
        { subject: { kind: 'group', name: 'cleaners' }, repositories: 'team/app', actions: ['delete'] },
        { subject: { kind: 'user', name: 'jane' }, repositories: 'team/app', actions: ['push'] },
      ],
    })
    for (const group of ['devs', 'cleaners']) await send('PUT', `/groups/${group}/members/jane`)
    t.strictSame(await actionsOf('jane'), ['pull', 'push', 'delete'])
    const { grants } = await accountOf('jane')
    t.strictSame(grants.map(({ group }) => group).toSorted(), ['cleaners', 'devs', undefined])
  })

  await t.test(
    'a change of a group revokes the access tokens of its members, and of nobody else',
    async (t) => {
      const [jane, owen] = [await accountOf('jane'), await accountOf('owen')]
      const url = '/auth/v2/token?scope=repository:team/app:pull&offline_token=true'
      const { refresh_token } = (await ask({ url, as: 'jane' })).json()
      await grantTo('devs', 'developer')
      t.equal((await accountOf('jane')).generation, jane.generation + 1)
      t.equal((await accountOf('owen')).generation, owen.generation)
      const form = { grant_type: 'refresh_token', refresh_token, service: 'registry.example:8443' }
      const scoped = { ...form, client_id: 'docker', scope: 'repository:team/app:pull,push' }
      const renewed = await ask({ method: 'POST', url: '/auth/v2/token', form: scoped })
      t.match(
        claimsOf(renewed.json().token).access,
        [{ actions: ['pull', 'push'] }],
        'stored logins stay valid',
      )
    },
  )

  await t.test('a list of members that is put again changes nothing', async (t) => {
    const put = (...usernames: string[]) =>
      send('PUT', '/groups/devs/members', { items: usernames.map((username) => ({ username })) })
    t.strictSame((await put('jane', 'owen')).json(), { added: 1, removed: 0, unchanged: 1 })
    const { generation } = await accountOf('owen')
    t.strictSame((await put('owen', 'Jane')).json(), { added: 0, removed: 0, unchanged: 2 })
    const received = (await send('GET', '/groups/devs/members')).json()
    t.strictSame((await send('PUT', '/groups/devs/members', received)).json(), {
      added: 0,
      removed: 0,
      unchanged: 2,
    })
    t.equal((await accountOf('owen')).generation, generation)
    t.match((await put('jane', 'nobody')).json(), { status: 400, field: 'items.1.username' })
    t.strictSame((await put('owen')).json(), { added: 0, removed: 1, unchanged: 1 })
    const pages = [
      (await send('GET', '/groups?limit=1')).json(),
      (await send('GET', '/groups?limit=1&after=cleaners')).json(),
    ]
    t.match(pages, [
      { items: [{ name: 'cleaners' }], next: 'cleaners' },
      { items: [{ name: 'devs' }], next: null },
    ])
  })

  await t.test('mapped groups have the members that the directory or a provider names', async (t) => {
    const mappings = [
      { directory: 'CN=Developers, OU=Groups,DC=example,DC=com' },
      { provider: 'corp', group: 'dev-team' },
    ]
    const put = () => send('PUT', '/groups/mapped', { mappings })
    t.equal((await put()).statusCode, 201)
    t.equal((await put()).statusCode, 200)
    t.match((await put()).json().mappings, [
      { directory: 'cn=developers,ou=groups,dc=example,dc=com' },
      { provider: 'corp', group: 'dev-team' },
    ])
    await grantTo('mapped', 'developer')
    const eve = await accountOf('eve')
    const set = (source: string, ...names: string[]) => access.setExternalMemberships(eve, source, names)
    const generation = async () => (await accountOf('eve')).generation - eve.generation
    t.equal(await set('directory', 'cn=others,dc=example,dc=com'), false)
    t.equal(await set('provider:other', 'dev-team'), false, 'a group of another provider')
    t.equal(await generation(), 0)
    t.equal(await set('directory', 'cn=developers,ou=groups,dc=example,dc=com'), true)
    t.equal(await set('directory', 'cn=developers,ou=groups,dc=example,dc=com'), false, 'nothing has changed')
    t.equal(await set('provider:corp', 'dev-team', 'more'), true)
    t.equal(await generation(), 2)
    t.match((await send('GET', '/groups/mapped/members')).json().items, [
      { username: 'eve', sources: ['directory', 'provider:corp'] },
    ])
    t.strictSame(await actionsOf('eve'), ['pull', 'push'])
    t.equal(await set('directory'), true)
    t.strictSame(await actionsOf('eve'), ['pull', 'push'], 'the provider names the member, too')
    await send('PUT', '/groups/mapped', { mappings: mappings.slice(0, 1) })
    t.strictSame(await actionsOf('eve'), [], 'a removed mapping ends its memberships')
    t.equal(await generation(), 4)
    t.strictSame(await access.mappedNames('directory'), ['cn=developers,ou=groups,dc=example,dc=com'])
    const bad = await send('PUT', '/groups/mapped', { mappings: [{ directory: 'CN=,DC=x' }] })
    t.match(bad.json(), { status: 400, field: 'mappings.0.directory' })
  })

  await t.test(
    'a deleted group takes its grants with it and revokes the tokens of its members',
    async (t) => {
      await grantTo('devs', 'developer')
      const { generation } = await accountOf('owen')
      t.equal((await send('DELETE', '/groups/devs')).statusCode, 204)
      t.equal((await send('DELETE', '/groups/devs')).statusCode, 404)
      t.equal((await accountOf('owen')).generation, generation + 1)
      t.strictSame(await actionsOf('owen'), [])
      t.strictSame((await send('GET', '/namespaces/team/grants')).json().items, [])
    },
  )

  await t.test('only cluster administrators manage groups', async (t) => {
    for (const [method, url] of [
      ['GET', '/groups'],
      ['POST', '/groups'],
      ['PUT', '/groups/cleaners/members/owen'],
    ] as const) {
      t.equal(
        (await send(method, url, method === 'POST' ? { name: 'x' } : undefined, 'olga')).statusCode,
        403,
      )
    }
    t.equal((await send('POST', '/groups', { name: 'cleaners' })).statusCode, 409)
    t.equal((await send('POST', '/groups', { name: '-x' })).statusCode, 400)
    t.equal((await send('GET', '/groups/nobody')).statusCode, 404)
    t.equal((await send('GET', '/groups/nobody/members')).statusCode, 404)
    t.equal((await send('PUT', '/groups/nobody/members/jane')).statusCode, 404)
    t.equal((await send('PUT', '/groups/cleaners/members/nobody')).statusCode, 404)
  })

  await t.test('changes of groups and memberships are events', async (t) => {
    const { items } = (await ask({ url: '/audit?account=eve&limit=50', as: 'root' })).json()
    const actions = items.map(({ action }: { action: string }) => action)
    t.strictSame(actions, ['group-member.remove', 'group-member.add', 'group-member.add', 'user.create'])
    t.match(items[1], {
      target: { kind: 'group-member', group: 'mapped', account: 'eve' },
      detail: { source: 'provider:corp' },
      principal: { kind: 'service', name: 'auth-service' },
    })
    const groups = (await ask({ url: '/audit?action=group.update', as: 'root' })).json().items
    t.match(groups, [{ target: { kind: 'group', group: 'mapped' }, detail: { mappings: {} } }])
  })
})
