import { once } from 'node:events'
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { parse } from 'yaml'
import { createDockerConfig } from './docker-engine.ts'
import { createForeignIssuer } from './foreign-tokens.ts'
import type { System } from './system.ts'
import { basic } from './system.ts'

/** The functions and values that docs/pipelines.md needs from the test that runs its commands. */
export interface PipelinesPage {
  readonly system: System
  /** A new folder; the commands run there. */
  readonly folder: string
  /** Runs a script of the page with more variables; returns what it prints. */
  sh(script: string, env?: Record<string, string>): Promise<string>
  /** The fenced blocks below a heading of the page. */
  blocksOf(heading: string, language: string): string[]
  /** The commands of a pipeline. */
  commandsOf(yaml: string): string[]
  /** Pulls `team/app` with this docker configuration. */
  pull(configuration: string, tag: string, name: string): Promise<void>
}

const PROVIDER = fileURLToPath(new URL('../../deploy/kubernetes/credential-provider', import.meta.url))
const CLUSTER = 'https://kubernetes.default.svc.cluster.local'

/** The claims of a job of GitHub Actions, as GitHub documents them. */
const GITHUB_CLAIMS = {
  iss: 'https://token.actions.githubusercontent.com',
  sub: 'repo:acme/app:ref:refs/heads/main',
  repository: 'acme/app',
  repository_id: '74',
  repository_owner: 'acme',
  repository_owner_id: '65',
  repository_visibility: 'private',
  ref: 'refs/heads/main',
  ref_type: 'branch',
  sha: 'abc123',
  workflow: 'image',
  job_workflow_ref: 'acme/app/.github/workflows/image.yml@refs/heads/main',
  event_name: 'push',
  actor: 'jane',
  run_id: '1',
  runner_environment: 'github-hosted',
}
/** The claims of a job of GitLab CI, as GitLab documents them. */
const GITLAB_CLAIMS = {
  iss: 'https://gitlab.com',
  sub: 'project_path:acme/app:ref_type:branch:ref:main',
  project_id: '20',
  project_path: 'acme/app',
  namespace_id: '72',
  namespace_path: 'acme',
  user_login: 'jane',
  pipeline_source: 'push',
  job_id: '302',
  ref: 'main',
  ref_type: 'branch',
  ref_protected: 'true',
  runner_environment: 'gitlab-hosted',
}
/** The claims of a token that is bound to a pod, as the API server signs it. */
const POD_CLAIMS = {
  iss: CLUSTER,
  sub: 'system:serviceaccount:apps:web',
  jti: '7ee52be0-9045-4653-aa5e-0da57b8dccdc',
  'kubernetes.io': {
    namespace: 'apps',
    node: { name: 'node-1', uid: '646e7c5e-32d6-4d42-9dbd-e504e6cbe6b1' },
    pod: { name: 'web-0', uid: '5e0bd49b-f040-43b0-99b7-22765a53f7f3' },
    serviceaccount: { name: 'web', uid: '4ea45f6a-8e1f-4a6b-8d9f-1a7a5d8f2f7e' },
  },
}

/** Runs docs/pipelines.md command by command, with tokens that a key of the test signs. */
export async function testPipelinesPage(t: Test, page: PipelinesPage): Promise<void> {
  const { system, folder, sh, blocksOf } = page
  const { jwks, sign, sendRule } = createForeignIssuer(system)
  const rules = '/namespaces/team/trust-rules'
  const variables = (blocksOf('Trust rules', 'sh')[0] ?? '').split('\n\n')[0] ?? ''
  const owner = { OWNER: `${system.admin.username}:${system.admin.password}` }

  /** Runs the commands of a pipeline; returns whether the image was pushed. */
  const runPipeline = async (yaml: string, tag: string, env: Record<string, string>) => {
    const image = /^ *IMAGE: (.*)$/m.exec(yaml)?.[1] ?? ''
    const named = image.replace(/\$\{\{ github\.sha \}\}|\$CI_COMMIT_SHORT_SHA/, tag)
    const all = {
      DOCKER_CONFIG: await createDockerConfig(join(folder, tag)),
      REGISTRY: system.host,
      IMAGE: named.replace('registry.example.com', system.host),
      ...env,
    }
    for (const command of page.commandsOf(yaml)) await sh(command, all)
    const headers = { authorization: basic(system.admin) }
    const tags = await fetch(`${system.url}/v2/team/app/tags/list`, { headers })
    return ((await tags.json()) as { tags: string[] }).tags.includes(tag)
  }

  await t.test('docs/pipelines.md: the GitHub Actions pipeline pushes with its own token', async (t) => {
    const [create = ''] = blocksOf('Trust rules', 'sh')
    await sh(create, owner)
    const { id, namespace, createdAt, createdBy, updatedAt, ...rule } = JSON.parse(
      await readFile(join(folder, 'rule.json'), 'utf8'),
    )
    t.match({ namespace, createdBy, createdAt, updatedAt }, { namespace: 'team', createdBy: 'admin' })
    // Only GitHub can sign with the keys that GitHub publishes.
    await sendRule('PUT', `${rules}/${id}`, rule)
    const github = createServer((request, response) => {
      const audience = new URL(request.url ?? '', 'http://github').searchParams.get('audience')
      t.strictSame([request.headers.authorization, audience], ['Bearer of-the-job', system.host])
      void sign(GITHUB_CLAIMS).then((value) => response.end(JSON.stringify({ count: 1, value })))
    }).listen(0, '127.0.0.1')
    await once(github, 'listening')
    t.teardown(() => github.close())
    const [yaml = ''] = blocksOf('GitHub Actions', 'yaml')
    t.match(parse(yaml), { permissions: { 'id-token': 'write' } })
    const isPushed = await runPipeline(yaml, 'github1', {
      ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'of-the-job',
      ACTIONS_ID_TOKEN_REQUEST_URL: `http://127.0.0.1:${(github.address() as AddressInfo).port}/?api-version=2.0`,
    })
    t.ok(isPushed)
  })

  await t.test('docs/pipelines.md: the GitLab CI pipeline pushes with its own token', async (t) => {
    const [json = ''] = blocksOf('GitLab CI', 'json')
    await sendRule('POST', rules, JSON.parse(json.replaceAll('registry.example.com', system.host)))
    const [yaml = ''] = blocksOf('GitLab CI', 'yaml')
    t.match(parse(yaml), { image: { id_tokens: { REGISTRY_TOKEN: { aud: 'registry.example.com' } } } })
    t.ok(await runPipeline(yaml, 'gitlab1', { REGISTRY_TOKEN: await sign(GITLAB_CLAIMS) }))
  })

  await t.test('docs/pipelines.md: the kubelet pulls with the token of a service account', async (t) => {
    const bin = join(folder, 'bin')
    await mkdir(bin)
    const answers = { '/.well-known/openid-configuration': { issuer: CLUSTER }, '/openid/v1/jwks': jwks }
    const cases = Object.entries(answers).map(
      ([path, answer]) => `${path}) echo '${JSON.stringify(answer)}';;`,
    )
    await writeFile(join(bin, 'kubectl'), `#!/bin/sh\ncase $3 in\n${cases.join('\n')}\nesac\n`)
    await chmod(join(bin, 'kubectl'), 0o755)
    const env = { ...owner, PATH: `${bin}:${PROVIDER}:${process.env['PATH']}` }
    const [create = ''] = blocksOf('Pods of Kubernetes', 'sh')
    t.match(JSON.parse(await sh(`${variables}\n${create}`, env)), {
      name: 'cluster',
      issuer: CLUSTER,
      jwks: {},
    })
    const [request = ''] = blocksOf('Image pulls of the kubelet', 'sh')
    const { auth } = JSON.parse(await sh(request, { ...env, TOKEN: await sign(POD_CLAIMS) })) as {
      auth: Record<string, { username: string; password: string }>
    }
    const auths = Object.entries(auth).map(([host, { username, password }]) => [
      host,
      { auth: Buffer.from(`${username}:${password}`).toString('base64') },
    ])
    await page.pull(JSON.stringify({ auths: Object.fromEntries(auths) }), 'github1', 'pod')
    const [pod = ''] = blocksOf('Pods of Kubernetes', 'yaml')
    t.match(parse(pod), { kind: 'Pod', spec: { volumes: [{ projected: { sources: [{}] } }] } })
  })

  await t.test('docs/pipelines.md: a token is exchanged, and its claims are shown', async (t) => {
    await writeFile(join(folder, 'token.jwt'), await sign(POD_CLAIMS))
    const [exchange = ''] = blocksOf('Token exchange', 'sh')
    const [, payload = ''] = (await sh(exchange)).split('.')
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString())
    t.match(claims, { sub: 'workload:team/cluster', access: [{ name: 'team/app', actions: ['pull'] }] })
    const [show = ''] = blocksOf('Refusals', 'sh')
    t.match(JSON.parse(await sh(show)), POD_CLAIMS)
  })
}
