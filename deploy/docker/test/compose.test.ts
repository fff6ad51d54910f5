import { readFileSync } from 'node:fs'
import t from 'tap'
import { parse } from 'yaml'
import { GO_RUNTIME } from '../../local/registry-environment.ts'
import { readComposeFile } from '../../settings/test/fixtures/compose-file.ts'

interface Service {
  readonly image: string
  readonly build?: object
  readonly stop_grace_period?: string
  readonly environment?: Readonly<Record<string, string>>
  readonly secrets?: readonly string[]
  readonly volumes?: readonly string[]
  readonly tmpfs?: readonly string[]
  readonly user?: string
}

const { services, secrets } = readComposeFile({ IMAGE: 'ours' })
const all = Object.entries(services) as unknown as readonly [string, Service][]

t.test('Compose builds the image of the services once', async (t) => {
  const ours = all.filter(([, { image }]) => image === 'ours')
  t.equal(ours.length, 5)
  t.same(
    ours.filter(([, { build }]) => build).map(([name]) => name),
    ['migrate'],
  )
})

t.test('the compose file defines every secret that a service uses and no other', async (t) => {
  const used = new Set(all.flatMap(([, service]) => service.secrets ?? []))
  t.same([...used].toSorted(), Object.keys(secrets).toSorted())
})

t.test('Compose mounts the folder of the certificate, so that nginx sees a renewed one', async (t) => {
  const { environment, volumes } = services['nginx']!
  const mount = volumes?.find((volume) => volume.startsWith('./secrets/tls:')) ?? ''
  const [, place] = mount.split(':')
  for (const name of ['TLS_CERTIFICATE', 'TLS_CERTIFICATE_KEY'])
    t.ok(environment[name]?.startsWith(`${place}/server.`), name)
})

t.test("Compose mounts the registry's volume for nginx, which can only read it", async (t) => {
  const { environment, volumes = [] } = services['nginx'] as unknown as Service
  t.match(environment, { CONTENT_FROM: 'volume', REGISTRY_VOLUME: '/var/lib/registry' })
  t.ok(volumes.includes(`images:${environment?.['REGISTRY_VOLUME']}:ro`))
  t.ok((services['registry'] as unknown as Service).volumes?.includes('images:/var/lib/registry'))
})

t.test(
  'Compose runs the storage worker on the volume of the registry, as the owner of its files',
  async (t) => {
    const worker = services['storage-worker'] as unknown as Service
    t.ok(worker.volumes?.includes(`images:${worker.environment?.['REGISTRY_VOLUME']}`))
    const { user } = services['registry'] as unknown as Service
    t.same([worker.user, user], ['0:0', undefined], "the registry's image runs as root")
  },
)

t.test(
  'Compose gives nginx bounded memory for the decision cache, which no other user can read',
  async (t) => {
    const { environment, tmpfs = [], user = '' } = services['nginx'] as unknown as Service
    const folder = environment?.['DECISION_CACHE_DIR'] ?? ''
    const mount = tmpfs.map((entry) => entry.split(':')).find(([place]) => folder.startsWith(`${place}/`))
    const [uid, gid] = user.split(':')
    t.match(mount?.[1], new RegExp(`^size=\\d+m,uid=${uid},gid=${gid},mode=0700$`))
  },
)

t.test('Compose lets the registry finish requests in progress before it kills the container', async (t) => {
  const { environment, stop_grace_period: grace } = services['registry'] as Service
  t.ok(
    Number.parseInt(environment?.['REGISTRY_HTTP_DRAINTIMEOUT'] ?? '', 10) < Number.parseInt(grace ?? '', 10),
  )
})

t.test("the registry has the same settings of Go's garbage collector in every form", async (t) => {
  t.match((services['registry'] as unknown as Service).environment, GO_RUNTIME)
  const kubernetes = readFileSync(new URL('../../kubernetes/base/registry.yaml', import.meta.url), 'utf8')
  const container = parse(kubernetes.split('\n---\n').find((part) => part.includes('GOGC')) ?? '') as {
    spec: { template: { spec: { containers: { env: { name: string; value?: string }[] }[] } } }
  }
  const env = container.spec.template.spec.containers.flatMap((one) => one.env ?? [])
  t.match(Object.fromEntries(env.map(({ name, value }) => [name, value])), GO_RUNTIME)
})

t.test('settings that the registry reads as YAML are strings for every host name', async (t) => {
  for (const host of ['12345', '1e3', 'no', '[::1]:8443', 'localhost:8443']) {
    const { environment = {} } = readComposeFile({ PUBLIC_HOST: host }).services[
      'registry'
    ] as unknown as Service
    t.equal(parse(environment['REGISTRY_AUTH_TOKEN_SERVICE'] ?? ''), host)
    t.equal(parse(environment['REGISTRY_AUTH_TOKEN_ISSUER'] ?? ''), host)
    t.equal(parse(environment['REGISTRY_AUTH_TOKEN_REALM'] ?? ''), `https://${host}/auth/v2/token`)
  }
  const { entrypoint = [] } = services['registry'] as unknown as { entrypoint?: readonly string[] }
  t.match(entrypoint.join(' '), /REGISTRY_HTTP_SECRET="\\"\$\$\(cat [^)]+\)\\""/, 'the secret, too')
})
