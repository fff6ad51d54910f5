import { readFileSync, readdirSync } from 'node:fs'
import t from 'tap'
import { parse } from 'yaml'
import { kustomizeIsMissing, ofKind, renderOverlays } from '../../kubernetes/test/fixtures/render.ts'
import { readComposeFile } from '../../settings/test/fixtures/compose-file.ts'
import { environmentInKubernetes } from '../../settings/test/fixtures/kubernetes-env.ts'
import { TEMPLATES } from './fixtures/ingress.ts'

const WANTED = [
  ...new Set([...TEMPLATES.matchAll(/\$\{([^}]*)\}/g)].map(([, name]) => name ?? '')),
].toSorted()
const OF_THE_IMAGE = 'NGINX_ENVSUBST_OUTPUT_DIR'

const namesOf = (...environments: readonly object[]) =>
  environments
    .flatMap((environment) => Object.keys(environment))
    .filter((name) => name !== OF_THE_IMAGE)
    .toSorted()

t.test('the compose file sets every variable of the nginx templates and no other', async (t) => {
  t.same(namesOf(readComposeFile().services['nginx']!.environment), WANTED)
  const { environment } = readComposeFile({ CLIENT_CONNECTIONS: '7' }).services['nginx']!
  t.match(environment, { CLIENT_CONNECTIONS: 7 })
})

t.test('Kubernetes mounts every template of nginx', async (t) => {
  const folder = new URL('../', import.meta.url)
  const { configMapGenerator } = parse(readFileSync(new URL('kustomization.yaml', folder), 'utf8'))
  const templates = readdirSync(new URL('templates', folder)).map((name) => `templates/${name}`)
  t.same(configMapGenerator[0].files.toSorted(), [...templates, 'reload-on-change.sh'].toSorted())
})

t.test(
  'the Kubernetes overlays set every variable of the nginx templates and no other',
  { skip: await kustomizeIsMissing() },
  async (t) => {
    const { overlays } = await renderOverlays(t)
    for (const name of ['quickstart', 'production'] as const) {
      const limits = ofKind(overlays[name], 'ConfigMap').find(({ metadata }) =>
        metadata.name.startsWith('client-limits-'),
      )
      const environment = environmentInKubernetes(overlays[name], 'nginx', () => '')
      t.same(namesOf(environment, limits?.['data']), WANTED, name)
    }
  },
)
