import { readFileSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { ensureCommands } from './harness/debian-packages.ts'
import { createDockerConfig, dockerIsMissing, startDockerEngine } from './harness/docker-engine.ts'
import { waitForAllReplicas } from './harness/all-replicas.ts'
import { testPipelinesPage } from './harness/pipelines-page.ts'
import { runCommand } from './harness/run-command.ts'
import { basic, startSystem } from './harness/system.ts'

/*
 * Runs docs/ci.md and docs/pipelines.md command by command: the shell blocks as they are, and each command of the
 * pipelines with the variables of its pipeline. Only https and the host are replaced.
 */
const missing = (await dockerIsMissing()) || (await ensureCommands({ curl: 'curl', jq: 'jq' }))
const readPage = (name: string) => readFileSync(new URL(`../docs/${name}`, import.meta.url), 'utf8')
const page = readPage('ci.md')
const withoutSecrets = readPage('pipelines.md')

/** Returns the fenced blocks below a heading. */
function blocksOf(heading: string, language: string, from = page): string[] {
  const section = from.split(/^## /m).find((text) => text.startsWith(heading)) ?? ''
  return [...section.matchAll(/^```(\w+)\n(.*?)^```$/gms)]
    .filter(([, name]) => name === language)
    .map(([, , text]) => text ?? '')
}

/** Returns the commands of a pipeline: the value of `run:`, or the items of a list of commands. */
function commandsOf(yaml: string): string[] {
  const lines = yaml.split('\n').map((line) => line.trim())
  const github = lines.flatMap((line) => /^- run: (.*)$/.exec(line)?.slice(1) ?? [])
  const gitlab = lines.flatMap((line) => /^- ((?:echo|docker) .*)$/.exec(line)?.slice(1) ?? [])
  return [...github, ...gitlab]
}

t.test('every command of docs/ci.md works as printed', { skip: missing }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'ci-docs-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const system = await startSystem(t)
  const { env: engine, docker } = await startDockerEngine(t)
  const { username, password } = system.admin
  const sh = async (script: string, env: Record<string, string> = {}) => {
    const here = script
      .replaceAll('https://registry.example.com', system.url)
      .replaceAll('registry.example.com', system.host)
    const options = { cwd: folder, env: { ...engine, ADMIN: `${username}:${password}`, ...env } }
    return (await runCommand('sh', ['-euc', here], options)).stdout
  }
  const read = async (name: string) => JSON.parse(await readFile(join(folder, name), 'utf8'))
  const credentialsIn = async (name: string) =>
    (await read(name)).properties.credentials as { username: string; password: string }
  const statusOf = async (user: { username: string; password: string }) => {
    const url = `${system.url}/auth/v2/token?scope=repository:team/app:pull`
    return (await fetch(url, { headers: { authorization: basic(user) } })).status
  }
  await writeFile(join(folder, 'Dockerfile'), 'FROM scratch\nCOPY hello /\n')
  await writeFile(join(folder, 'hello'), 'hello')

  const [makeCi = '', makeCluster = ''] = blocksOf('Make the tokens', 'sh')
  await t.test('docs/ci.md: the pipelines push with the tokens of "Make the tokens"', async (t) => {
    const printed = await sh(`${makeCi}\n${makeCluster}`)
    const ci = await credentialsIn('team-ci.json')
    t.equal(printed, `${ci.username}\n${ci.password}\n`)
    t.match(ci, { username: 'team-ci', password: /^rmt_/ })
    t.match(await read('cluster.json'), { properties: { name: 'cluster', scopes: [{ actions: ['pull'] }] } })
  })
  // The later blocks use the variables of the first block.
  const variables = makeCi.split('\n\n')[0] ?? ''

  const pipelines = [
    { name: 'GitHub Actions', tag: 'abc123', count: 4 },
    { name: 'GitLab CI', tag: 'def456', count: 4 },
  ]
  for (const { name, tag, count } of pipelines) {
    await t.test(`docs/ci.md: the ${name} pipeline pushes an image`, async (t) => {
      const [yaml = ''] = blocksOf(name, 'yaml')
      const commands = commandsOf(yaml)
      t.equal(commands.length, count, 'every command of the pipeline was run')
      const image = /^ *IMAGE: (.*)$/m
        .exec(yaml)?.[1]
        ?.replace(/\$\{\{ github\.sha \}\}|\$CI_COMMIT_SHORT_SHA/, tag)
      const ci = await credentialsIn('team-ci.json')
      const env = {
        DOCKER_CONFIG: await createDockerConfig(join(folder, tag)),
        REGISTRY: system.host,
        IMAGE: (image ?? '').replace('registry.example.com', system.host),
        REGISTRY_USERNAME: ci.username,
        REGISTRY_PASSWORD: ci.password,
      }
      for (const command of commands) await sh(command, env)
      const tags = await fetch(`${system.url}/v2/team/app/tags/list`, {
        headers: { authorization: basic(system.admin) },
      })
      t.ok(((await tags.json()) as { tags: string[] }).tags.includes(tag), 'the image was pushed')
      t.notMatch(
        await readFile(join(env.DOCKER_CONFIG, 'config.json'), 'utf8'),
        system.host,
        'the pipeline logged out',
      )
    })
  }

  /** Pulls an image with a configuration, as a kubelet and a GitLab runner do. */
  const pulls = async (configuration: string, tag: string, name: string) => {
    const config = await createDockerConfig(join(folder, name))
    await writeFile(join(config, 'config.json'), configuration)
    await docker(['pull', `${system.host}/team/app:${tag}`], { env: { DOCKER_CONFIG: config } })
  }
  await t.test("docs/ci.md: GitLab's DOCKER_AUTH_CONFIG pulls a private image", async () => {
    const [command = ''] = blocksOf('GitLab CI', 'sh')
    await pulls(await sh(command), 'abc123', 'runner')
  })

  await t.test('docs/ci.md: the Kubernetes secret pulls a private image', async (t) => {
    const [command = ''] = blocksOf('Kubernetes', 'sh')
    await sh(command)
    const secret = await read('pull-secret.json')
    t.match(secret, { apiVersion: 'v1', kind: 'Secret', type: 'kubernetes.io/dockerconfigjson' })
    t.match(page, `imagePullSecrets: [{name: ${secret.metadata.name.replaceAll('.', '-')}}]`)
    await pulls(Buffer.from(secret.data['.dockerconfigjson'], 'base64').toString(), 'abc123', 'kubelet')
  })

  await t.test('docs/ci.md: "Rotate" keeps the old password during the overlap', async (t) => {
    const [rotate = '', soon = ''] = blocksOf('Rotate', 'sh')
    const before = await credentialsIn('team-ci.json')
    t.equal(await statusOf(before), 200)
    await sh(`${variables}\n${rotate}`)
    const after = await credentialsIn('team-ci.json')
    t.not(after.password, before.password)
    t.strictSame(
      [await statusOf(before), await statusOf(after)],
      [200, 200],
      'the old and the new password work',
    )
    t.equal(await sh(`${variables}\n${soon}`), '', 'no token expires within two weeks')
    const soonest = soon.replace('1209600', String(200 * 86_400))
    t.match(
      await sh(`${variables}\n${soonest}`),
      /^cluster\t\d{4}-\d\d-\d\dT/,
      'a token expires within half a year',
    )
  })

  await t.test('docs/ci.md: "A password was leaked" replaces the leaked password', async (t) => {
    const [replace = '', find = ''] = blocksOf('A password was leaked', 'sh')
    const before = await credentialsIn('team-ci.json')
    const found = (await sh(find)).split('\n')
    t.ok(found.includes('./team-ci.json') && found.includes('./cluster.json'), 'the search finds passwords')
    t.notOk(found.includes('./hello'))
    const id = (await read('team-ci.json')).id as string
    await sh(`${variables}\nID=${id}\n${replace}`)
    const after = await credentialsIn('team-ci.json')
    t.equal(await waitForAllReplicas(() => statusOf(before), 401, 5000), 401)
    t.equal(await waitForAllReplicas(() => statusOf(after), 200, 5000), 200)
  })

  await t.test('every command of docs/pipelines.md works as printed', async (t) => {
    await testPipelinesPage(t, {
      system,
      folder,
      sh,
      commandsOf,
      blocksOf: (heading, language) => blocksOf(heading, language, withoutSecrets),
      pull: pulls,
    })
  })

  const languagesOf = (text: string) =>
    [...text.matchAll(/^```(\w*)/gm)].map(([, language]) => language).filter((language) => language !== '')
  t.strictSame(
    languagesOf(withoutSecrets),
    ['sh', 'yaml', 'json', 'yaml', 'sh', 'yaml', 'sh', 'sh', 'sh'],
    'every block of docs/pipelines.md was run or read',
  )
  t.strictSame(
    languagesOf(page),
    ['sh', 'sh', 'yaml', 'yaml', 'sh', 'sh', 'sh', 'sh', 'sh', 'sh'],
    'every block of the page was run',
  )
})
