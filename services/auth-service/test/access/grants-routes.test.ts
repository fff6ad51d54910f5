import { onBothDatabases } from '@registry-manager/testing/both-databases'
import t from 'tap'
import { claimsOf, passwordOf, startAuthService } from '../fixtures/auth-service.ts'
import { startFakeImageManager } from '../fixtures/fake-image-manager.ts'
import { tokensApi } from '../fixtures/registry-tokens.ts'

void onBothDatabases(t, async (t, db) => {
  const images = await startFakeImageManager(t, ['only-images', 'team'])
  const { ask } = await startAuthService(t, db, { imageManagerUrl: images.url })
  for (const username of ['jane', 'owen']) {
    const json = { username, password: passwordOf(username) }
    await ask({ method: 'POST', url: '/user', json, as: 'root' })
  }
  const subject = { kind: 'user', name: 'jane' }
  const post = (namespace: string, json: object, as = 'root') =>
    ask({ method: 'POST', url: `/namespaces/${namespace}/grants`, json, as })
  const put = (namespace: string, items: readonly object[], as = 'root') =>
    ask({ method: 'PUT', url: `/namespaces/${namespace}/grants`, json: { items }, as })
  const list = async (namespace: string, query = '') =>
    (await ask({ url: `/namespaces/${namespace}/grants${query}`, as: 'root' })).json()
  const clear = (namespace: string) => put(namespace, [])
  /** The actions that a user gets on a repository. */
  const actionsOf = async (as: string, repository: string) => {
    const url = `/auth/v2/token?scope=repository:${repository}:pull,push,delete`
    const { token } = (await ask({ url, as })).json()
    return claimsOf(token).access?.flatMap(({ actions }) => actions) ?? []
  }
  const generationOf = async (username: string) =>
    (
      await db
        .selectFrom('accounts')
        .select('generation')
        .where('username', '=', username)
        .executeTakeFirstOrThrow()
    ).generation

  await t.test('a role of a grant permits its actions on the repositories of its pattern', async (t) => {
    const cases = [
      ['reader', ['pull']],
      ['developer', ['pull', 'push']],
      ['maintainer', ['pull', 'push', 'delete']],
      ['owner', ['pull', 'push', 'delete']],
    ] as const
    for (const [role, actions] of cases) {
      const created = await post('team', { subject, repositories: 'team/*', role })
      t.equal(created.statusCode, 201)
      t.match(created.json(), { subject, repositories: 'team/*', role, createdBy: 'root' })
      t.equal(created.headers.location, `/namespaces/team/grants/${created.json().id}`)
      t.strictSame(await actionsOf('jane', 'team/app'), actions, role)
      t.strictSame(await actionsOf('jane', 'other/app'), [])
      const deleted = await ask({ method: 'DELETE', url: String(created.headers.location), as: 'root' })
      t.equal(deleted.statusCode, 204)
      t.strictSame(await actionsOf('jane', 'team/app'), [])
    }
  })

  await t.test('a grant can list actions instead of a role', async (t) => {
    const json = { subject, repositories: 'team/app', actions: ['delete', 'pull'] }
    t.match((await post('team', json)).json(), { actions: ['pull', 'delete'] })
    t.strictSame(await actionsOf('jane', 'team/app'), ['pull', 'delete'])
    t.strictSame(await actionsOf('jane', 'team/app2'), [])
    await clear('team')
  })

  await t.test('a registry token can have grants', async (t) => {
    const tokens = await tokensApi(ask)
    const ci = await tokens.make({ name: 'CI-Team', scopes: [] })
    const given = { kind: 'registry-token', name: 'CI-Team' }
    const created = await post('team', { subject: given, repositories: 'team/*', role: 'developer' })
    t.match(created.json(), { subject: given })
    t.match((await list('team')).items, [{ subject: given }])
    const { token } = (
      await ask({ url: '/auth/v2/token?scope=repository:team/app:*', as: ci.as, password: ci.password })
    ).json()
    t.match(claimsOf(token).access, [{ actions: ['pull', 'push'] }])
    await clear('team')
  })

  await t.test('an owner of a namespace manages its grants, and those of no other namespace', async (t) => {
    const json = { subject, repositories: 'team/app', role: 'reader' }
    t.equal((await post('team', json, 'owen')).statusCode, 403)
    await post('team', { subject: { kind: 'user', name: 'owen' }, repositories: 'team/*', role: 'owner' })
    t.equal((await post('team', json, 'owen')).statusCode, 201)
    t.equal((await post('team%2Fapp', json, 'owen')).statusCode, 201, 'a namespace within the own one')
    for (const [namespace, repositories] of [
      ['other', 'other/app'],
      ['*', '*'],
      ['teams', 'teams/app'],
    ] as const) {
      const refused = await post(namespace, { ...json, repositories }, 'owen')
      t.equal(refused.statusCode, 403, namespace)
    }
    t.equal((await ask({ url: '/namespaces/other/grants', as: 'owen' })).statusCode, 403)
    t.equal((await post('team', json, 'jane')).statusCode, 403, 'a reader manages nothing')
    t.equal((await post('team', { ...json, role: 'maintainer' }, 'olga')).statusCode, 201, 'an administrator')
    for (const namespace of ['team', 'team%2Fapp']) await clear(namespace)
  })

  await t.test('only cluster administrators manage grants of the installation', async (t) => {
    await post('*', { subject: { kind: 'user', name: 'owen' }, repositories: '*', role: 'owner' })
    t.strictSame(await actionsOf('owen', 'any/app'), ['pull', 'push', 'delete'])
    const json = { subject, repositories: 'alpine', role: 'reader' }
    t.equal((await post('*', json, 'owen')).statusCode, 403)
    t.equal((await post('*', json)).statusCode, 201)
    t.strictSame(await actionsOf('jane', 'alpine'), ['pull'])
    await clear('*')
  })

  await t.test('a list that is put again changes nothing and keeps ids and tokens', async (t) => {
    const reader = { subject, repositories: 'team/app', role: 'reader' }
    const limited = {
      subject: { kind: 'user', name: 'owen' },
      repositories: 'team/*',
      actions: ['push'],
      conditions: { networks: ['10.0.0.0/8', '192.0.2.0/24'], notAfter: '2037-01-01T00:00:00Z' },
    }
    t.strictSame((await put('team', [reader, limited])).json(), { added: 2, removed: 0, unchanged: 0 })
    const before = await list('team')
    const generations = [await generationOf('jane'), await generationOf('owen')]
    t.strictSame((await put('team', [limited, reader])).json(), { added: 0, removed: 0, unchanged: 2 })
    t.strictSame((await put('team', before.items)).json(), { added: 0, removed: 0, unchanged: 2 })
    t.strictSame(await list('team'), before)
    t.strictSame([await generationOf('jane'), await generationOf('owen')], generations)

    t.strictSame((await put('team', [{ ...reader, role: 'developer' }, limited])).json(), {
      added: 1,
      removed: 1,
      unchanged: 1,
    })
    t.equal(await generationOf('jane'), (generations[0] ?? 0) + 1, 'the tokens of jane end')
    t.equal(await generationOf('owen'), generations[1], 'the tokens of owen stay')
    await clear('team')
  })

  await t.test('a grant that exists already is refused', async (t) => {
    const json = { subject, repositories: 'team/app', role: 'reader' }
    t.equal((await post('team', json)).statusCode, 201)
    t.equal((await post('team', json)).statusCode, 409)
    t.equal((await post('team', { ...json, role: 'developer' })).statusCode, 201)
    t.match((await put('team', [json, json])).json(), { status: 400, field: 'items.1' })
    await clear('team')
  })

  await t.test('the grants of a namespace are listed in pages', async (t) => {
    const names = Array.from({ length: 5 }, (_, index) => `team/app${index}`)
    await put(
      'team',
      names.map((repositories) => ({ subject, repositories, role: 'reader' })),
    )
    const found: string[] = []
    let query = '?limit=2'
    for (;;) {
      const page = await list('team', query)
      found.push(...page.items.map(({ repositories }: { repositories: string }) => repositories))
      if (page.next === null) break
      query = `?limit=2&after=${page.next}`
    }
    t.strictSame(found.toSorted(), names)
    await clear('team')
  })

  await t.test('an invalid grant is refused, and its field is named', async (t) => {
    const good = { subject, repositories: 'team/app', role: 'reader' }
    const cases: readonly (readonly [field: string, change: object])[] = [
      ['repositories', { repositories: 'other/app' }],
      ['repositories', { repositories: '*' }],
      ['repositories', { repositories: 'team' }],
      ['repositories', { repositories: 'teams/*' }],
      ['repositories', { repositories: 'team/**' }],
      ['role', { role: 'king' }],
      ['role', { role: undefined }],
      ['role', { actions: ['pull'] }],
      ['actions', { role: undefined, actions: [] }],
      ['subject.name', { subject: { kind: 'user', name: 'nobody' } }],
      ['subject.name', { subject: { kind: 'group', name: 'jane' } }],
      ['conditions.networks', { conditions: { networks: ['here'] } }],
      ['conditions.notAfter', { conditions: { notAfter: 'tomorrow' } }],
      ['conditions.tags', { conditions: { tags: 'v 1' } }],
      ['color', { color: 'blue' }],
    ]
    for (const [field, change] of cases) {
      const response = await post('team', { ...good, ...change })
      t.match(response.json(), { status: 400, field }, JSON.stringify(change))
      const inList = await put('team', [good, { ...good, ...change }])
      t.match(inList.json(), { status: 400 }, `${JSON.stringify(change)} in a list`)
    }
    t.strictSame((await list('team')).items, [])
    t.equal((await post('Team', good)).statusCode, 400)
    const absent = '/namespaces/team/grants/0b0e7d5e-54b5-4c1e-a7a0-5d4d2f7a3a11'
    t.equal((await ask({ method: 'DELETE', url: absent, as: 'root' })).statusCode, 404)
    t.equal((await ask({ url: '/namespaces/team/grants' })).statusCode, 401)
  })

  await t.test('namespaces are listed for those who have rights in them', async (t) => {
    await put('lab', [{ subject, repositories: 'lab/app', role: 'reader' }])
    const namesFor = async (as: string, query = '') =>
      (await ask({ url: `/namespaces${query}`, as })).json().items
    t.strictSame(await namesFor('jane'), [{ name: 'lab', manage: false }])
    t.strictSame(await namesFor('olga'), [{ name: 'team', manage: true }])
    t.strictSame(await namesFor('alice'), [{ name: 'team', manage: false }])
    t.strictSame(await namesFor('root'), [
      { name: 'lab', manage: true },
      { name: 'only-images', manage: true },
      { name: 'team', manage: true },
    ])
    t.strictSame(await namesFor('root', '?limit=1&after=only-images'), [{ name: 'team', manage: true }])
    const pages: string[] = []
    for (let after: string | null = ''; after !== null;) {
      const url = `/namespaces?limit=1${after && `&after=${after}`}`
      const page: { items: { name: string }[]; next: string | null } = (await ask({ url, as: 'root' })).json()
      pages.push(...page.items.map(({ name }) => name))
      after = page.next
    }
    t.strictSame(pages, ['lab', 'only-images', 'team'])
    images.close()
    const away = await ask({ url: '/namespaces', as: 'root' })
    t.equal(away.statusCode, 503)
    t.match(away.json().detail, 'image-manager')
    t.equal(
      (await ask({ url: '/namespaces', as: 'jane' })).statusCode,
      200,
      'others do not need image-manager',
    )
    await clear('lab')
  })

  await t.test('a change of a grant is an event with its principal', async (t) => {
    const id = (await post('team', { subject, repositories: 'team/app', role: 'reader' }, 'olga')).json().id
    await clear('team')
    const { items } = (await ask({ url: '/audit?account=jane&limit=2', as: 'root' })).json()
    const target = { kind: 'grant', grant: id, namespace: 'team', account: 'jane' }
    const detail = { subject: 'user jane', repositories: 'team/app', role: 'reader' }
    t.match(items, [
      { action: 'grant.delete', principal: { name: 'root' }, target, detail },
      { action: 'grant.create', principal: { name: 'olga' }, target, detail },
    ])
  })

  await t.test('deleting a user deletes their grants', async (t) => {
    await post('team', { subject, repositories: 'team/app', role: 'reader' })
    await ask({ method: 'DELETE', url: '/user?username=jane', as: 'root' })
    t.strictSame((await list('team')).items, [])
  })
})
