import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { decodeJwt } from 'jose'
import type { Test } from 'tap'
import { test } from 'tap'
import { until } from '@registry-manager/testing/until'
import type { Question } from './harness/ask.ts'
import { ask } from './harness/ask.ts'
import { createDockerClient, loadImage } from './harness/docker-client.ts'
import { dockerIsMissing, startDockerEngine } from './harness/docker-engine.ts'
import { createImage, readImageFolder } from './harness/images.ts'
import { startRepeatedPushes } from './harness/repeated-pushes.ts'
import { startReplicas } from './harness/replicas.ts'
import type { CommandError } from './harness/run-command.ts'
import { createSkopeo, skopeoIsMissing } from './harness/skopeo.ts'
import { MANIFEST_TYPE, pushSmallImage } from './harness/small-image.ts'
import { tokenFor } from './harness/system.ts'

const AWAY_MS = 60_000
const IMAGES = '/image-manager/api/v1/repositories'
const skip = (await dockerIsMissing()) || (await skopeoIsMissing())

test('while Postgres is unavailable, images can still be pulled', { skip }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'database-unavailable-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  // Tokens have the shortest lifetime: none that was issued before lasts through the outage.
  const system = await startReplicas(t, { count: 1, env: { TOKEN_TTL_SECONDS: '60' } })
  if (system === undefined) return
  const { admin, host } = system
  const alice = await system.createUser('alice', ['team'])
  const sam = await system.createUser('sam', ['team'])
  const carol = await system.createUser('carol', ['lab'])
  const unseen = await system.createUser('unseen', ['team'])

  const engine = await startDockerEngine(t)
  const pushEngine = await startDockerEngine(t)
  const docker = await createDockerClient(engine, system, folder, 'alice')
  const pusher = await createDockerClient(pushEngine, system, folder, 'alice-elsewhere')
  // Signs in, and does nothing else before the database is stopped.
  const fresh = await createDockerClient(engine, system, folder, 'sam')
  const skopeo = createSkopeo(system, folder, 'sam-of-skopeo')
  const carols = createSkopeo(system, folder, 'carol')
  let folders = 0
  const copy = async (client: typeof skopeo, image: string) => {
    const target = join(folder, `copy-${folders++}`)
    await client.copy(`docker://${host}/${image}`, `dir:${target}`)
    return (await readImageFolder(target)).digest
  }

  const loaded = await loadImage(pushEngine, system, folder, 'team/docker:1')
  await loadImage(pushEngine, system, folder, 'team/docker:late')
  await docker.login(alice)
  await pusher.login(alice)
  await pusher.push('team/docker:1')
  const small = await pushSmallImage(system, sam, 'team/small', 'v1')
  const base = await pushSmallImage(system, admin, 'shared/base', 'v1')
  await ask(system, `${IMAGES}/shared/base`, { method: 'PUT', as: admin, body: '{"scope":"global"}' })
  await carols.login(carol)
  t.equal(await copy(carols, 'shared/base:v1'), base.digest, 'carol pulls a global image')
  await skopeo.login(sam)
  await fresh.login(sam)
  // An account that image-manager has cached must not get a worse response.
  t.match(await ask(system, IMAGES, { as: sam }), { status: 200 })
  const usersBefore = (await ask(system, '/users', { as: admin })).text
  const pushToken = await tokenFor(system, sam, 'repository:team/small:pull,push,delete')

  // Two pushes are in progress when the database stops: manifests in a row, and an image of many layers.
  const pushing = startRepeatedPushes(system, sam, small)
  const large = await createImage(join(folder, 'large'), { seed: 'large', layers: 60, layerBytes: 1 << 20 })
  const [source, target] = [`oci:${join(folder, 'large')}:latest`, `docker://${host}/team/large:1`]
  const cutOff = skopeo.copy(source, target).then(
    () => undefined,
    (error: CommandError) => error,
  )
  const firstLayer = `/v2/team/large/blobs/${large.manifest.layers[0]?.digest}`
  const isPushed = async () => (await ask(system, firstLayer, { method: 'HEAD', as: sam })).status === 200
  await until(isPushed, 'the first layer of the large image is pushed')

  await system.postgres.stopAtOnce()
  const end = Date.now() + AWAY_MS
  // The response to a stored manifest may still be on its way.
  const refusedBefore = pushing.refused.length
  await until(() => pushing.refused.length > refusedBefore, 'a push is refused')
  const acceptedBefore = pushing.accepted.size
  // For a moment auth-service still trusts what it verified just before, and such a token may start an upload.
  const isNoticed = async () => {
    const token = await tokenFor(system, sam, 'repository:team/small:pull,push')
    return decodeJwt<{ offline?: boolean }>(token).offline === true
  }
  await until(isNoticed, 'auth-service issues tokens that say that the database is unavailable')
  const pulls: Record<'alice' | 'fresh' | 'skopeo' | 'global', string[]> = {
    alice: [],
    fresh: [],
    skopeo: [],
    global: [],
  }
  const pulling = (async () => {
    while (Date.now() < end) {
      pulls.alice.push(await docker.pull('team/docker:1'))
      pulls.skopeo.push(await copy(skopeo, 'team/small:v1'))
      pulls.fresh.push(await fresh.pull('team/docker:1'))
      pulls.global.push(await copy(carols, 'shared/base:v1'))
    }
  })()
  // The last test reports its failure.
  pulling.catch(() => undefined)

  const isUnavailable = async (t: Test, path: string, question: Question, why: string) => {
    const { status, headers, text, json } = await ask(system, path, question)
    t.equal(status, 503, `${question.method ?? 'GET'} ${path}: ${why}: ${text}`)
    t.ok(Number(headers.get('retry-after')) > 0, 'the response has Retry-After')
    if (path.startsWith('/v2/')) t.match(json, { errors: [{ code: 'UNAVAILABLE' }] })
  }

  await t.test('while the database is unavailable, every write gets 503', async (t) => {
    const manifest = { method: 'PUT', body: small.manifest, type: MANIFEST_TYPE }
    const writes: readonly (readonly [path: string, question: Question])[] = [
      ['manifests/late', manifest],
      [`manifests/${small.digest}`, manifest],
      ['manifests/v1', { method: 'DELETE' }],
      [`manifests/${small.digest}`, { method: 'DELETE' }],
    ]
    for (const [path, question] of writes) {
      const bearer = pushToken
      await isUnavailable(
        t,
        `/v2/team/small/${path}`,
        { ...question, bearer },
        'a push with a live access token',
      )
      await isUnavailable(t, `/v2/team/small/${path}`, { ...question, as: sam }, 'a push with a password')
      const bearerNow = await tokenFor(system, sam, 'repository:team/small:pull,push,delete')
      await isUnavailable(
        t,
        `/v2/team/small/${path}`,
        { ...question, bearer: bearerNow },
        'a push with a new token',
      )
    }
    const bearer = await tokenFor(system, sam, 'repository:team/small:pull,push')
    await isUnavailable(
      t,
      '/v2/team/small/blobs/uploads/',
      { method: 'POST', bearer },
      'the start of an upload',
    )
  })

  await t.test('while the database is unavailable, lists and management APIs respond 503', async (t) => {
    const user = { method: 'POST', as: admin, body: '{"username":"late","password":"a-good-password"}' }
    const questions: readonly (readonly [path: string, question: Question])[] = [
      ['/v2/_catalog', { as: sam }],
      ['/v2/team/small/tags/list', { as: sam }],
      [`/v2/team/small/referrers/${small.digest}`, { as: sam }],
      [IMAGES, { as: sam }],
      [`${IMAGES}/team/small`, { as: sam }],
      [`${IMAGES}/team/small`, { method: 'PUT', as: sam, body: '{"scope":"global"}' }],
      [`${IMAGES}/team/small`, { method: 'DELETE', as: sam }],
      ['/user', { as: sam }],
      ['/users', { as: admin }],
      ['/user', user],
      ['/user?username=carol&admin=true', { method: 'PATCH', as: admin }],
      ['/user?username=carol', { method: 'DELETE', as: admin }],
      ['/user/sessions', { method: 'DELETE', as: sam }],
    ]
    for (const [path, question] of questions) await isUnavailable(t, path, question, 'a cached account')
  })

  await t.test('while the database is unavailable, an account that is not cached gets 503', async (t) => {
    const credentials = { username: 'sam', password: 'another-password' }
    for (const as of [unseen, credentials, { username: 'nobody', password: 'a-good-password' }]) {
      const { username, password } = as
      const token = `/auth/v2/token?scope=repository:team/small:pull`
      await isUnavailable(t, token, { as }, username)
      const form = new URLSearchParams({ grant_type: 'password', username, password, client_id: 'test' })
      const type = 'application/x-www-form-urlencoded'
      await isUnavailable(t, '/auth/v2/token', { method: 'POST', body: `${form}`, type }, username)
      for (const path of ['/v2/', '/v2/team/small/manifests/v1', '/user', IMAGES])
        await isUnavailable(t, path, { as }, username)
    }
  })

  await t.test('while the database is unavailable, pushes and logins of clients fail in time', async (t) => {
    const [code, stderr] = [1, /503|unavailable|not answering/i]
    const error = await cutOff
    t.match(error, { code, stderr }, 'the interrupted push fails')
    await t.rejects(skopeo.copy(source, target), { code, stderr }, 'skopeo copy fails')
    await t.rejects(pusher.push('team/docker:late'), { code, stderr }, 'docker push fails')
    await t.rejects(pusher.login(unseen), { code, stderr }, 'docker login fails')
  })

  await t.test('existing images are pulled during the whole outage of the database', async (t) => {
    await pulling
    const id = loaded.manifest.config.digest
    const expected = { alice: id, fresh: id, skopeo: small.digest, global: base.digest }
    for (const [name, seen] of Object.entries(pulls)) {
      t.comment(`${name}: ${seen.length} pulls`)
      t.strictSame(new Set(seen), new Set([expected[name as keyof typeof pulls]]), name)
    }
    t.equal(pushing.accepted.size, acceptedBefore, 'no push was accepted during the outage')
  })

  await t.test('after an outage of the database every request succeeds without lost data', async (t) => {
    await system.postgres.start()
    const put = { method: 'PUT', as: sam, body: small.manifest, type: MANIFEST_TYPE }
    t.match(
      await ask(system, '/v2/team/small/manifests/after', put),
      { status: 201 },
      'a push succeeds at once',
    )
    await pushing.stop()
    t.ok(pushing.accepted.size > acceptedBefore, 'retried pushes are accepted')
    for (const { status, headers, text } of pushing.refused) {
      t.equal(status, 503, text)
      t.ok(Number(headers.get('retry-after')) > 0)
    }
    await skopeo.copy(source, target)
    t.equal(
      await copy(skopeo, 'team/large:1'),
      large.descriptor.digest,
      'the interrupted push succeeds when it is retried',
    )
    await pusher.push('team/docker:late')
    await fresh.login(sam)

    t.equal((await ask(system, '/users', { as: admin })).text, usersBefore, 'all users still exist')
    const { json: catalog } = await ask(system, '/v2/_catalog', { as: admin })
    t.strictSame(catalog, { repositories: ['shared/base', 'team/docker', 'team/large', 'team/small'] })
    const { json: list } = await ask(system, '/v2/team/small/tags/list', { as: sam })
    t.strictSame(list, {
      name: 'team/small',
      tags: ['after', ...[...pushing.accepted.keys()].toSorted(), 'v1'],
    })
    for (const [tag, digest] of pushing.accepted) {
      const { headers } = await ask(system, `/v2/team/small/manifests/${tag}`, { method: 'HEAD', as: sam })
      t.equal(headers.get('docker-content-digest'), digest, tag)
    }
    t.equal(await docker.pull('team/docker:1'), loaded.manifest.config.digest)
    t.equal(await copy(carols, 'shared/base:v1'), base.digest)
    t.strictSame(system.ended(), [], 'no service process ended')
  })
})
