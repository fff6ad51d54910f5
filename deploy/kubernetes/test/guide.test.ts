import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { parse, stringify } from 'yaml'
import type { Manifest } from '../kustomize/manifest.ts'
import { environmentInKubernetes } from '../../settings/test/fixtures/kubernetes-env.ts'
import { manifestsOf, ofKind } from '../kustomize/manifest.ts'
import { render, renderInto, writeKustomization } from '../kustomize/render.ts'
import { kustomizeIsMissing } from './fixtures/render.ts'
import { faultsOf } from './fixtures/schemas.ts'

const GUIDE = readFileSync(new URL('../../../docs/kubernetes.md', import.meta.url), 'utf8')
const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const REMOTE = /https:\/\/github\.com\/example\/registry-manager\/\/deploy\/(\S+)\?ref=v[\d.]+/g

mkdirSync(join(ROOT, '.cache'), { recursive: true })

/** The guide's YAML examples that begin with this comment. */
function examples(comment: string): readonly string[] {
  const blocks = [...GUIDE.matchAll(/```yaml\n# (.*)\n([^]*?)```/g)]
  return blocks.filter(([, first]) => first === comment).map(([, , text = '']) => text)
}

const [overlay = ''] = examples('kustomization.yaml')
const patches = examples('patches of your kustomization.yaml').map((text) => parse(text).patches as object[])

t.test(
  "the guide's kustomization builds on the production overlay",
  { skip: await kustomizeIsMissing() },
  async (t) => {
    const deploy = t.testdir()
    await renderInto(deploy)
    const renderWith = async (name: string, more: readonly object[], component?: string) => {
      const local = parse(overlay.replaceAll(REMOTE, '../../$1')) as {
        patches: object[]
        components: string[]
      }
      const folder = join(deploy, 'kubernetes', name)
      const components = [...local.components, ...(component ? [`../components/${component}`] : [])]
      const text = stringify({ ...local, components, patches: [...local.patches, ...more] })
      await writeKustomization(folder, text.replaceAll('../../kubernetes', '..'))
      return render(folder)
    }
    const get = (manifests: readonly Manifest[], kind: string, name: string) =>
      ofKind(manifests, kind).find(({ metadata }) => metadata.name === name)
    const registryEnv = (manifests: readonly Manifest[]) =>
      new Map<string, string>(
        get(manifests, 'Deployment', 'registry')?.['spec'].template.spec.containers[0].env.map(
          ({ name, value }: { name: string; value: string }) => [name, value],
        ),
      )

    const s3Settings = (manifests: readonly Manifest[], service: string) => {
      const env = environmentInKubernetes(manifests, service, (key) => key)
      return Object.fromEntries(
        Object.entries(env).filter(([name]) => name.startsWith('REGISTRY_STORAGE_S3_')),
      )
    }

    await t.test("the guide's kustomization renders without the optional patches", async (t) => {
      const manifests = await renderWith('own', [])
      t.same(await faultsOf(manifests, '1.36'), [])
      const config = ofKind(manifests, 'ConfigMap').find(({ metadata }) =>
        metadata.name.startsWith('registry-manager-'),
      )
      t.match(config, { data: { PUBLIC_HOST: 'registry.company.com' } })
      t.notMatch(JSON.stringify(manifests), /example/, 'no example value is left')
      t.equal(registryEnv(manifests).get('REGISTRY_STORAGE_S3_BUCKET'), 'company-images')
      for (const { spec } of [
        get(manifests, 'Deployment', 'auth-service')!,
        get(manifests, 'CronJob', 'backup')!,
      ]) {
        const pod = (spec.template ?? spec.jobTemplate.spec.template).spec
        t.equal(pod.containers[0].image, 'harbor.company.com/platform/registry-manager:0.1.0')
      }
    })

    await t.test(
      "the guide's patches for a certificate, an S3 and an identity of your own apply",
      async (t) => {
        t.equal(patches.length, 4)
        const manifests = await renderWith('patched', patches.slice(1, 3).flat())
        t.same(await faultsOf(manifests, '1.36'), [])
        t.same(get(manifests, 'NetworkPolicy', 'registry-s3')?.['spec'].egress, [{ ports: [{ port: 9000 }] }])
        t.equal(
          registryEnv(manifests).get('REGISTRY_STORAGE_S3_REGIONENDPOINT'),
          'https://minio.company.com:9000',
        )
        for (const account of ['registry', 'storage-worker'])
          t.match(get(manifests, 'ServiceAccount', account)?.metadata, {
            annotations: { 'eks.amazonaws.com/role-arn': /^arn:/ },
          })
        t.same(s3Settings(manifests, 'storage-worker'), s3Settings(manifests, 'registry'), 'the same bucket')
        const ownCertificate = await renderWith('certificate', patches[0] ?? [])
        t.same(ofKind(ownCertificate, 'Certificate'), [])
      },
    )

    await t.test("the guide's patch for redirects to S3 applies", async (t) => {
      const manifests = await renderWith('redirects', patches[3] ?? [], 's3-redirects')
      t.equal(registryEnv(manifests).get('REGISTRY_STORAGE_REDIRECT_DISABLE'), 'false')
      const [container] = get(manifests, 'Deployment', 'registry-proxy')!['spec'].template.spec.containers
      const value = 'https://company-images.s3.eu-west-1.amazonaws.com'
      t.match(container.env, [{ name: 'BLOB_REDIRECTS', value }])
    })

    await t.test("the guide's patches for volumes of nginx apply", async (t) => {
      const renderExample = async (base: string, comment: string) => {
        const folder = join(deploy, 'kubernetes/overlays', `patched-${base}`)
        const [text = ''] = examples(comment)
        await writeKustomization(folder, stringify({ resources: [`../${base}`], ...parse(text) }))
        return render(folder)
      }
      const shared = await renderExample('quickstart', 'patches for a ReadWriteMany volume')
      t.same(await faultsOf(shared, '1.36'), [])
      t.same(get(shared, 'PersistentVolumeClaim', 'images')?.['spec'].accessModes, ['ReadWriteMany'])
      for (const name of ['nginx', 'registry'])
        t.equal(get(shared, 'Deployment', name)?.['spec'].template.spec.affinity, undefined, name)
      const claiming = await renderExample('production', 'patches for a content cache on a claim')
      t.same(await faultsOf(claiming, '1.36'), [])
      const { volumes } = get(claiming, 'Deployment', 'nginx')!['spec'].template.spec
      const content = volumes.find(({ name }: { name: string }) => name === 'content')
      t.match(content, { ephemeral: { volumeClaimTemplate: { spec: { accessModes: ['ReadWriteOnce'] } } } })
      t.notOk('emptyDir' in content)
    })
  },
)

t.test("the guide's ExternalSecret is valid and has keys that the manifests use", async (t) => {
  const [text = ''] = examples('external-secret.yaml')
  const secrets = manifestsOf(text)
  t.same(await faultsOf(secrets, '1.36'), [])
  const keys = secrets[0]?.['spec'].data.map(({ secretKey }: { secretKey: string }) => secretKey)
  t.same(keys, ['database-url', 'service-credential', 'upload-secret', 'registry-http-secret'])
})

t.test('every folder of this repository that the guide links exists', async (t) => {
  const links = [...GUIDE.matchAll(/\]\(\.\.\/([^)#]+)\)/g)].map(([, path = '']) => path)
  t.ok(links.length > 10)
  for (const path of links) t.ok(existsSync(join(ROOT, path)), path)
})
