import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import t from 'tap'
import { until } from '@registry-manager/testing/until'
import { ensureTls } from '../deploy/local/stack/tls.ts'
import { COMPOSE_COMMANDS, type ComposeSystem, startCompose } from './harness/compose.ts'
import {
  IMAGE_COMMANDS,
  buildImage,
  buildSubstituteImages,
  makeBaseImages,
} from './harness/container-images.ts'
import { ensureCommands } from './harness/debian-packages.ts'
import { type DockerEngine, dockerIsMissing, startDockerEngine } from './harness/docker-engine.ts'
import { createImage } from './harness/images.ts'
import { runCommand } from './harness/run-command.ts'

const IMAGE = 'registry-manager:local'
const OURS = ['auth-service', 'image-manager', 'registry-proxy'] as const
const ROTATE = fileURLToPath(new URL('../services/auth-service/src/rotate-keys.ts', import.meta.url))

const missing =
  (await dockerIsMissing()) ||
  (await ensureCommands({ ...IMAGE_COMMANDS, ...COMPOSE_COMMANDS, curl: 'curl' }))

t.test('the container image runs the whole product with docker compose', { skip: missing }, async (t) => {
  const engine = await startDockerEngine(t)
  await makeBaseImages(engine)
  const [substituteImages] = await Promise.all([buildSubstituteImages(engine), buildImage(engine, IMAGE)])

  await t.test('the container image has only files that the product needs', (t) =>
    holdsWhatItNeeds(t, engine),
  )
  const system = await startCompose(t, engine, { ...substituteImages, IMAGE })
  await t.test('the containers of compose.yaml are isolated and unprivileged', (t) =>
    areShutIn(t, system, engine),
  )
  await t.test('docker pushes to and pulls from the compose system', (t) => pushAndPull(t, system, engine))
  await t.test('the signing keys of the compose system rotate while it runs', (t) => keysRotate(t, system))
  await t.test('the compose system serves a renewed certificate', (t) => certificateIsRenewed(t, system))
  await t.test('nginx finds services whose addresses changed', (t) => addressesChange(t, system, engine))
  await t.test('the database of the compose system is backed up and restored', (t) =>
    backUpAndRestore(t, system),
  )
  await t.test('the services of the compose system stop on SIGTERM', (t) => stopWhenTold(t, system, engine))
})

async function holdsWhatItNeeds(t: Test, { docker }: DockerEngine) {
  const [{ Size, Config }] = JSON.parse((await docker(['inspect', IMAGE])).stdout)
  const [base] = JSON.parse((await docker(['inspect', 'debian:bookworm-slim'])).stdout)
  t.comment(`the image has ${mebibytes(Size)} MiB, ${mebibytes(Size - base.Size)} of them beyond Debian`)
  t.equal(Config.User, '10001:10001')
  t.match(Config.Healthcheck.Test, ['CMD', 'registry-manager', 'healthy'])
  const run = (script: string) =>
    docker(['run', '--rm', '--read-only', '--network=none', '--entrypoint=sh', IMAGE, '-c', script])

  const tools = ['gcc', 'cc', 'g++', 'make', 'python3', 'git', 'npm', 'npx', 'pnpm', 'yarn', 'corepack']
  const look = `for tool in ${tools.join(' ')}; do command -v $tool; done; true`
  t.equal((await run(look)).stdout, '', 'the image has no build tools')
  const caches = ['/root/.npm', '/root/.cache', '/root/.local', '/var/lib/apt/lists/*', '/var/cache/apt/*']
  t.equal(
    (await run(`ls -d ${caches.join(' ')} 2>/dev/null || true`)).stdout,
    '',
    'the image has no package caches',
  )
  const owned = 'find / -xdev ! -type l -writable ! -path "/proc/*" ! -path "/dev/*" 2>/dev/null || true'
  const writable = (await run(owned)).stdout.trim().split('\n')
  const temporary = new Set(['/tmp', '/var/tmp', '/run/lock', '/var/lock', '/dev', '/proc'])
  t.same(
    writable.filter((path) => path !== '' && !temporary.has(path)),
    [],
    'the user of the container cannot change any file',
  )
  const tests =
    'find /app -name "*.test.ts" -not -path "*/node_modules/*"; ls /app/node_modules/.pnpm | grep -i ^tap@ || true'
  t.equal((await run(tests)).stdout, '', 'the image has no tests')
  t.match((await run('node --version')).stdout, process.version, 'Node has the version of the lock file')
  await t.rejects(docker(['run', '--rm', IMAGE]), { code: 2, stderr: /usage: registry-manager COMMAND/ })
  await t.rejects(docker(['run', '--rm', '--read-only', IMAGE, 'auth-service']), {
    code: 1,
    stderr: /PUBLIC_URL is required/,
  })
}

async function areShutIn(t: Test, { containers, curl, host }: ComposeSystem, { docker }: DockerEngine) {
  for (const name of OURS) {
    const container = containers[name]!
    const [state] = JSON.parse((await docker(['inspect', container.getId()])).stdout)
    t.equal(state.State.Health.Status, 'healthy', name)
    t.equal(state.HostConfig.ReadonlyRootfs, true)
    t.match(state.HostConfig, { CapDrop: ['ALL'], SecurityOpt: ['no-new-privileges:true'] })
    t.equal((await container.exec(['id', '-u'])).output.trim(), '10001')
    t.match(await container.exec(['touch', '/app/x']), { exitCode: 1, output: /Read-only file system/ })
    t.notMatch(JSON.stringify(state.Config.Env), /postgres:\/\//, 'the environment has no secret')
  }
  const worker = containers['storage-worker']!
  const [state] = JSON.parse((await docker(['inspect', worker.getId()])).stdout)
  t.match(state, {
    State: { Health: { Status: 'healthy' } },
    HostConfig: { CapDrop: ['ALL'], ReadonlyRootfs: true },
  })
  const write = 'touch /var/lib/registry/x && rm /var/lib/registry/x'
  t.match(
    await worker.exec(['sh', '-c', write]),
    { exitCode: 0 },
    'the storage worker can write to the volume',
  )
  const reaches = async (from: string, url: string) =>
    (await containers[from]!.exec(['wget', '--tries=1', '--timeout=3', '-qO-', url])).exitCode !== 4
  t.equal(await reaches('nginx', 'http://auth-service:8000/'), true)
  t.equal(await reaches('nginx', 'http://registry:5000/'), true)
  t.equal(await reaches('nginx', 'http://postgres:5432/'), false, 'nginx cannot reach Postgres')
  t.equal(
    await reaches('registry', 'http://auth-service:9000/livez'),
    false,
    'the registry cannot reach the services',
  )
  for (const path of ['/metrics', '/readyz', '/internal/revocations']) {
    t.equal(await curl(path, '-o', '/dev/null', '-w', '%{http_code}'), '404', `${path} is not public`)
  }
  const challenge = await curl('/v2/', '-D', '-', '-o', '/dev/null')
  t.match(
    challenge.toLowerCase(),
    `www-authenticate: bearer realm="https://${host}/auth/v2/token",service="${host}"`,
  )
}

async function pushAndPull(t: Test, { host, admin, curl }: ComposeSystem, { docker }: DockerEngine) {
  const folder = await mkdtemp(join(tmpdir(), 'images-test-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const login = `${admin.username}:${admin.password}`
  const jane = ['username=jane', 'password=a-password-of-janes', 'namespaces=team'].flatMap((field) => [
    '-d',
    field,
  ])
  t.match(JSON.parse(await curl('/user', '-u', login, ...jane)), { username: 'jane', namespaces: ['team'] })

  const image = await createImage(join(folder, 'layout'), { seed: 'images', layers: 2, layerBytes: 20 << 20 })
  await runCommand('tar', ['-cf', join(folder, 'image.tar'), '-C', join(folder, 'layout'), '.'])
  await docker(['load', '--input', join(folder, 'image.tar')])
  await docker(['login', '--username', 'jane', '--password-stdin', host], { input: 'a-password-of-janes' })
  const [own, others] = [`${host}/team/app:1`, `${host}/other/app:1`]
  await docker(['tag', 'made-here', own])
  await docker(['tag', 'made-here', others])
  await docker(['push', own])
  await t.rejects(docker(['push', others]), { code: 1, stderr: /denied/ })
  await docker(['image', 'rm', 'made-here', own, others])
  await docker(['pull', own])
  const [pulled] = JSON.parse((await docker(['inspect', own])).stdout)
  t.equal(pulled.Id, image.manifest.config.digest)
  t.match(JSON.parse(await curl('/v2/_catalog', '-u', 'jane:a-password-of-janes')), {
    repositories: ['team/app'],
  })
}

/** Returns the id of the key that signs tokens now. */
async function signingKey({ curl, admin }: ComposeSystem): Promise<string> {
  const scope = 'repository:team/app:pull'
  const body = await curl(`/auth/v2/token?scope=${scope}`, '-u', `${admin.username}:${admin.password}`)
  return JSON.parse(Buffer.from(JSON.parse(body).token.split('.')[0], 'base64url').toString()).kid
}

async function keysRotate(t: Test, system: ComposeSystem) {
  const before = await signingKey(system)
  await runCommand(process.execPath, [ROTATE], {
    env: { SIGNING_KEYS_DIR: join(system.secrets, 'signing-keys') },
  })
  await until(async () => (await signingKey(system)) !== before, 'another key signs tokens', 30)
  const manifest = await system.curl('/v2/team/app/manifests/1', '-u', 'jane:a-password-of-janes')
  t.match(JSON.parse(manifest), { layers: [{}, {}] }, 'the registry accepts a token of the new key')
}

async function certificateIsRenewed(t: Test, { secrets, host }: ComposeSystem) {
  const served = async () => {
    const script = `echo | openssl s_client -connect ${host} 2>/dev/null | openssl x509 -noout -serial`
    return (await runCommand('sh', ['-c', script])).stdout
  }
  const before = await served()
  const renewed = await mkdtemp(join(tmpdir(), 'renewed-'))
  t.teardown(() => rm(renewed, { recursive: true, force: true }))
  await ensureTls(renewed, ['localhost'])
  // A certificate client replaces the whole file.
  for (const name of ['ca.crt', 'server.key', 'server.crt']) {
    await writeFile(join(secrets, 'tls', `${name}.new`), await readFile(join(renewed, name)))
    await rename(join(secrets, 'tls', `${name}.new`), join(secrets, 'tls', name))
  }
  const isRenewed = async () => {
    const current = await served()
    return current.startsWith('serial=') && current !== before
  }
  await until(isRenewed, 'nginx serves the renewed certificate')
}

/** An upgrade recreates the containers of the services. nginx keeps running. */
async function addressesChange(
  t: Test,
  { containers, curl, admin }: ComposeSystem,
  { docker }: DockerEngine,
) {
  const moved = ['auth-service', 'image-manager'] as const
  // These containers take the addresses that become free.
  const strangers = ['postgres', 'registry'] as const
  const networks = (await docker(['network', 'ls', '--format={{.Name}}'])).stdout.split('\n')
  const network = networks.find((name) => name.endsWith('_ingress')) ?? ''
  const idOf = (name: string) => containers[name]!.getId()
  const addressOf = async (name: string) => {
    const [state] = JSON.parse((await docker(['inspect', idOf(name)])).stdout)
    return state.NetworkSettings.Networks[network].IPAddress as string
  }
  const before = await Promise.all(moved.map(addressOf))
  for (const name of moved) await docker(['network', 'disconnect', network, idOf(name)])
  for (const name of strangers) await docker(['network', 'connect', network, idOf(name)])
  for (const name of moved) await docker(['network', 'connect', `--alias=${name}`, network, idOf(name)])
  for (const name of strangers) await docker(['network', 'disconnect', network, idOf(name)])
  const after = await Promise.all(moved.map(addressOf))
  for (const [index, name] of moved.entries())
    t.not(after[index], before[index], `${name} has another address`)
  const login = `${admin.username}:${admin.password}`
  const responses = async () => {
    const status = ['-o', '/dev/null', '-w', '%{http_code} ', '-u', login, '--max-time', '10']
    return (await curl('/user', ...status)) + (await curl('/image-manager/api/v1/repositories', ...status))
  }
  // nginx may still use an old connection to a peer that is gone without a reset.
  const isFound = async () => (await responses().catch(() => '')) === '200 200 '
  await until(isFound, 'nginx reaches the services at their new addresses')
  t.equal(await responses(), '200 200 ')
}

async function backUpAndRestore(t: Test, { containers }: ComposeSystem) {
  const create = `PGPASSWORD=$(cat $POSTGRES_PASSWORD_FILE) createdb -h 127.0.0.1 -U registry second`
  t.match(await containers['postgres']!.exec(['sh', '-c', create]), { exitCode: 0 })
  const restore = `registry-manager backup |
    DATABASE_URL=$(sed s,/registry$,/second, $DATABASE_URL_FILE) DATABASE_URL_FILE= registry-manager restore`
  const { exitCode, output } = await containers['auth-service']!.exec(['sh', '-c', restore])
  t.equal(exitCode, 0, output)
  const [, backedUp] = /backed up (\d+) rows/.exec(output) ?? []
  t.ok(Number(backedUp) > 5)
  t.match(output, `restored ${backedUp} rows`)
}

async function stopWhenTold(t: Test, { containers }: ComposeSystem, { docker }: DockerEngine) {
  const ids = [...OURS, 'storage-worker', 'registry'].map((name) => containers[name]!.getId())
  await docker(['stop', '--time=55', ...ids])
  const stopped: { Name: string; State: { ExitCode: number } }[] = JSON.parse(
    (await docker(['inspect', ...ids])).stdout,
  )
  for (const { Name, State } of stopped) t.equal(State.ExitCode, 0, `${Name} exits without being killed`)
}

function mebibytes(bytes: number): number {
  return Math.round(bytes / (1 << 20))
}
