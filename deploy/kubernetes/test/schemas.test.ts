import { mkdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import type { Manifest } from './fixtures/render.ts'
import { kustomizeIsMissing, readResources, renderOverlays } from './fixtures/render.ts'
import { KUBERNETES, faultsOf } from './fixtures/schemas.ts'

const VERSIONS = Object.keys(KUBERNETES) as (keyof typeof KUBERNETES)[]

mkdirSync(fileURLToPath(new URL('../../../.cache/', import.meta.url)), { recursive: true })

t.test('every manifest file is valid for the schemas of Kubernetes', async (t) => {
  const all = await readResources()
  t.ok(all.length > 40, `${all.length} objects`)
  for (const version of VERSIONS) t.same(await faultsOf(all, version), [], `Kubernetes ${version}`)
})

t.test(
  'every manifest that kustomize renders is valid for the schemas of Kubernetes',
  { skip: await kustomizeIsMissing() },
  async (t) => {
    const { overlays } = await renderOverlays(t)
    const all = Object.values(overlays).flat()
    t.ok(all.length > 100, 'there are objects')
    for (const version of VERSIONS) t.same(await faultsOf(all, version), [], `Kubernetes ${version}`)
  },
)

/** Services with one fault each, and a valid one. */
const SERVICES: Readonly<Record<string, unknown>> = {
  good: { ports: [{ port: 80 }] },
  'an-unknown-field': { ports: [{ port: 80, prot: 'TCP' }] },
  'a-missing-one': { ports: [{ name: 'a' }] },
  'a-wrong-type': { ports: [{ port: '80' }] },
  'a-wrong-word': { ports: [{ port: 80 }], type: 'Loadbalancer' },
}

t.test(
  'the schemas of Kubernetes reject unknown fields, missing fields, wrong types and wrong enum values',
  async (t) => {
    const manifests: readonly Manifest[] = Object.entries(SERVICES).map(([name, spec]) => {
      return { apiVersion: 'v1', kind: 'Service', metadata: { name }, spec }
    })
    for (const version of VERSIONS) {
      const faults = await faultsOf(manifests, version)
      const found = new Set(faults.map((fault) => /^Service (\S+): ./.exec(fault)?.[1]))
      t.same(found, new Set(Object.keys(SERVICES).slice(1)), `Kubernetes ${version}`)
    }
  },
)
