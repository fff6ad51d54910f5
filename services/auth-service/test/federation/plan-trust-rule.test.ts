import t from 'tap'
import { isSameRule, planTrustRule } from '../../src/federation/plan-trust-rule.ts'
import { ruleFor } from '../fixtures/trust-rules.ts'

const ISSUER = 'https://issuer.example'
const PRIVATE = new Set(['http://10.0.0.1:8080', 'https://kubernetes.default.svc'])
const rule = ruleFor(ISSUER)
const plan = (change: object, namespace = 'team') => planTrustRule(namespace, { ...rule, ...change }, PRIVATE)
const KEY = { kty: 'EC', crv: 'P-256', x: 'AQ', y: 'AQ', kid: 'one' }

t.test('a trust rule is planned with its fields', async (t) => {
  t.strictSame(plan({}), {
    plan: {
      ...rule,
      claims: { ref: 'refs/heads/*', repository: 'acme/app' },
      conditions: undefined,
      jwks: undefined,
    },
  })
  t.match(plan({ jwks: { keys: [{ ...KEY, x5c: ['…'] }] } }), { plan: { jwks: { keys: [KEY] } } })
  t.match(plan({ jwks: null }), { plan: { jwks: undefined } })
})

t.test(
  'an issuer must be a public https URL, or one that the operator or the rule itself allows',
  async (t) => {
    const faultOf = (issuer: string, more: object = {}) => {
      const planned = plan({ issuer, ...more })
      return 'fault' in planned ? `${planned.fault.field} ${planned.fault.detail}` : undefined
    }
    for (const issuer of [
      'https://issuer.example/a/b',
      'https://issuer.example/',
      'https://140.82.121.3',
      'http://10.0.0.1:8080',
      'https://kubernetes.default.svc',
    ]) {
      t.equal(faultOf(issuer), undefined, issuer)
    }
    for (const issuer of [
      'issuer.example',
      'ftp://issuer.example',
      'https://',
      'https://a:b@issuer.example',
      'file:///etc/passwd',
      'https://issuer.example?a=b',
      'https://issuer.example#a',
      'https://issuer.example\\a',
      'https://a b',
    ]) {
      t.match(faultOf(issuer), /^issuer must be a URL/, issuer)
    }
    t.match(
      faultOf('http://issuer.example'),
      /^issuer must be an https URL; otherwise .* FEDERATION_PRIVATE_ISSUERS/,
    )
    for (const host of ['127.0.0.1', '[::1]', '169.254.169.254', '10.0.0.1', '2130706433', '0x7f.1']) {
      t.match(faultOf(`https://${host}`), /^issuer must have a public address/, host)
      t.equal(faultOf(`https://${host}`, { jwks: { keys: [KEY] } }), undefined, `${host} is not requested`)
    }
  },
)

t.test('claims and scopes that would give access to strangers are refused', async (t) => {
  const github = 'https://token.actions.githubusercontent.com'
  const cases: readonly (readonly [change: object, field: string, detail: RegExp])[] = [
    [{ claims: { repository: '*' } }, 'claims', /not only \*/],
    [{ claims: { repository: '**', ref: '*' } }, 'claims', /not only \*/],
    [
      { issuer: github, claims: { ref: 'refs/heads/main' } },
      'claims',
      /must have one of the claims .*, which name the owner/,
    ],
    [
      { issuer: github, claims: { repository: '*/app' } },
      'claims',
      /must have one of the claims .*, which name the owner/,
    ],
    [
      { issuer: github, claims: { sub: 'repo:*' } },
      'claims',
      /must have one of the claims .*, which name the owner/,
    ],
    [
      { issuer: github, claims: { repository_owner: 'ac*' } },
      'claims',
      /must have one of the claims .*, which name the owner/,
    ],
    [
      { issuer: 'https://gitlab.com', claims: { ref_protected: 'true' } },
      'claims',
      /must have one of the claims .*, which name the owner/,
    ],
    [
      { issuer: 'https://gitlab.com', claims: { namespace_path: 'acme*' } },
      'claims',
      /must have one of the claims .*, which name the owner/,
    ],
    ...['*', 'teams/app', 'team', 'other/*', 'teamwork/*'].map(
      (name) =>
        [
          { scopes: [...rule.scopes, { type: 'repository', name, actions: ['pull'] }] },
          'scopes.1.name',
          /must be in the namespace team/,
        ] as const,
    ),
    [{ jwks: { keys: [{ ...KEY, d: 'secret' }] } }, 'jwks', /must have public keys only/],
    [{ jwks: { keys: [{ kty: 'oct', k: 'c2VjcmV0' }] } }, 'jwks', /must have public keys only/],
    [{ jwks: { keys: [] } }, 'jwks', /must have a key/],
  ]
  for (const [change, field, detail] of cases) {
    t.match(plan(change), { fault: { field, detail } }, JSON.stringify(change))
  }
  for (const claims of [
    { repository: 'acme/*' },
    { repository_owner_id: '42' },
    { repository_owner: 'acme' },
  ])
    t.match(plan({ issuer: github, claims }), { plan: { claims } })
  for (const claims of [{ project_path: 'acme/*' }, { namespace_path: 'acme' }, { namespace_path: 'acme/*' }])
    t.match(plan({ issuer: 'https://gitlab.com', claims }), { plan: { claims } })
})

t.test('scopes within the namespace are accepted', async (t) => {
  const scopes = (name: string) => ({ scopes: [{ type: 'repository', name, actions: ['pull'] }] })
  for (const name of ['team/app', 'team/*', 'team/a/b', 'team/a/*'])
    t.match(plan(scopes(name)), { plan: {} }, name)
  for (const name of ['team/a', 'team/a/*', 'team/a/b'])
    t.match(plan(scopes(name), 'team/a'), { plan: {} }, name)
  for (const name of ['team/*', 'team/b', 'team/ab'])
    t.match(plan(scopes(name), 'team/a'), { fault: {} }, name)
})

t.test('trust rules with the same conditions in another order are equal', async (t) => {
  const one = plan({})
  const same = plan({
    claims: { ref: 'refs/heads/*', repository: 'acme/app' },
    scopes: [{ type: 'repository', name: 'team/app', actions: ['push', 'push'] }],
  })
  const other = plan({ audience: 'another' })
  if (!('plan' in one) || !('plan' in same) || !('plan' in other)) return t.fail('the rules are valid')
  t.equal(isSameRule(one.plan, same.plan), true)
  t.equal(isSameRule(one.plan, other.plan), false)
})
