import t from 'tap'
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
