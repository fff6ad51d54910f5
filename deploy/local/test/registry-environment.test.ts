import { randomBytes } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createSigningKeys } from '@registry-manager/auth-service/embedding'
import t from 'tap'
import { parse } from 'yaml'
import { readConfig } from '../embedded-config.ts'
import { findRegistry } from '../registry-binary.js'
import { startRegistry } from '../registry-child.ts'
import { GO_RUNTIME, registryEnvironment, toYamlString } from '../registry-environment.ts'

const binary =
  (findRegistry(process.env, t.comment) as { REGISTRY_BINARY?: string }).REGISTRY_BINARY ??
  process.env['REGISTRY_BINARY']
const missing = binary === undefined && 'there is no registry binary'

/** Strings that YAML would not read as the same string without quotes. */
const ODD = [
  '12345',
  '1e3',
  'no',
  'null',
  '~',
  '2026-11-28',
  '[::1]:8500',
  '{a: b}',
  'a: b',
  'a #b',
  '*x',
  '"',
  "'",
  '',
]

t.test(
  'the registry reads every value of its environment as the intended string, because each is quoted YAML',
  async (t) => {
    for (const text of [...ODD, 'a\\b', 'new\nline', 'ü', '\u0085', '\u{1f600}']) {
      t.equal(parse(toYamlString(text)), text, JSON.stringify(text))
    }
    const same = {
      address: 'no',
      httpSecret: 'no',
      folder: 'no',
      realm: 'no',
      service: 'no',
      issuer: 'no',
      authority: 'no',
    }
    for (const [name, value] of Object.entries(registryEnvironment(same))) {
      if (!(name in GO_RUNTIME)) t.equal(parse(value), 'no', name)
    }
  },
)

t.test(
  'a real registry puts the service and realm of the settings into its challenge',
  { skip: missing },
  async (t) => {
    for (const [number, service] of ['12345', '1e3', 'no', '[::1]:8500'].entries()) {
      // A folder whose name needs quotes in YAML.
      const folder = join(t.testdir(), `${number} #: [a`)
      mkdirSync(folder, { recursive: true })
      await createSigningKeys(folder)
      writeFileSync(join(folder, 'log'), '')
      const realm = 'http://[::1]:8500/auth/v2/token'
      const registry = await startRegistry({
        binary,
        folder: join(folder, 'images'),
        log: join(folder, 'log'),
        httpSecret: `1e${randomBytes(4).readUInt32BE()}`,
        realm,
        service,
        issuer: service,
        authority: join(folder, 'ca.pem'),
        onDeath: (reason) => t.fail(reason),
      })
      const { headers } = await fetch(`${registry.url}/v2/`)
      t.equal(headers.get('www-authenticate'), `Bearer realm="${realm}",service="${service}"`)
      await registry.stop()
    }
  },
)

t.test('the error for an invalid URL or service name contains the name of the setting', async (t) => {
  for (const [env, told] of [
    [{ PUBLIC_URL: 'http://localhost:99999' }, /PUBLIC_URL is not a valid URL: .* port is above 65535/],
    [{ PUBLIC_URL: 'http://[::1' }, /PUBLIC_URL is not a valid URL/],
    [{ PUBLIC_URL: 'ftp://registry.example' }, /PUBLIC_URL has the wrong form \(URL under which .*https:/],
    [{ REGISTRY_URL: 'http://registry:99999' }, /REGISTRY_URL is not a valid URL/],
    [{ TOKEN_SERVICE: 'a b' }, /TOKEN_SERVICE has the wrong form \(audience of access tokens/],
  ] as const) {
    t.throws(() => readConfig(env), { message: told }, JSON.stringify(env))
    t.notMatch(String(t.throws(() => readConfig(env))), /must match pattern/)
  }
  t.match(readConfig({ PUBLIC_URL: 'http://[::1]:8500' }), { service: '[::1]:8500' })
})
