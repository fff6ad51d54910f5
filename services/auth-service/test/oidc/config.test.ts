import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { readOidcProviders } from '../../src/oidc/config.ts'

const PROVIDER = { id: 'corp', issuer: 'https://login.example.com', clientId: 'registry' }
const read = (given: unknown) => readOidcProviders({ OIDC_PROVIDERS: JSON.stringify(given) })

/** The faults that stop the start. */
function faultsOf(text: string): readonly string[] {
  try {
    readOidcProviders({ OIDC_PROVIDERS: text })
    return []
  } catch (error) {
    return (error as { faults: readonly string[] }).faults
  }
}

t.test('a provider needs an id, an issuer and a client id', async (t) => {
  t.strictSame(readOidcProviders({}), [])
  t.strictSame(read([PROVIDER]), [
    {
      label: 'corp',
      scopes: ['profile'],
      usernameClaim: 'preferred_username',
      createAccounts: false,
      ...PROVIDER,
    },
  ])
})

t.test('the secret of a client and the certificates of its provider may be in files', async (t) => {
  const folder = t.testdir({ secret: 'the-secret\n', 'ca.pem': 'a certificate\n' })
  const files = { clientSecretFile: join(folder, 'secret'), caFile: join(folder, 'ca.pem') }
  t.match(read([{ ...PROVIDER, ...files }]), [{ clientSecret: 'the-secret', ca: 'a certificate' }])
})

t.test('every file of providers in docs/single-sign-on.md is read without a fault', async (t) => {
  const page = readFileSync(new URL('../../../../docs/single-sign-on.md', import.meta.url), 'utf8')
  const files = [...page.matchAll(/^```json\n(\[.*?)^```$/gms)].map(([, text]) => text ?? '')
  const secret = join(t.testdir({ secret: 'the-secret' }), 'secret')
  const ids = files.flatMap((text) =>
    readOidcProviders({ OIDC_PROVIDERS: text.replaceAll(/\/run\/secrets\/[\w-]+/g, secret) }),
  )
  t.match(
    ids.map(({ id, clientSecret }) => [id, clientSecret]),
    ['corp', 'keycloak', 'entra', 'okta', 'github'].map((id) => [id, 'the-secret']),
  )
})

t.test('a bad file stops the start, with every bad field and no value', async (t) => {
  const folder = t.testdir({ empty: '' })
  const bad = [
    {
      id: 'Corp!',
      issuer: 'http://login.example.com',
      label: '',
      clientSecret: 'do-not-print-me',
      clientSecretFile: join(folder, 'none'),
      caFile: join(folder, 'empty'),
      scopes: 'profile',
      usernameClaim: 7,
      createAccounts: ['users'],
      clientID: 'registry',
    },
    'text',
    { ...PROVIDER },
    { ...PROVIDER, createAccounts: 'yes' },
  ]
  const faults = faultsOf(JSON.stringify(bad))
  for (const field of [
    '[0].id must',
    '[0].issuer must',
    '[0].label must',
    '[0].clientId is required',
    '[0].clientSecretFile and clientSecret are both set',
    '[0].clientSecretFile cannot be read',
    '[0].caFile names an empty file',
    '[0].scopes must',
    '[0].usernameClaim must',
    '[0].createAccounts lists groups, so groupsClaim is required',
    '[0].clientID is not known',
    '[1] must be an object',
    '[3].createAccounts must',
    'has two providers with the id "corp"',
  ]) {
    t.ok(
      faults.some((fault) => fault.startsWith(`OIDC_PROVIDERS_FILE ${field}`)),
      field,
    )
  }
  t.equal(faults.length, 14, faults.join('\n'))
  t.notMatch(faults.join('\n'), 'do-not-print-me')
})

t.test('a file that is no list of providers stops the start', async (t) => {
  t.match(faultsOf('x'), ['OIDC_PROVIDERS_FILE is not valid JSON'])
  for (const text of ['{}', '[]', 'null', '"x"']) {
    t.match(faultsOf(text), ['OIDC_PROVIDERS_FILE must be a JSON list of at least one provider'], text)
  }
})

t.test('an issuer is an https URL, or http on this machine for tests', async (t) => {
  for (const [issuer, isRight] of [
    ['https://login.example.com/realms/corp', true],
    ['https://login.example.com/', true],
    ['http://localhost:9000', true],
    ['http://127.0.0.1:9000/x', true],
    ['http://login.example.com', false],
    ['http://localhost.example.com', false],
    ['https://login.example.com/?x=y', false],
    ['https://login.example.com/#x', false],
    ['https://user@login.example.com', false],
    ['ftp://login.example.com', false],
    ['login.example.com', false],
  ] as const) {
    t.equal(faultsOf(JSON.stringify([{ ...PROVIDER, issuer }])).length, isRight ? 0 : 1, issuer)
  }
})
