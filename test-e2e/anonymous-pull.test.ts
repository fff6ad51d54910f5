import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'tap'
import { ask } from './harness/ask.ts'
import { createDockerClient, loadImage } from './harness/docker-client.ts'
import { dockerIsMissing, startDockerEngine } from './harness/docker-engine.ts'
import { waitForAllReplicas } from './harness/all-replicas.ts'
import { readImageFolder } from './harness/images.ts'
import { createSkopeo, skopeoIsMissing } from './harness/skopeo.ts'
import { MANIFEST_TYPE, pushSmallImage } from './harness/small-image.ts'
import { startSystem } from './harness/system.ts'

const IMAGES = '/image-manager/api/v1/repositories'
const refused = { code: 1, stderr: /denied|unauthorized|authentication required/i }
const skip = (await dockerIsMissing()) || (await skopeoIsMissing())

test('anonymous clients pull global repositories and do nothing else', { skip }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'anonymous-pull-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const system = await startSystem(t, { env: { ANONYMOUS_PULL: 'true' } })
  const { admin, host } = system
  const [engine, pushEngine] = [await startDockerEngine(t), await startDockerEngine(t)]
  const loaded = await loadImage(pushEngine, system, folder, 'shared/docker:1')
  await loadImage(pushEngine, system, folder, 'shared/docker:2')
  const owner = await createDockerClient(pushEngine, system, folder, 'owner')
  await owner.login(admin)
  await owner.push('shared/docker:1')
  const base = await pushSmallImage(system, admin, 'shared/base', 'v1')
  const own = await pushSmallImage(system, admin, 'team/app', 'v1')
  const put = { method: 'PUT', as: admin, body: '{"scope":"global"}' }
  for (const name of ['shared/docker', 'shared/base'])
    t.match(await ask(system, `${IMAGES}/${name}`, put), { status: 200 })

  const docker = await createDockerClient(engine, system, folder, 'nobody')
  const skopeo = createSkopeo(system, folder, 'anonymous-skopeo')
  const pulled = `dir:${join(folder, 'pulled')}`

  await t.test('a global repository is pulled without an account', async (t) => {
    t.equal(await docker.pull('shared/docker:1'), loaded.manifest.config.digest, 'docker pulls the image')
    await skopeo.copy(`docker://${host}/shared/base:v1`, pulled)
    t.equal((await readImageFolder(join(folder, 'pulled'))).digest, base.digest, 'skopeo pulls the image')
  })

  await t.test('anonymous pulls of private and of absent repositories are refused', async (t) => {
    const target = `dir:${join(folder, 'stolen')}`
    for (const image of ['team/app:v1', 'team/absent:v1']) {
      await t.rejects(docker.pull(image), refused, `docker does not pull ${image}`)
      await t.rejects(
        skopeo.copy(`docker://${host}/${image}`, target),
        refused,
        `skopeo does not pull ${image}`,
      )
    }
  })

  await t.test('anonymous clients cannot push, delete, list or manage anything', async (t) => {
    const pusher = await createDockerClient(pushEngine, system, folder, 'anonymous-pusher')
    await t.rejects(pusher.push('shared/docker:2'), refused)
    await t.rejects(skopeo.copy(pulled, `docker://${host}/shared/base:v2`), refused)

    const scope = [
      'repository:shared/base:pull,push,delete',
      'registry:catalog:*',
      'repository:team/app:pull',
    ]
    const query = new URLSearchParams(scope.map((one) => ['scope', one]))
    const { json } = await ask(system, `/auth/v2/token?${query}`)
    const { token: bearer } = json as { token: string }
    t.notOk('refresh_token' in (json as object))
    t.match(await ask(system, '/v2/shared/base/manifests/v1', { bearer }), {
      status: 200,
      text: base.manifest,
    })
    t.match(await ask(system, '/v2/shared/base/tags/list', { bearer }), { json: { tags: ['v1'] } })
    const questions = [
      ['PUT', '/v2/shared/base/manifests/v2'],
      ['DELETE', '/v2/shared/base/manifests/v1'],
      ['POST', '/v2/shared/base/blobs/uploads/'],
      ['GET', '/v2/team/app/manifests/v1'],
      ['GET', `/v2/team/app/blobs/${own.layer}`],
      ['GET', '/v2/_catalog'],
      ['GET', IMAGES],
      ['GET', `${IMAGES}/shared/base`],
      ['DELETE', `${IMAGES}/shared/base`],
      ['GET', '/user'],
      ['GET', '/users'],
    ] as const
    for (const [method, path] of questions) {
      const body = method === 'PUT' ? base.manifest : undefined
      for (const credentials of [{ bearer }, {}]) {
        const { status } = await ask(system, path, { ...credentials, method, body, type: MANIFEST_TYPE })
        t.equal(status, 401, `${method} ${path} is refused`)
      }
    }
    for (const path of ['/v2/', '/v2/shared/base/manifests/v1']) {
      const response = await ask(system, path)
      t.equal(response.status, 401, 'the challenge names the token endpoint')
      t.match(response.headers.get('www-authenticate'), /^Bearer realm=/)
    }
  })

  await t.test('a repository that ceased to be global is not pulled anonymously', async (t) => {
    await ask(system, `${IMAGES}/shared/docker`, { ...put, body: '{"scope":"namespace"}' })
    const scope = 'repository:shared/docker:pull'
    const mayPull = async () => {
      const { json } = await ask(system, `/auth/v2/token?scope=${scope}`)
      const { token: bearer } = json as { token: string }
      return (await ask(system, '/v2/shared/docker/manifests/1', { bearer })).status === 200
    }
    // auth-service caches for five seconds which repositories are global.
    t.equal(await waitForAllReplicas(mayPull, false, 15_000), false)
    await t.rejects(docker.pull('shared/docker:1'), refused)
  })
})
