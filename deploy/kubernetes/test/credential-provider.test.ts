import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { parse, parseAllDocuments } from 'yaml'

const file = (name: string) => fileURLToPath(new URL(`../credential-provider/${name}`, import.meta.url))
const NAME = 'registry-manager-credentials'
const TOKEN = 'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln-_c2ln'

/** Runs the program as the kubelet does: the request is its input, and no variable is needed. */
const run = (request: string) =>
  spawnSync(file(NAME), { input: request, encoding: 'utf8', env: { PATH: '/usr/bin:/bin' } })
const requestOf = (more: object) => ({
  kind: 'CredentialProviderRequest',
  apiVersion: 'credentialprovider.kubelet.k8s.io/v1',
  image: 'registry.example.com:8443/team/app@sha256:0123',
  ...more,
})

t.test('the credential provider of the kubelet responds with the token as the password', async (t) => {
  const request = requestOf({ serviceAccountToken: TOKEN })
  for (const text of [
    JSON.stringify(request),
    JSON.stringify(request, null, 2),
    `${JSON.stringify(request)}\n`,
  ]) {
    const { status, stdout, stderr } = run(text)
    t.strictSame([status, stderr], [0, ''])
    t.strictSame(JSON.parse(stdout), {
      apiVersion: 'credentialprovider.kubelet.k8s.io/v1',
      kind: 'CredentialProviderResponse',
      cacheKeyType: 'Registry',
      cacheDuration: '0s',
      auth: { 'registry.example.com:8443': { username: 'kubelet', password: TOKEN } },
    })
  }
})

t.test('a request without a token, or with one of another form, gets no credentials', async (t) => {
  const injected = 'a","serviceAccountToken":"b'
  for (const more of [
    {},
    { serviceAccountToken: '' },
    { serviceAccountToken: 'a"b' },
    { serviceAccountToken: '$(id)' },
    { image: injected },
    { image: 'a$(id)/b', serviceAccountToken: TOKEN },
  ]) {
    const { status, stdout, stderr } = run(JSON.stringify(requestOf(more)))
    t.strictSame([status, stdout], [1, ''], JSON.stringify(more))
    t.match(stderr, /tokenAttributes/)
  }
})

t.test(
  'configuration and permission of the credential provider name the same program and audience',
  async (t) => {
    const config = parse(readFileSync(file('config.yaml'), 'utf8'))
    t.match(config, {
      kind: 'CredentialProviderConfig',
      providers: [{ name: NAME, matchImages: ['registry.example.com'] }],
    })
    const { serviceAccountTokenAudience: audience } = config.providers[0].tokenAttributes
    const [role, binding] = parseAllDocuments(readFileSync(file('audience.yaml'), 'utf8')).map((one) =>
      one.toJS(),
    )
    t.strictSame(role.rules[0].resources, [audience])
    t.strictSame(role.rules[0].verbs, ['request-serviceaccounts-token-audience'])
    t.equal(binding.roleRef.name, role.metadata.name)
  },
)
