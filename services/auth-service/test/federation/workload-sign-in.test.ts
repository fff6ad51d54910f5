import { createHmac, generateKeyPairSync } from 'node:crypto'
import { pgliteForTest } from '@registry-manager/testing/pglite'
import { until } from '@registry-manager/testing/until'
import { SignJWT, decodeJwt } from 'jose'
import t from 'tap'
import { SERVICE_CREDENTIAL, claimsOf, passwordOf, startAuthService } from '../fixtures/auth-service.ts'
import { startTokenIssuer } from '../fixtures/token-issuer.ts'
import { AUDIENCE, ruleFor, trustRulesApi } from '../fixtures/trust-rules.ts'

/*
 * Sign-ins with tokens of a real issuer, which is a process of its own, through the whole service.
 */

const issuer = await startTokenIssuer(t)
const { ask, askInternal, clock, lines } = await startAuthService(t, await pgliteForTest(t), {
  privateIssuers: [issuer.url],
})
const api = trustRulesApi(ask)
const CLAIMS = {
  aud: AUDIENCE,
  sub: 'repo:acme/app:ref:refs/heads/main',
  repository: 'acme/app',
  ref: 'refs/heads/main',
}
const PUSH = 'repository:team/app:pull,push,delete'
const EXCHANGE = {
  grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
  subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
  scope: PUSH,
}
const id = await api.make(ruleFor(issuer.url))

const enter = (password: string, scope = PUSH, as = 'any-name') =>
  ask({ url: `/auth/v2/token?${new URLSearchParams({ scope })}`, as, password })
/** A token exchange (RFC 8693) with changed fields. */
const exchange = (change: Record<string, string>) =>
  ask({ method: 'POST', url: '/auth/v2/token', form: { ...EXCHANGE, ...change } })
const detailOf = (response: { json(): { errors: readonly { message: string }[] } }) =>
  response.json().errors[0]?.message
const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
const now = () => Math.floor((Date.now() + clock.ahead) / 1000)

t.test('a token that a trust rule accepts is a password beside any username', async (t) => {
  const token = await issuer.sign(CLAIMS)
  for (const as of ['any-name', 'root', '', 'oauth2', '<token>']) {
    const response = await enter(token, PUSH, as)
    t.equal(response.statusCode, 200, as)
    t.match(claimsOf(response.json().token), {
      sub: 'workload:team/pipeline',
      uid: id,
      kind: 'workload',
      gen: 1,
      name: 'team/pipeline (repo:acme/app:ref:refs/heads/main)',
    })
    t.strictSame(claimsOf(response.json().token).access, [
      { type: 'repository', name: 'team/app', actions: ['pull', 'push'] },
    ])
  }
  for (const alg of ['PS384', 'ES256', 'EdDSA']) {
    t.equal((await enter(await issuer.sign(CLAIMS, { alg }))).statusCode, 200, alg)
  }
  const several = await issuer.sign({ ...CLAIMS, aud: ['other', AUDIENCE] })
  t.equal((await enter(several)).statusCode, 200, 'aud may be a list')
  const other = await enter(token, 'repository:team/other:pull repository:other/app:pull')
  t.strictSame(claimsOf(other.json().token).access, [], 'nothing beyond the scopes is granted')
  const login = await ask({ url: '/auth/v2/token?offline_token=true&account=x', as: 'x', password: token })
  t.equal(login.statusCode, 200, 'docker login requests no scope')
  t.notOk('refresh_token' in login.json(), 'a refresh token would outlive the token')
})

t.test('rules of one namespace do not take the places of those of another', async (t) => {
  const audience = 'crowded.example'
  const crowd = trustRulesApi(ask, 'crowd')
  const scopes = [{ type: 'repository', name: 'crowd/app', actions: ['pull'] }]
  for (let number = 0; number < 20; number += 1) {
    await crowd.make(ruleFor(issuer.url, { name: `rule-${number}`, audience, scopes }))
  }
  await api.make(ruleFor(issuer.url, { name: 'late', audience }))
  const response = await enter(await issuer.sign({ ...CLAIMS, aud: audience }))
  t.strictSame(claimsOf(response.json().token).access, [
    { type: 'repository', name: 'team/app', actions: ['pull', 'push'] },
  ])
})

t.test('registry-proxy exchanges such a token, and the services know its access', async (t) => {
  const access = [{ type: 'repository', name: 'team/app', actions: ['pull'] }]
  const json = { username: 'x', password: await issuer.sign(CLAIMS), address: '10.0.0.1', access }
  const url = '/internal/token-exchanges'
  const exchanged = (await askInternal({ method: 'POST', url, json, bearer: SERVICE_CREDENTIAL })).json()
  t.match(exchanged, { outcome: 'issued', offline: false })
  t.strictSame(claimsOf(exchanged.token).access, access)
  const facts = await askInternal({ url: `/internal/accounts/${id}`, bearer: SERVICE_CREDENTIAL })
  t.strictSame(facts.json(), { kind: 'token', scopes: ruleFor('').scopes, grants: [], generation: 1 })
})

t.test('an access token never outlives the token that it comes from', async (t) => {
  const exp = now() + 40
  const response = await enter(await issuer.sign({ ...CLAIMS, exp }))
  t.equal(claimsOf(response.json().token).exp, exp)
  t.ok(response.json().expires_in <= 40)
  const token = await issuer.sign({ ...CLAIMS, exp: now() + 30 })
  t.equal((await enter(token)).statusCode, 200)
  clock.ahead += 31_000
  const expired = await enter(token)
  t.equal(expired.statusCode, 401, 'although it is cached')
  t.equal(detailOf(expired), 'the JWT has expired; request a new one from its issuer')
})

t.test(
  'each kind of bad token is refused with its reason, as a password and in a token exchange',
  async (t) => {
    // The test moves time forward, so that failed sign-ins are not limited.
    const LONG_LIVED = { ...CLAIMS, exp: now() + 3600 }
    const good = await issuer.sign(LONG_LIVED)
    const [header = '', payload = '', signature = ''] = good.split('.')
    const foreign = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const forged = await new SignJWT(decodeJwt(good))
      .setProtectedHeader({ alg: 'RS256', kid: 'RS256-1' })
      .sign(foreign.privateKey)
    // RFC 8725 §2.1: the public key as the secret of an HMAC.
    const confused = `${part({ alg: 'HS256', kid: 'RS256-1', typ: 'JWT' })}.${payload}`
    const hmac = createHmac('sha256', await issuer.publicKey())
      .update(confused)
      .digest('base64url')
    const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const embedded = await new SignJWT(decodeJwt(good))
      .setProtectedHeader({ alg: 'RS256', jwk: stranger.publicKey.export({ format: 'jwk' }) as object })
      .sign(stranger.privateKey)
    const untrusted = 'no trust rule accepts the issuer, the audience and the signature of the JWT'
    const noRule = 'the JWT is genuine, but its claims match no trust rule for its issuer and audience'
    const algorithm = /^the JWT must be signed with RS256/
    const claims = /^the JWT must have the claims iss, aud and exp/
    const cases: readonly (readonly [title: string, token: string, detail: string | RegExp])[] = [
      ['alg none', `${part({ alg: 'none' })}.${payload}.`, algorithm],
      [
        'alg none with a signature',
        `${part({ alg: 'none', kid: 'RS256-1' })}.${payload}.${signature}`,
        algorithm,
      ],
      ['key confusion', `${confused}.${hmac}`, algorithm],
      ['a signature of another key', forged, untrusted],
      ['a key in the header', embedded, untrusted],
      [
        'a changed payload',
        `${header}.${part({ ...decodeJwt(good), ref: 'refs/heads/x' })}.${signature}`,
        untrusted,
      ],
      ['no signature', `${header}.${payload}.`, untrusted],
      [
        'another algorithm of the same key',
        await issuer.sign(LONG_LIVED, { alg: 'ES256', kid: 'RS256-1' }),
        untrusted,
      ],
      ['an unknown key id', await issuer.sign(LONG_LIVED, { kid: 'invented' }), untrusted],
      [
        'a critical extension',
        await issuer.sign(LONG_LIVED, { crit: ['extension'], extension: 1 } as object),
        untrusted,
      ],
      ['another issuer', await issuer.sign({ ...LONG_LIVED, iss: 'https://other.example' }), untrusted],
      ['an issuer with a slash', await issuer.sign({ ...LONG_LIVED, iss: `${issuer.url}/` }), untrusted],
      ['another audience', await issuer.sign({ ...LONG_LIVED, aud: 'other' }), untrusted],
      ['no audience', await issuer.sign({ ...LONG_LIVED, aud: undefined }), claims],
      ['an audience of the wrong type', await issuer.sign({ ...LONG_LIVED, aud: { a: 1 } as never }), claims],
      ['no expiry', await issuer.sign({ ...LONG_LIVED, exp: undefined }), claims],
      ['an expiry of the wrong type', await issuer.sign({ ...LONG_LIVED, exp: 'tomorrow' as never }), claims],
      ['an expired token', await issuer.sign({ ...LONG_LIVED, exp: now() - 1 }), /^the JWT has expired/],
      [
        'a token of tomorrow',
        await issuer.sign({ ...LONG_LIVED, nbf: now() + 86_400, exp: now() + 90_000 }),
        /not valid yet/,
      ],
      ['another repository', await issuer.sign({ ...LONG_LIVED, repository: 'acme/other' }), noRule],
      ['another ref', await issuer.sign({ ...LONG_LIVED, ref: 'refs/tags/v1' }), noRule],
      ['a claim of the wrong type', await issuer.sign({ ...LONG_LIVED, repository: ['acme/app'] }), noRule],
      ['a missing claim', await issuer.sign({ ...LONG_LIVED, repository: undefined }), noRule],
    ]
    for (const [at, [title, token, detail]] of cases.entries()) {
      clock.ahead += 42_000
      const response = await enter(token)
      t.equal(response.statusCode, 401, title)
      t.match(detailOf(response), detail, title)
      t.match(response.headers['www-authenticate'], /^Basic realm=/, `${title} (${at})`)
      const exchanged = await exchange({ subject_token: token })
      t.equal(exchanged.statusCode, 401, `${title}, in a token exchange`)
      t.match(detailOf(exchanged), detail, `${title}, in a token exchange`)
    }
    clock.ahead += 3_600_000
  },
)

t.test('a token without a key id is accepted only if one key fits', async (t) => {
  const fresh = { ...CLAIMS, iat: now(), nbf: now(), exp: now() + 600 }
  const withoutId = await issuer.sign(fresh, { kid: undefined } as object)
  t.equal((await enter(withoutId)).statusCode, 200, 'one key has this algorithm')
})

t.test('an unavailable issuer is a 503, unless its keys are known', async (t) => {
  const second = await startTokenIssuer(t)
  const started = await startAuthService(t, await pgliteForTest(t), { privateIssuers: [second.url] })
  await trustRulesApi(started.ask).make(ruleFor(second.url))
  const enterThere = async () =>
    started.ask({ url: `/auth/v2/token?scope=${PUSH}`, as: 'x', password: await second.sign(CLAIMS) })
  const exchangeThere = async () => {
    const form = { ...EXCHANGE, subject_token: await second.sign(CLAIMS) }
    return started.ask({ method: 'POST', url: '/auth/v2/token', form })
  }
  await second.set('large')
  const response = await enterThere()
  t.equal(response.statusCode, 503)
  t.match(detailOf(response), /^the issuer of the token is unavailable \(request /)
  t.equal(response.headers['retry-after'], '5')
  const requests = await second.requests()
  t.strictSame([(await enterThere()).statusCode, (await exchangeThere()).statusCode], [503, 503])
  t.equal(await second.requests(), requests, 'it is not asked again at once')
  t.ok(started.lines.some((line) => line.includes('could not read the keys of a token issuer')))
})

t.test('an issuer that no rule names is never requested', async (t) => {
  const stranger = await startTokenIssuer(t)
  t.equal((await enter(await stranger.sign(CLAIMS))).statusCode, 401)
  t.equal(await stranger.requests(), 0)
})

t.test('the keys of a rule are used instead of the keys of its issuer', async (t) => {
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const jwk = { ...keys.publicKey.export({ format: 'jwk' }), kid: 'cluster' }
  const rule = ruleFor('https://kubernetes.default.svc.cluster.local', {
    name: 'cluster',
    claims: { sub: 'system:serviceaccount:apps:*' },
    jwks: { keys: [jwk] },
  })
  const ruleId = await api.make(rule)
  const sign = (claims: object) =>
    new SignJWT({ iss: rule.issuer, aud: AUDIENCE, exp: now() + 600, ...claims })
      .setProtectedHeader({ alg: 'ES256', kid: 'cluster' })
      .sign(keys.privateKey)
  const token = await sign({ sub: 'system:serviceaccount:apps:web' })
  const response = await enter(token)
  t.match(claimsOf(response.json().token), {
    uid: ruleId,
    name: 'team/cluster (system:serviceaccount:apps:web)',
  })
  t.equal((await enter(await sign({ sub: 'system:serviceaccount:other:web' }))).statusCode, 401)
  // A rule of another namespace whose issuer cannot be reached.
  await trustRulesApi(ask, 'other').make({
    ...rule,
    jwks: undefined,
    scopes: [{ type: 'repository', name: 'other/*', actions: ['pull'] }],
  })
  t.equal((await enter(await sign({ sub: 'system:serviceaccount:apps:api' }))).statusCode, 200)
  t.equal((await api.delete(ruleId)).statusCode, 204)
})

t.test('a changed or deleted rule ends its access at once', async (t) => {
  const rule = ruleFor(issuer.url, { name: 'short', claims: { repository: 'acme/short' } })
  const ruleId = await api.make(rule)
  const token = await issuer.sign({
    ...CLAIMS,
    repository: 'acme/short',
    exp: now() + 600,
    iat: now(),
    nbf: now(),
  })
  const generation = async () => claimsOf((await enter(token)).json().token).gen
  const revoked = async () =>
    (await askInternal({ url: '/internal/revocations', bearer: SERVICE_CREDENTIAL })).json().accounts[ruleId]
  t.equal(await generation(), 1)
  const pull = [{ type: 'repository', name: 'team/app', actions: ['pull'] }]
  t.equal((await api.put(ruleId, { ...rule, scopes: pull })).statusCode, 200)
  t.equal(await revoked(), 2, 'the services learn that earlier access tokens end')
  t.equal(await generation(), 2)
  t.strictSame(claimsOf((await enter(token)).json().token).access, pull)
  await api.put(ruleId, { ...rule, claims: { repository: 'acme/else' } })
  t.equal((await enter(token)).statusCode, 401)
  await api.put(ruleId, rule)
  t.equal(await generation(), 4)
  await api.delete(ruleId)
  t.equal(await revoked(), 5)
  t.equal((await enter(token)).statusCode, 401)
})

t.test('the access of all rules that accept a token is granted', async (t) => {
  const scopes = (name: string, ...actions: string[]) => [{ type: 'repository', name, actions }]
  const claims = { repository: 'acme/many' }
  const team = await api.make(ruleFor(issuer.url, { name: 'many', claims, scopes: scopes('team/*', 'pull') }))
  const other = await trustRulesApi(ask, 'other').make(
    ruleFor(issuer.url, { claims, scopes: scopes('other/*', 'push') }),
  )
  const token = await issuer.sign({ ...CLAIMS, ...claims, exp: now() + 600, iat: now(), nbf: now() })
  const both = claimsOf((await enter(token, 'repository:team/a:pull repository:other/b:push')).json().token)
  t.strictSame(
    both.access?.map(({ name, actions }) => [name, actions]),
    [
      ['team/a', ['pull']],
      ['other/b', ['push']],
    ],
  )
  t.match(both, { uid: other, rules: [[team, 1]] }, 'an upload belongs to the rule that permits it')
  const one = claimsOf((await enter(token, 'repository:team/a:pull')).json().token)
  t.match(one, { uid: team, sub: 'workload:team/many' })
  t.notOk('rules' in one, 'rules of other namespaces do not matter')
  const catalog = claimsOf((await enter(token, 'registry:catalog:*')).json().token)
  t.match(catalog, { uid: team, rules: [[other, 1]] }, 'lists show the repositories that all rules permit')
})

t.test(
  'the conditions of a rule limit its access, and a refusal names the one that does not hold',
  async (t) => {
    const claims = { repository: 'acme/limited' }
    const fresh = { ...CLAIMS, ...claims, iat: now(), nbf: now(), exp: now() + 600 }
    const token = await issuer.sign(fresh)
    const notAfter = new Date((now() + 100) * 1000).toISOString()
    const rule = ruleFor(issuer.url, { name: 'limited', claims })
    const conditions = { networks: ['127.0.0.0/8'], notAfter, tags: 'v*' }
    const ruleId = await api.make({ ...rule, conditions })
    t.strictSame((await api.get(ruleId)).json().conditions, conditions)
    const granted = claimsOf((await enter(token)).json().token)
    t.strictSame(granted.access, [
      { type: 'repository', name: 'team/app', actions: ['pull'], networks: ['127.0.0.0/8'] },
      { type: 'repository', name: 'team/app', actions: ['push'], networks: ['127.0.0.0/8'], tags: 'v*' },
    ])
    t.equal(granted.exp, Date.parse(notAfter) / 1000, 'access ends with the condition')
    await api.put(ruleId, { ...rule, conditions: { networks: ['10.0.0.0/8'] } })
    const elsewhere = await enter(token)
    t.equal(elsewhere.statusCode, 401)
    t.equal(
      detailOf(elsewhere),
      'a trust rule matches the JWT, but not under these conditions: it applies to clients in 10.0.0.0/8 only',
    )
    await api.delete(ruleId)
  },
)

t.test('a token exchange (RFC 8693) returns an access token', async (t) => {
  const fresh = { ...CLAIMS, iat: now(), nbf: now(), exp: now() + 600 }
  const subject_token = await issuer.sign(fresh)
  const response = await exchange({ subject_token })
  t.equal(response.statusCode, 200)
  t.equal(response.headers['cache-control'], 'no-store')
  const body = response.json()
  t.match(body, {
    access_token: body.token,
    issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    token_type: 'Bearer',
    scope: 'repository:team/app:pull,push',
    expires_in: 300,
  })
  t.notOk('refresh_token' in body)
  const idToken = 'urn:ietf:params:oauth:token-type:id_token'
  t.equal(
    (await exchange({ subject_token, subject_token_type: idToken, access_type: 'offline' })).statusCode,
    200,
  )
  for (const [change, status] of [
    [{ subject_token: 'no-token' }, 400],
    [{ subject_token_type: 'urn:ietf:params:oauth:token-type:saml2' }, 400],
    [{ requested_token_type: 'urn:ietf:params:oauth:token-type:refresh_token' }, 400],
    [{ audience: 'https://elsewhere.example' }, 400],
    [{ subject_token: await issuer.sign({ ...fresh, repository: 'acme/x' }) }, 401],
    // Our own access token is no foreign token.
    [{ subject_token: body.token }, 401],
  ] as const) {
    t.equal(
      (await exchange({ subject_token, ...change })).statusCode,
      status,
      JSON.stringify(change).slice(0, 60),
    )
  }
})

t.test('workloads are refused by the management APIs', async (t) => {
  const password = await issuer.sign({ ...CLAIMS, iat: now(), nbf: now(), exp: now() + 600 })
  for (const url of ['/user', '/users', '/containerregistries/registries', '/audit', api.base]) {
    t.equal((await ask({ url, as: 'x', password })).statusCode, 403, `${url} with the token`)
    const { token: bearer } = (await ask({ url: '/auth/v2/token', as: 'x', password })).json()
    t.equal((await ask({ url, bearer })).statusCode, 401, `${url} with its identity token`)
  }
})

t.test('wrong tokens of other issuers are limited by network; the right one always passes', async (t) => {
  clock.ahead += 3_600_000
  const fresh = { ...CLAIMS, iat: now(), nbf: now(), exp: now() + 600 }
  const wrong = await issuer.sign({ ...fresh, repository: 'acme/wrong' })
  const statuses = new Set<number>()
  for (let attempt = 0; attempt < 30; attempt += 1) statuses.add((await enter(wrong)).statusCode)
  t.strictSame([...statuses], [401, 429])
  t.equal((await enter(await issuer.sign(fresh))).statusCode, 200)
  const as = 'alice'
  t.equal((await ask({ url: '/user', as, password: passwordOf(as) })).statusCode, 200, 'no user is limited')
})

t.test('refused tokens are events without an account, and no log has a token', async (t) => {
  const reasons = async () => {
    const { items } = (await ask({ url: '/audit?action=sign-in&limit=200', as: 'root' })).json()
    return items as readonly { readonly target: object; readonly detail: { readonly reason: string } }[]
  }
  await until(
    async () => (await reasons()).some(({ detail }) => detail.reason === 'untrusted-token'),
    'an event',
    20,
  )
  const event = (await reasons()).find(({ detail }) => detail.reason === 'untrusted-token')
  t.match(event, { target: { kind: 'user', account: null } })
  t.notMatch(lines.join('\n'), /eyJ[\w-]{20,}\.[\w-]+\./)
})
