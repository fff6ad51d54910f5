import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { until } from '@registry-manager/testing/until'
import { createDockerConfig } from './docker-engine.ts'
import type { PlannedProvider } from './oidc-provider.ts'
import { runCommand } from './run-command.ts'
import type { System } from './system.ts'
import type { createWebClient } from './web-client.ts'

const PAGE = readFileSync(new URL('../../docs/single-sign-on.md', import.meta.url), 'utf8')
/** The fenced blocks of the page: its language and its text. */
const BLOCKS = [...PAGE.matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(([, language = '', text = '']) => ({
  language,
  text,
}))
const commands = BLOCKS.filter(({ language }) => language === 'sh').map(({ text }) => text)
const json = BLOCKS.filter(({ language }) => language === 'json').map(({ text }) => JSON.parse(text))
/** A socket on which no docker engine listens. */
export const NO_ENGINE = 'unix:///no-engine.sock'

/** Writes the first file of the page for a provider of the test. Returns the path of the file. */
export async function writeProvidersFile(
  folder: string,
  { issuer, clientId, clientSecret }: PlannedProvider,
): Promise<string> {
  const [[printed]] = json as [[object]]
  const clientSecretFile = join(folder, 'client-secret')
  await writeFile(clientSecretFile, clientSecret)
  const file = join(folder, 'providers.json')
  await writeFile(file, JSON.stringify([{ ...printed, issuer, clientId, clientSecretFile }]))
  return file
}

/** The values that docs/single-sign-on.md needs from the test that runs its commands. */
export interface SingleSignOnPage {
  readonly system: System
  /** A person signs in at the provider with a new browser. */
  signIn(username: string): Promise<{ readonly client: ReturnType<typeof createWebClient> }>
}

/** Runs docs/single-sign-on.md command by command. The files of single providers are read in a test of auth-service. */
export async function testSingleSignOnPage(t: Test, { system, signIn }: SingleSignOnPage): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'single-sign-on-page-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const { username, password } = system.admin
  const env = {
    ADMIN: `${username}:${password}`,
    // Without an engine the command line of docker signs in by itself.
    DOCKER_CONFIG: await createDockerConfig(join(folder, 'docker')),
    DOCKER_HOST: NO_ENGINE,
  }
  const run = async (script: string) => {
    const here = script
      .replaceAll('https://registry.example.com', system.url)
      .replaceAll('registry.example.com', system.host)
    return (await runCommand('sh', ['-euc', here], { cwd: folder, env })).stdout
  }
  const [createUser = '', signDeviceIn = '', ...others] = commands
  t.strictSame(others, [], 'every command of the page is run')

  await run(createUser)
  const { client } = await signIn('jane')
  const session = await fetch(`${system.url}/sign-in/session`, {
    headers: { cookie: client.cookieOf(system.url) },
  })
  const shown = (await session.json()) as Record<string, unknown>
  const { csrf_token, expires_at, ...printed } = json.at(-1)
  t.match(shown, { ...printed, csrf_token: /^[\w-]{43}$/, expires_at: /^\d{4}-.*Z$/ })
  t.strictSame(Object.keys(shown), Object.keys(json.at(-1)))
  t.match([csrf_token, expires_at], [/^[\w-]{43}$/, /^\d{4}-.*Z$/], 'the page prints such values')

  const running = run(signDeviceIn)
  const written = () => readFile(join(folder, 'device.json'), 'utf8').catch(() => '')
  await until(async () => (await written()).endsWith('}'), 'the device has its code')
  const { verification_uri_complete } = JSON.parse(await written()) as { verification_uri_complete: string }
  const confirm = await client.open(verification_uri_complete)
  const confirmed = await client.submit(confirm, '/device', { decision: 'allow' })
  t.match(confirmed.text, 'The device is signed in')
  t.match(await running, /^Open https?:.*\/device and enter [B-Z]{4}-[B-Z]{4}\n[^]*Login Succeeded/)
  const { auths } = JSON.parse(await readFile(join(env.DOCKER_CONFIG, 'config.json'), 'utf8'))
  const stored = Buffer.from(auths[system.host].auth, 'base64').toString()
  t.match(stored, /^jane:rmp_/, 'docker has stored a personal token')
}
