import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import t from 'tap'
import { runCommand } from '../../../test-e2e/harness/run-command.ts'
import { kustomizeIsMissing, renderOverlays } from '../../kubernetes/test/fixtures/render.ts'
import { readConfig as readStackConfig } from '../../local/stack/config.ts'
import { environmentOf, madeSettings } from '../../local/stack/service-environment.ts'
import type { ProgramName } from '../../local/stack/service-environment.ts'
import { CONFIGS } from '../../local/stack/service-environment.ts'
import { readComposeFile } from './fixtures/compose-file.ts'
import { environmentInKubernetes, secretFilesInKubernetes } from './fixtures/kubernetes-env.ts'

const NAMES = Object.keys(CONFIGS) as ProgramName[]
/** A variable that Node itself reads. */
const OF_NODE = 'NODE_EXTRA_CA_CERTS'
/** The settings that the Dockerfile sets. */
const OF_THE_IMAGE = { PORT: '8000', INTERNAL_PORT: '9000' }

/** Fails if the service would not start with these settings, or if it does not know one of them. */
function isComplete(
  t: Test,
  service: ProgramName,
  environment: Readonly<Record<string, string>>,
  where: string,
) {
  const known = Object.keys(CONFIGS[service].schema.properties)
  const given = Object.keys(environment).filter(
    (name) => !Object.hasOwn(OF_THE_IMAGE, name) && name !== OF_NODE,
  )
  const unknown = given.filter((name) => !known.includes(name.replace(/_FILE$/, '')))
  t.same(unknown, [], `${where}: ${service} knows all of its settings`)
  t.doesNotThrow(() => CONFIGS[service].readConfig(environment), `${where}: ${service} starts`)
}

t.test('a service without any setting fails and names a missing setting', async (t) => {
  for (const service of NAMES) t.throws(() => CONFIGS[service].readConfig({}), /_URL is required/)
})

t.test('the tests of provided settings use the ports that the Dockerfile sets', async (t) => {
  const dockerfile = readFileSync(new URL('../../docker/Dockerfile', import.meta.url), 'utf8')
  const ports = Object.entries(OF_THE_IMAGE).map(([name, port]) => `${name}=${port}`)
  t.match(dockerfile, `ENV ${ports.join(' ')}\n`)
})

t.test('compose gives every service all settings that it requires and no unknown ones', async (t) => {
  const secrets = t.testdir()
  await runCommand(process.execPath, [
    fileURLToPath(new URL('../../local/make-secrets.ts', import.meta.url)),
    secrets,
  ])
  const file = readComposeFile()
  for (const service of NAMES) {
    const { environment, secrets: own = [] } = file.services[service]!
    const found = Object.entries(environment).map(([name, value]) => {
      if (!name.endsWith('_FILE')) return [name, value]
      const secret = value.replace('/run/secrets/', '')
      t.ok(own.includes(secret), `${service} has ${secret}`)
      return [name, join(secrets, file.secrets[secret]!.file.replace('./secrets/', ''))]
    })
    isComplete(t, service, { ...OF_THE_IMAGE, ...Object.fromEntries(found) }, 'compose')
  }
})

t.test(
  'Kubernetes gives every service all settings that it requires and no unknown ones',
  { skip: await kustomizeIsMissing() },
  async (t) => {
    const { overlays, secrets } = await renderOverlays(t)
    // `npm run secrets` makes no keys of S3.
    const readSecret = (key: string) =>
      key.endsWith('-key') ? `of ${key}` : readFileSync(join(secrets, key), 'utf8')
    for (const [overlay, manifests] of Object.entries(overlays)) {
      for (const service of NAMES) {
        const files = secretFilesInKubernetes(manifests, service)
        const environment = environmentInKubernetes(manifests, service, readSecret)
        for (const [name, value] of Object.entries(environment).filter(([name]) => name.endsWith('_FILE'))) {
          const key = files.get(value)
          t.ok(key, `${overlay}: ${service} has ${value}`)
          environment[name] = join(secrets, key ?? '')
        }
        isComplete(t, service, { ...OF_THE_IMAGE, ...environment }, overlay)
      }
    }
  },
)

t.test('the stack gives every service all settings that it requires and no unknown ones', async (t) => {
  const config = readStackConfig({ DATA_DIR: t.testdir(), NGINX_BINARY: 'nginx' })
  const url = 'http://127.0.0.1:1'
  const addresses = { authServiceUrl: url, imageManagerUrl: url, registryUrl: url }
  const made = madeSettings(
    config,
    { ...addresses, databaseUrl: 'postgres://registry@127.0.0.1/registry' },
    {},
  )
  for (const service of NAMES) {
    const settings: Record<string, string> =
      service === 'storage-worker' ? { REGISTRY_VOLUME: '/images' } : {}
    const environment = environmentOf({ service, port: 1, internalPort: 2, settings }, made, {})
    isComplete(t, service, environment as Record<string, string>, 'stack')
  }
})
