import t from 'tap'
import {
  endsAccessTokens,
  planRegistryToken,
  planRegistryTokenChange,
  rotationEndsAccessTokens,
} from '../../src/registry-tokens/plan-registry-token.ts'
import { makeToken } from '../fixtures/registry-tokens.ts'

const NOW = Date.parse('2026-11-20T00:00:00Z')
const scopes = [{ type: 'repository', name: 'team/*', actions: ['pull'] }]

t.test('a new registry token is planned from its input', async (t) => {
  t.strictSame(planRegistryToken({ name: 'ci', scopes }, NOW), {
    plan: { name: 'ci', scopes, expiresAt: null, enabled: true, conditions: null },
  })
  const expiryDate = '2026-11-21T13:00:00.900+01:00'
  t.strictSame(planRegistryToken({ name: 'ci', scopes, expiryDate, status: 'disabled' }, NOW), {
    plan: {
      name: 'ci',
      scopes,
      expiresAt: new Date('2026-11-21T12:00:00Z'),
      enabled: false,
      conditions: null,
    },
  })
  for (const none of [{}, { scopes: [] }, { scopes: null }]) {
    t.match(
      planRegistryToken({ name: 'ci', ...none }, NOW),
      { plan: { scopes: [] } },
      'a registry token without scopes may do nothing yet',
    )
  }
})

t.test('the plan of a change of a registry token has only the given fields', async (t) => {
  const other = [{ type: 'repository', name: '*', actions: ['pull'] }]
  t.strictSame(planRegistryTokenChange({}), { change: {} })
  t.strictSame(
    planRegistryTokenChange({ scopes: null }),
    { change: {} },
    'null leaves the scopes as they are',
  )
  t.strictSame(
    planRegistryTokenChange({ expiryDate: null }),
    { change: { expiresAt: null } },
    'null clears the expiry',
  )
  t.strictSame(planRegistryTokenChange({ scopes: other, status: 'enabled' }), {
    change: { scopes: other, enabled: true },
  })
  t.strictSame(planRegistryTokenChange({ scopes: [] }), { change: { scopes: [] } })
})

t.test('a change of status, expiry or scopes ends issued access tokens', async (t) => {
  const expiresAt = new Date('2026-12-01T00:00:00Z')
  const current = makeToken({ scopes, expiresAt })
  const cases = [
    [{}, false],
    [{ enabled: true, scopes, expiresAt: new Date(expiresAt) }, false],
    [{ enabled: false }, true],
    [{ expiresAt: null }, true],
    [{ expiresAt: new Date('2026-11-30T00:00:00Z') }, true],
    [{ scopes: [{ ...scopes[0]!, actions: ['pull', 'push'] }] }, true],
    [{ scopes: [...scopes, ...scopes] }, true],
  ] as const
  for (const [change, ends] of cases) t.equal(endsAccessTokens(current, change), ends, JSON.stringify(change))
})

t.test('a rotation ends issued access tokens unless the overlap is longer than they last', async (t) => {
  t.equal(rotationEndsAccessTokens(false, 0, 1000), true, 'no overlap')
  t.equal(rotationEndsAccessTokens(false, 999, 1000), true, 'a short overlap')
  t.equal(rotationEndsAccessTokens(false, 1000, 1000), false, 'a long overlap')
  t.equal(rotationEndsAccessTokens(true, 1000, 1000), true, 'a second rotation ends the first password')
})

t.test('an expiry that would be stored as another time is refused', async (t) => {
  for (const expiryDate of [
    '2036-12-31T23:59:60Z',
    '2036-06-30T12:59:60+01:00',
    '0001-01-01T00:00:00Z',
    '0000-01-01T00:00:00Z',
    '1969-12-31T23:59:59Z',
    '9999-12-31T23:59:59-00:01',
    '9999-12-31T23:59:59-23:59',
  ]) {
    const fault = {
      field: 'expiryDate',
      detail: `from 1970 to 9999 such as 2027-06-30T00:00:00Z; ${expiryDate} is not`,
    }
    t.match(planRegistryToken({ name: 'ci', scopes, expiryDate }, NOW), { fault }, `new: ${expiryDate}`)
    t.match(planRegistryTokenChange({ expiryDate }), { fault }, `change: ${expiryDate}`)
  }
  const latest = '9999-12-31T23:59:59Z'
  t.match(planRegistryToken({ name: 'ci', expiryDate: latest }, NOW), {
    plan: { expiresAt: new Date(latest) },
  })
})

t.test('a new registry token cannot expire in the past; a change can end a registry token now', async (t) => {
  for (const expiryDate of ['2026-11-19T23:59:59Z', '2026-11-20T00:00:00Z', '2026-11-20T00:30:00+01:00']) {
    const planned = planRegistryToken({ name: 'ci', scopes, expiryDate }, NOW)
    t.match(planned, { fault: { field: 'expiryDate', detail: 'must be in the future' } }, expiryDate)
    t.match(planRegistryTokenChange({ expiryDate }), { change: { expiresAt: new Date(expiryDate) } })
  }
  t.match(planRegistryToken({ name: 'ci', expiryDate: '2026-11-20T00:00:01Z' }, NOW), {
    plan: { name: 'ci' },
  })
})
