import { readFileSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { ensureCommands, findCommand } from './harness/debian-packages.ts'
import { createDockerClient, loadImage } from './harness/docker-client.ts'
import { createDockerConfig, dockerIsMissing, startDockerEngine } from './harness/docker-engine.ts'
import type { CommandError } from './harness/run-command.ts'
import { runCommand } from './harness/run-command.ts'
import { startSystem, tlsVerify } from './harness/system.ts'

/* The row of docs/troubleshooting.md about logins that docker stored and that other programs read. */
const GUIDE = readFileSync(new URL('../docs/troubleshooting.md', import.meta.url), 'utf8')
const MESSAGE = 'auth file contains an Identity token'
const missing = (await dockerIsMissing()) || (await ensureCommands({ podman: 'podman' }))

t.test(
  'docker login stores a token that podman login and pull secrets cannot use',
  { skip: missing },
  async (t) => {
    t.match(GUIDE, `| \`${MESSAGE}\` at \`podman login\``, 'the guide explains the message')
    const folder = await mkdtemp(join(tmpdir(), 'stored-logins-'))
    t.teardown(() => rm(folder, { recursive: true, force: true }))
    const system = await startSystem(t)
    const alice = await system.createUser('alice', ['team'])
    const engine = await startDockerEngine(t)
    await loadImage(engine, system, folder, 'team/app:1')
    const docker = await createDockerClient(engine, system, folder, 'alice')
    await docker.login(alice)
    await docker.push('team/app:1')
    const file = join(folder, 'alice', 'config.json')
    const stored = JSON.parse(await readFile(file, 'utf8')).auths[system.host]
    t.match(stored, { auth: String, identitytoken: /^rmr_/ })

    const flags = ['root', 'runroot', 'tmpdir'].map((name) => `--${name}=${join(folder, `podman-${name}`)}`)
    flags.push(`--network-config-dir=${join(folder, 'podman-network')}`, '--storage-driver=vfs')
    const podman = (command: string, args: readonly string[], input?: string) =>
      runCommand(
        findCommand('podman') ?? '',
        [...flags, '--events-backend=none', command, `--tls-verify=${tlsVerify(system)}`, ...args],
        { env: { REGISTRY_AUTH_FILE: file }, cwd: folder, input },
      )
    /** The error output of a command that must fail. */
    const failure = (running: Promise<unknown>) =>
      running.then(
        () => 'the command succeeded',
        (error: CommandError) => error.stderr,
      )
    const loginWithPodman = () =>
      podman('login', ['--username', alice.username, '--password-stdin', system.host], alice.password)
    const pullWithPodman = async () => (await podman('pull', [`${system.host}/team/app:1`])).stdout

    await t.test('podman login refuses the file that docker login wrote, as the guide says', async (t) => {
      t.match(await failure(loginWithPodman()), MESSAGE)
    })

    await t.test('a pull secret that is made from the file of docker login does not sign in', async (t) => {
      // The kubelet reads `auth` and ignores `identitytoken`. Source: Kubernetes, pkg/credentialprovider/config.go.
      const pullAs = async (name: string, auth: string) => {
        const config = await createDockerConfig(join(folder, name))
        await writeFile(join(config, 'config.json'), JSON.stringify({ auths: { [system.host]: { auth } } }))
        return engine.docker(['pull', `${system.host}/team/app:1`], { env: { DOCKER_CONFIG: config } })
      }
      t.match(await failure(pullAs('secret-of-docker', stored.auth)), /unauthorized|denied/)
      const password = Buffer.from(`${alice.username}:${alice.password}`).toString('base64')
      await t.resolves(pullAs('secret-of-password', password), 'a secret with a password works')
    })

    await t.test('podman pulls with the file of docker login, without a login of its own', async (t) => {
      t.match(await pullWithPodman(), /^[0-9a-f]{64}$/m)
    })

    await t.test('podman login works after docker logout, as the guide says', async (t) => {
      await engine.docker(['logout', system.host], { env: { DOCKER_CONFIG: join(folder, 'alice') } })
      t.match(await failure(pullWithPodman()), /unauthorized|denied|authentication required/)
      t.match((await loginWithPodman()).stdout, 'Login Succeeded')
      t.match(await pullWithPodman(), /^[0-9a-f]{64}$/m)
    })
  },
)
